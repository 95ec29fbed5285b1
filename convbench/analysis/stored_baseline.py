"""A run against one that was stored: only with a yardstick beside every block, and a wider margin.

Nothing was interleaved, so what the machine did in between is in the ratio of the times. Where a yardstick explains the
variation within the runs, it is taken for explaining that between them, too: each block's median is divided by the
yardstick's, and what is left is compared by Welch's t.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from convbench.analysis.outcomes import EXECUTE, Outcome, Result, larger, wrong
from convbench.analysis.statistics import block_median, timed, welch_half_width
from convbench.result import Block, Cell, GateLimits, Status

MARGIN: Final = 0.10
"""The slowdown that must be found, where the suite does not ask for a larger one."""
ERROR: Final = 0.01
FEWEST_PASSES: Final = 3
NONE: Final = "no yardstick"


Pass = dict[str, float]
"""The logarithm of a block's median by itself (`NONE`), and over each yardstick's median."""


class Compared(NamedTuple):
    """log(new / stored), its interval, and what it was divided by."""

    center: float
    low: float
    high: float
    yardstick: str


def one_pass(block: Block) -> Pass:
    """What a timed block says."""
    found = {NONE: math.log(block_median(block))}
    return found | {name: found[NONE] - math.log(float(np.median(s))) for name, s in block.yardsticks.items()}


def compare(stored: Sequence[Pass], new: Sequence[Pass]) -> Compared | None:
    """Two runs of a contender in a cell; None with fewer than three passes of each, or without yardsticks."""
    if min(len(stored), len(new)) < FEWEST_PASSES:
        return None
    names = set.intersection(*(set(one) for one in (*stored, *new)))
    if names == {NONE}:
        return None
    choices = {name: [[one[name] for one in side] for side in (stored, new)] for name in sorted(names)}
    best = min(choices, key=lambda name: _variance(choices[name]))
    before, after = choices[best]
    center = float(np.mean(after) - np.mean(before))
    half = welch_half_width(before, after, 1 - ERROR)
    return Compared(center, center - half, center + half, best)


def _variance(sides: Sequence[Sequence[float]]) -> float:
    """Within the runs, pooled."""
    return sum(float(np.var(side)) * len(side) for side in sides)


def judge(found: Compared, slowdown: float) -> Result:
    """Slower where it is so by more than half of `slowdown`, and the interval clear of 0."""
    limit = math.log1p(slowdown) / 2  # no change and a slowdown of the stated size are equally far from it
    if found.low > 0 and found.center > limit:
        return Result.SLOWER
    if found.high < 0 and found.center < -limit:
        return Result.FASTER
    return Result.SAME if found.high < math.log1p(slowdown) else Result.INCONCLUSIVE


def outcome(
    cell: Cell, algorithm: str, stored: Sequence[Block], new: Sequence[Block], limits: GateLimits
) -> Outcome | None:
    """The verdict, and the yardstick by which it was reached.

    The limit is the suite's, but 10 % at least. None where neither run supports the cell.
    """
    if all(block.status is Status.UNSUPPORTED for block in (*stored, *new)):
        return None
    slowdown = max(MARGIN, limits.slowdown(cell, algorithm, EXECUTE))
    found = compare(*([one_pass(block) for block in timed(side).values()] for side in (stored, new)))
    known: Mapping[str, object] = {
        "cell": cell.key,
        "name": cell.name,
        "ground": cell.ground,
        "algorithm": algorithm,
        "max_slowdown": slowdown,
    }
    certain = wrong(cell, stored, new, limits) or larger(stored, new, limits)
    if certain is not None:
        return Outcome(**known, result=certain[0], detail=certain[1])  # type: ignore[arg-type]
    if found is None:
        lacking = "fewer than three passes" if min(len(timed(side)) for side in (stored, new)) < FEWEST_PASSES else ""
        result = Result.NOT_MEASURED
        return Outcome(**known, result=result, detail=lacking or "the stored run has no yardsticks; measure it anew")  # type: ignore[arg-type]
    result = judge(found, slowdown)
    return Outcome(
        **known,  # type: ignore[arg-type]
        result=result,
        yardstick=found.yardstick,
        pairs=len(timed(new)),
        change=math.expm1(found.center),
        low=math.expm1(found.low),
        high=math.expm1(found.high),
        base_s=_typical(stored),
        candidate_s=_typical(new),
    )


def _typical(blocks: Sequence[Block]) -> float:
    return float(np.median([block_median(block) for block in timed(blocks).values()]))
