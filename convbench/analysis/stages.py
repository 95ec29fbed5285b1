"""What the stages inside an algorithm take, and what they add up to beside a whole call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from convbench.analysis.contenders import Contender
from convbench.analysis.statistics import DRIFT, Estimate, block_median, from_logs, timed
from convbench.result import Block

FEWEST: Final = 3
"""Passes for an interval: Student's of two is an order of magnitude wider than what it is about."""
LEAST_S: Final = 1e-9
"""A stage that the clock has not seen."""


@dataclass(frozen=True)
class Stage:
    """One stage of one contender in one cell: its time, and its share of all stages."""

    name: str
    time: Estimate
    share: float


@dataclass(frozen=True)
class Staged:
    """A contender's stages in the order in which they come; `of_execute` is their sum as a share of a call.

    It is below 1 where threads wait for each other, and above 1 where the calls that told their stages were slower.
    """

    contender: Contender
    stages: tuple[Stage, ...]
    of_execute: Estimate

    @property
    def total_s(self) -> float:
        """Of all stages."""
        return sum(stage.time.value for stage in self.stages)


def staged(contender: Contender) -> Staged | None:
    """What a contender told; None where it passed nothing or tells no stages."""
    told = [block for block in timed(contender.blocks).values() if block.stages_s]
    if contender.time is None or not told:
        return None
    names = dict.fromkeys(name for block in told for name in block.stages_s)
    times = {name: _estimate([_middle_s(block, name) for block in told]) for name in names}
    total_s = sum(time.value for time in times.values())
    found = tuple(Stage(name, time, time.value / total_s) for name, time in times.items())
    sums = [sum(_middle_s(block, name) for name in names) / block_median(block) for block in told]
    return Staged(contender, found, _estimate(sums))


def _middle_s(block: Block, name: str) -> float:
    """The median over a block's calls: one disturbed call does not move it."""
    return max(float(np.median(block.stages_s.get(name, (0.0,)))), LEAST_S)


def _estimate(values: Sequence[float]) -> Estimate:
    """The geometric mean over passes, as of whole calls."""
    found = from_logs([math.log(value) for value in values], len(values), DRIFT)
    return found if len(values) >= FEWEST else Estimate(found.value, None, None, len(values), len(values))
