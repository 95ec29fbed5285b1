"""Plan, prepare and execute side by side: who is cheapest for one image, and after how many another pays for itself.

    total(n) = setup + n·call

    one filter for all images             setup = plan + prepare     call = execute
    a new filter for each image           setup = plan               call = prepare + execute

With the contender that costs least for a single image as base, another one that is quicker per call has caught up at
n = ⌈(setup − setup_base) / (call_base − call)⌉. That it is quicker must be clear from calls of the same passes: else a
break-even cannot be told, for the difference that it is divided by may be nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from convbench.analysis.contenders import Contender, Contenders, ranked
from convbench.analysis.planning import plan_alone_s
from convbench.analysis.stages import FEWEST
from convbench.analysis.statistics import Estimate, block_median, from_logs, paired_log_ratios, timed
from convbench.analysis.winners import told_apart
from convbench.result import Block, Cell, RunInfo


class Reuse(StrEnum):
    """What stays the same from image to image."""

    FILTER = "one filter"
    SHAPE = "a new filter each"


class Verdict(StrEnum):
    """What became of the question whether a contender pays for itself."""

    BASE = "cheapest for one image"
    PAYS = "pays"
    NEVER = "never"
    UNCLEAR = "cannot be told"


@dataclass(frozen=True)
class Payback:
    """From `images` on a contender is cheaper in total; `low` and `high` are its 95 % interval where there is one."""

    verdict: Verdict
    images: int | None = None
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Cost:
    """What a contender takes once for a shape, once for a filter, and once for an image; compiling is left out."""

    contender: Contender
    plan_s: float
    prepare_s: float
    execute_s: float

    @property
    def algorithm(self) -> str:
        """Its name."""
        return self.contender.algorithm

    @property
    def first_s(self) -> float:
        """Everything for a single image."""
        return self.plan_s + self.prepare_s + self.execute_s

    def setup_s(self, reuse: Reuse) -> float:
        """Once for all images."""
        return self.plan_s + (self.prepare_s if reuse is Reuse.FILTER else 0.0)

    def call_s(self, reuse: Reuse) -> float:
        """For each image."""
        return self.execute_s + (0.0 if reuse is Reuse.FILTER else self.prepare_s)


@dataclass(frozen=True)
class Phases:
    """One cell: its contenders' costs, the cheapest for a single image first, and who is cheapest for how many."""

    cell: Cell
    costs: tuple[Cost, ...]
    paybacks: dict[tuple[str, Reuse], Payback]
    """(algorithm, reuse) → when it has caught up with the first of `costs`."""
    envelopes: dict[Reuse, tuple[tuple[int, str], ...]]
    """From how many images on which algorithm is the cheapest in total, as far as that can be told."""


def phases(info: RunInfo, merged: Contenders) -> list[Phases]:
    """The cells with a time, in the suite's order."""
    found = (_phases(cell, ranked(cell, merged, info)) for cell in info.cells)
    return [one for one in found if one is not None]


def _phases(cell: Cell, field: Sequence[Contender]) -> Phases | None:
    costs = tuple(sorted((cost(one) for one in field), key=lambda one: one.first_s))
    if not costs:
        return None
    base = costs[0]
    paybacks = {(one.algorithm, reuse): payback(one, base, reuse) for one in costs for reuse in Reuse}
    return Phases(cell, costs, paybacks, {reuse: _envelope(costs, reuse) for reuse in Reuse})


def cost(contender: Contender) -> Cost:
    """What a timed contender takes, the medians of plan and prepare over passes without a compilation."""
    blocks, time = timed(contender.blocks).values(), contender.time
    assert time is not None  # only who was timed is ranked
    # What a kernel's first use costs beside its compilation (typing, linking) has no place in a plan either.
    settled = [block for block in blocks if not block.compiled] or list(blocks)
    return Cost(contender, _middle(plan_alone_s, settled), _middle(_prepare_s, settled), time.value)


def _middle(quantity: Callable[[Block], float], blocks: Sequence[Block]) -> float:
    return median(quantity(block) for block in blocks)


def _prepare_s(block: Block) -> float:
    return block.prepare_s or 0.0


def payback(one: Cost, base: Cost, reuse: Reuse) -> Payback:
    """When `one` has caught up with `base`."""
    if one is base:
        return Payback(Verdict.BASE)
    ratio = _call_ratio(one, base, reuse)
    if not told_apart(ratio):
        return Payback(Verdict.UNCLEAR)
    if ratio is None or ratio.value > 1:
        return Payback(Verdict.NEVER)
    images = _images(one.setup_s(reuse) - base.setup_s(reuse), base.call_s(reuse) * (1 - ratio.value))
    spread = _spread(one, base, reuse)
    if spread is None or spread.low is None or spread.high is None:
        return Payback(Verdict.PAYS, images)
    return Payback(Verdict.PAYS, images, min(_images(spread.low, 1), images), max(_images(spread.high, 1), images))


def _images(setup_s: float, saved_s: float) -> int:
    """⌈setup / saved⌉, and at least the first."""
    return max(1, math.ceil(setup_s / saved_s * (1 - 1e-12)))


def _call_ratio(one: Cost, other: Cost, reuse: Reuse) -> Estimate | None:
    """one / other in time per image, paired by passes."""
    tops, bottoms = timed(one.contender.blocks), timed(other.contender.blocks)
    logs = paired_log_ratios(one.contender.blocks, other.contender.blocks)
    if reuse is Reuse.SHAPE:
        logs = {
            index: math.log(_call_s(tops[index], reuse)) - math.log(_call_s(bottoms[index], reuse)) for index in logs
        }
    return from_logs(list(logs.values()), len(logs)) if logs else None


def _call_s(block: Block, reuse: Reuse) -> float:
    return block_median(block) + (0.0 if reuse is Reuse.FILTER else _prepare_s(block))


def _spread(one: Cost, base: Cost, reuse: Reuse) -> Estimate | None:
    """setup / saved from each pass by itself; None where passes are few, or some would have it the other way round."""
    tops, bottoms = timed(one.contender.blocks), timed(base.contender.blocks)
    logs = []
    for index in tops.keys() & bottoms.keys():
        top, bottom = tops[index], bottoms[index]
        if top.compiled or bottom.compiled:
            continue
        setup_s = plan_alone_s(top) - plan_alone_s(bottom)
        if reuse is Reuse.FILTER:
            setup_s += _prepare_s(top) - _prepare_s(bottom)
        saved_s = _call_s(bottom, reuse) - _call_s(top, reuse)
        if setup_s <= 0 or saved_s <= 0:
            return None
        logs.append(math.log(setup_s / saved_s))
    return from_logs(logs, len(logs)) if len(logs) >= FEWEST else None


def _envelope(costs: Sequence[Cost], reuse: Reuse) -> tuple[tuple[int, str], ...]:
    """From the cheapest for one image to the one that overtakes it first, and so on: calls become ever shorter."""
    current, found = costs[0], {1: costs[0].algorithm}
    while True:
        overtakers = [
            (pays.images, one.call_s(reuse), one)
            for one in costs
            if one.call_s(reuse) < current.call_s(reuse) and (pays := payback(one, current, reuse)).images is not None
        ]
        if not overtakers:
            return tuple(found.items())
        images, _, current = min(overtakers, key=lambda each: each[:2])
        images = max(images or 1, max(found))
        found[images] = current.algorithm
