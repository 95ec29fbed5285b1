"""A run against one that was stored: only with yardsticks beside every block, and a wider margin.

Nothing was interleaved, so what the machine did in between is in the ratio of the times. Each block's time is divided
by the geometric mean of what its yardsticks took: each is slowed by something else, and noisy. Only where a single one,
or none, makes the passes of a run agree much better, that one is taken. Where it does so since nothing moved, a change
counts only if all yardsticks together leave half of it: between the runs, a machine may change as it does not within
them. What is left is compared by the median of all differences between a new pass and a stored one, with the interval
of the Mann–Whitney test: the passes have outliers.

Source: Hodges & Lehmann, Ann. Math. Statist. 34 (1963) 598–611; its interval, Bauer, JASA 67 (1972) 687–690.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy import special

from convbench.algorithm import Array
from convbench.analysis.outcomes import EXECUTE, Outcome, Result, larger, wrong
from convbench.analysis.statistics import block_median, timed
from convbench.result import Block, Cell, GateLimits, Status

MARGIN: Final = 0.10
"""The slowdown that must be found, where the suite does not ask for a larger one."""
ERROR: Final = 0.01
FEWEST_PASSES: Final = 5
"""With fewer there is no interval at 99 %."""
NONE: Final = "no yardstick"
ALL: Final = "all yardsticks"
BETTER: Final = 2.0
"""How many times the spread of the passes must be less than by all yardsticks for another one to be taken."""
UNDISTURBED: Final = 0.1
"""The quantile of a block's samples that is compared."""

Pass = dict[str, float]
"""The logarithm of a block's time by itself (`NONE`), and over that of each yardstick."""


class Compared(NamedTuple):
    """log(new / stored), its interval, and what both were divided by."""

    center: float
    low: float
    high: float
    yardstick: str
    witness: float
    """log(new / stored) by all yardsticks, where the one that was taken fits for being as steady as the time itself."""


def one_pass(block: Block) -> Pass:
    """What a timed block says: by its least disturbed samples, since the neighbours of an hour ago are gone."""
    found = {NONE: math.log(float(np.quantile(block.samples_s, UNDISTURBED)))}
    return found | {name: found[NONE] - math.log(min(times)) for name, times in block.yardsticks.items() if times}


def compare(stored: Sequence[Pass], new: Sequence[Pass]) -> Compared | None:
    """Two runs of a contender in a cell; None with fewer than five passes of each, or without yardsticks."""
    if min(len(stored), len(new)) < FEWEST_PASSES:
        return None
    names = set.intersection(*(set(one) for one in (*stored, *new)))
    if names == {NONE}:
        return None
    sides = {name: [np.array([one[name] for one in side]) for side in (stored, new)] for name in sorted(names)}
    yardsticks = sorted(names - {NONE})
    sides[ALL] = [np.mean([sides[name][run] for name in yardsticks], axis=0) for run in (0, 1)]
    spreads = {name: sum(_spread(side) for side in sides[name]) for name in sides}
    best = min(spreads, key=lambda name: spreads[name])
    if BETTER * spreads[best] > spreads[ALL]:
        best = ALL
    moves_along = BETTER * spreads[best] <= spreads[NONE]
    return Compared(*_shift(*sides[best]), best, _shift(*sides[best if moves_along else ALL])[0])


def _spread(side: Array) -> float:
    return float(np.abs(side - np.median(side)).sum())


def _shift(before: Array, after: Array) -> tuple[float, float, float]:
    """The median of all differences, and its interval: the normal approximation, which is good from five on."""
    ordered = np.sort(np.subtract.outer(after, before), axis=None)
    n, m = len(before), len(after)
    outside = n * m / 2 - float(special.ndtri(1 - ERROR / 2)) * math.sqrt(n * m * (n + m + 1) / 12)
    trim = max(math.floor(outside), 0)
    return float(np.median(ordered)), float(ordered[trim]), float(ordered[-1 - trim])


def judge(found: Compared, slowdown: float) -> Result:
    """Slower where it is so by more than half of `slowdown`, certainly, and by the witness as well."""
    limit = math.log1p(slowdown) / 2  # no change and a slowdown of the stated size are equally far from it
    if found.low > 0 and found.center > limit:
        return Result.SLOWER if found.witness > limit / 2 else Result.INCONCLUSIVE
    if found.high < 0 and found.center < -limit:
        return Result.FASTER if found.witness < -limit / 2 else Result.SAME
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
        lacking = "fewer than five passes" if min(len(timed(side)) for side in (stored, new)) < FEWEST_PASSES else ""
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
