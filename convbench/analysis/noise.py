"""How noisy a run was: within a process, and from process to process."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from convbench.analysis.contenders import Contenders
from convbench.analysis.statistics import block_median, deviation, timed


@dataclass(frozen=True)
class Noise:
    """Relative standard deviations, as medians over all contenders of all cells; None where unknown.

    `between` is that of a contender's pass medians. It holds what the machine did over the whole run,
    so it may be far above `within`, that of the samples in one process; ratios are paired and see less.
    """

    within: float | None
    between: float | None


def noise(merged: Contenders) -> Noise:
    """The run's noise, from its passed contenders."""
    within: list[float] = []
    between: list[float] = []
    for contender in merged.values():
        if contender.time is None:
            continue
        blocks = list(timed(contender.blocks).values())
        within += [_spread([math.log(s) for s in block.samples_s]) for block in blocks if len(block.samples_s) > 1]
        if len(blocks) > 1:
            between.append(_spread([math.log(block_median(block)) for block in blocks]))
    return Noise(*(median(spreads) if spreads else None for spreads in (within, between)))


def _spread(logs: list[float]) -> float:
    return math.expm1(deviation(logs, math.fsum(logs) / len(logs)))
