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

from convbench.analysis.gate import boundary
from convbench.analysis.outcomes import EXECUTE, Outcome, Result, larger, wrong
from convbench.analysis.statistics import block_median, timed, welch_half_width
from convbench.result import Block, Cell, GateLimits, Status

MARGIN: Final = 0.10
"""The slowdown that must be found, where the suite does not ask for a larger one."""
ERROR: Final = 0.01
FEWEST_PASSES: Final = 3
NONE: Final = "no yardstick"


class Compared(NamedTuple):
    """log(new / stored), its interval, and what it was divided by."""

    center: float
    low: float
    high: float
    yardstick: str


def compare(stored: Sequence[Block], new: Sequence[Block]) -> Compared | None:
    """Two runs' blocks of a contender in a cell; None with fewer than three passes of each, or without yardsticks."""
    sides = [list(timed(side).values()) for side in (stored, new)]
    if min(map(len, sides)) < FEWEST_PASSES:
        return None
    names = set.intersection(*(set(block.yardsticks) for side in sides for block in side))
    if not names:
        return None
    choices = {name: [_logs(side, name) for side in sides] for name in (NONE, *sorted(names))}
    best = min(choices, key=lambda name: _variance(choices[name]))
    before, after = choices[best]
    center = float(np.mean(after) - np.mean(before))
    half = welch_half_width(before, after, 1 - ERROR)
    return Compared(center, center - half, center + half, best)


def _logs(blocks: Sequence[Block], yardstick: str) -> list[float]:
    """One number a pass: the logarithm of the block's median, over the yardstick's."""
    return [
        math.log(block_median(block))
        - (0.0 if yardstick == NONE else math.log(float(np.median(block.yardsticks[yardstick]))))
        for block in blocks
    ]


def _variance(sides: Sequence[Sequence[float]]) -> float:
    """Within the runs, pooled."""
    return sum(float(np.var(side)) * len(side) for side in sides)


def outcome(
    cell: Cell, algorithm: str, stored: Sequence[Block], new: Sequence[Block], limits: GateLimits
) -> Outcome | None:
    """The verdict: slower by more than half of the limit, the interval clear of 0; the yardstick is in its detail.

    The limit is the suite's, but 10 % at least. None where neither run supports the cell.
    """
    if all(block.status is Status.UNSUPPORTED for block in (*stored, *new)):
        return None
    slowdown = max(MARGIN, limits.slowdown(cell, algorithm, EXECUTE))
    found = compare(stored, new)
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
    limit = boundary(slowdown)
    if found.low > 0 and found.center > limit:
        result = Result.SLOWER
    elif found.high < 0 and found.center < -limit:
        result = Result.FASTER
    elif found.high < math.log1p(slowdown):
        result = Result.SAME
    else:
        result = Result.INCONCLUSIVE
    return Outcome(
        **known,  # type: ignore[arg-type]
        result=result,
        detail=f"by {found.yardstick}" if result is not Result.SAME else "",
        pairs=len(timed(new)),
        change=math.expm1(found.center),
        low=math.expm1(found.low),
        high=math.expm1(found.high),
        base_s=_typical(stored),
        candidate_s=_typical(new),
    )


def _typical(blocks: Sequence[Block]) -> float:
    return float(np.median([block_median(block) for block in timed(blocks).values()]))
