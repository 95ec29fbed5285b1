"""Two builds of the same contenders, measured against each other by pairs of live processes that take turns.

Processes differ more than samples, cores differ, and the machine drifts. So a pair is one fresh process of each
build, both on the same core (all cores, in cells of several threads), sampled in turn in random order; the next
pair is made of other processes on another core. What a pair says is one number, the median over its turns of
the logarithm of candidate / base (`analysis.statistics.paired_log_ratios`).
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import cycle
from time import monotonic
from typing import Final, NamedTuple, final

import numpy as np

from convbench.algorithm import Array
from convbench.errors import ConvbenchError
from convbench.machine import usable_cores
from convbench.measure.bench import Bench, Limits
from convbench.measure.case import Case, Cases
from convbench.measure.effort import Effort
from convbench.measure.workers import Launch, Workers
from convbench.result import Block, Cell, Status
from convbench.store import RunFolder

PAIR: Final = Effort(
    sample_s=1e-3,
    block_s=0.3,
    min_samples=5,
    max_samples=64,
    warm_up_s=0.02,
    rewarm_s=0.0,
    samples_a_place=4,
)
"""Turns that are short meet the same moment, and both sides find the caches as the other left them. `block_s` is for
machines on which one turn differs from the next by a tenth: elsewhere they end long before, being precise enough."""

FEWEST_TURNS: Final = 6
PRECISE: Final = 0.008
"""Standard error of a pair's number with which its turns end early: processes differ by more than that."""


PAIRS_A_START: Final = 100
"""Pairs made by processes that were forked from the same two: with few items, starting would take most of the time."""

PAIRS_OF_ONE: Final = 8
"""The most of an item among them: what a start has drawn (addresses of libraries) is in all of its forks."""


class Item(NamedTuple):
    """One contender in one cell."""

    cell: Cell
    algorithm: str

    @property
    def key(self) -> tuple[str, str]:
        """Unique within a suite."""
        return self.cell.key, self.algorithm


@dataclass(frozen=True)
class Build:
    """One side of a comparison: how its processes are started, and where its blocks are kept."""

    name: str
    launch: Launch
    folder: RunFolder


@dataclass(frozen=True)
class PairOptions:
    """How pairs are made."""

    effort: Effort = PAIR
    timeout_s: float = 30.0
    memory_limit_bytes: int = 4 * 2**30
    image: Array | None = None
    judged: int = 3
    """Pairs of each item that are compared with float64, before the timing and after it."""
    with_yardsticks: int = 0
    """Pairs of each item beside which fixed computations are timed, as runs do it that are stored."""


class UnloadableError(ConvbenchError):
    """A build whose algorithms cannot even be imported."""


Both = tuple[tuple[Build, Workers], tuple[Build, Workers]]


@final
@dataclass
class Pairs:
    """Makes rounds of pairs; `spent_s` is each item's wall time, its share of starting included, compiling not."""

    base: Build
    candidate: Build
    options: PairOptions
    cases: Cases
    spent_s: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    made: Counter[tuple[str, str]] = field(default_factory=Counter)
    rounds: int = 0
    compile_s: float = 0.0
    """Of all pairs: a commit's kernels are compiled once, and that is no part of what measuring takes."""

    def round(
        self, items: Sequence[Item], wanted: Callable[[Item], bool], told: Callable[[Item, Block, Block], None]
    ) -> None:
        """A pair for each item, or several where few items share the start, as long as they are `wanted`.

        `told` hears of each pair when it is on disk.

        Raises `UnloadableError` where a build's algorithms cannot be imported.
        """
        order = random.Random(f"{self.candidate.folder.info.seed}/pairs/{self.rounds}")  # noqa: S311
        start_s = monotonic()
        names = [item.algorithm for item in items]
        with (
            Workers(self.base.launch, names, usable_cores(), self.rounds) as base,
            Workers(self.candidate.launch, names, usable_cores(), self.rounds) as candidate,
        ):
            sides = ((self.base, base), (self.candidate, candidate))
            self._start(sides, items)
            share_s = (monotonic() - start_s) / len(items)
            for item in items:
                self.spent_s[item.key] += share_s
            for _ in range(min(max(1, PAIRS_A_START // len(items)), PAIRS_OF_ONE)):
                for item in order.sample(items, k=len(items)):
                    if not wanted(item):
                        continue
                    start_s = monotonic()
                    before, after = self._pair(item, sides, order)
                    compile_s = (before.compile_s or 0.0) + (after.compile_s or 0.0)
                    self.spent_s[item.key] += monotonic() - start_s - compile_s
                    self.compile_s += compile_s
                    self.made[item.key] += 1
                    told(item, before, after)
        self.rounds += 1

    def _start(self, sides: Both, items: Sequence[Item]) -> None:
        """Start both sides' processes at once, and wait for them."""
        counts = dict.fromkeys(item.cell.threads for item in items)
        starting = [(build, workers.start(threads)) for threads in counts for build, workers in sides]
        for build, nursery in starting:
            try:
                nursery.algorithms  # noqa: B018  (waits until it has started)
            except ConvbenchError as error:
                raise UnloadableError(f"{build.name}: {error}") from error

    def _pair(self, item: Item, sides: Both, order: random.Random) -> tuple[Block, Block]:
        index = self.made[item.key]
        case = self.cases.get(item.cell.spec)
        limits = Limits(lambda: self.options.timeout_s, self.options.memory_limit_bytes)
        core = usable_cores()[index % len(usable_cores())] if item.cell.threads == 1 else None
        judged = index < self.options.judged
        benches = {
            build.name: Bench(item.cell, item.algorithm, index, nursery.fork(item.algorithm), limits, core)
            for build, nursery in [
                (build, workers.start(item.cell.threads)) for build, workers in order.sample(sides, k=2)
            ]
            if item.algorithm in nursery.algorithms
        }
        if judged:
            for bench in benches.values():
                bench.open(case, self.cases.output)
                bench.judge(self.cases.output, case)
        else:
            _open_together(benches.values(), case)
        for bench in benches.values():
            if core is not None and bench.alive:
                bench.worker.pin(core)
        timed = [bench for bench in benches.values() if bench.status is Status.PASSED]
        if len(timed) == 2:
            effort = replace(self.options.effort, yardsticks=index < self.options.with_yardsticks)
            take_turns((timed[0], timed[1]), order, effort)
        for bench in benches.values():
            if judged:
                bench.judge_again(self.cases.output, case)
            bench.close()
            bench.worker.kill()
        blocks = [benches[build.name].block() if build.name in benches else _absent(item, index) for build, _ in sides]
        for (build, _), block in zip(sides, blocks, strict=True):
            build.folder.append([block])
        return blocks[0], blocks[1]


def _open_together(benches: Collection[Bench], case: Case) -> None:
    """Each on a core of its own, as far as there are cores: to plan takes longer than many a sample."""
    for bench, core in zip(benches, cycle(usable_cores()), strict=False):
        if bench.core is not None:
            bench.worker.pin(core)
    with ThreadPoolExecutor(len(benches) or 1) as pool:
        list(pool.map(lambda bench: bench.open(case, None), benches))
    for bench in benches:
        bench.trust()


def take_turns(benches: tuple[Bench, Bench], order: random.Random, effort: Effort) -> None:
    """Sample both as often and in batches of the same size, in turns whose order is drawn anew each time."""
    for bench in benches:
        bench.warm_up(effort, effort.block_s)
    if any(bench.status is not Status.PASSED for bench in benches):
        return
    call_s = float(np.median([bench.call_s for bench in benches]))
    batch, wanted = effort.batch(call_s), effort.samples(call_s, effort.block_s)
    for bench in benches:
        bench.batch, bench.wanted = batch, max(wanted, effort.min_samples)
    while all(bench.wants_more for bench in benches):
        if effort.moves(len(benches[0].samples_s)):
            for bench in benches:
                bench.move()
        for bench in order.sample(benches, k=2):
            bench.sample(effort)
        if all(len(bench.samples_s) == 1 for bench in benches):  # known so far: a cold call, if it is long
            again = effort.samples(min(bench.samples_s[0] for bench in benches), effort.block_s)
            for bench in benches:
                bench.wanted = max(bench.wanted, again)
        if benches[0].wants_more and _standard_error(*benches) < PRECISE:
            for bench in benches:
                bench.stop(effort)


def _standard_error(first: Bench, second: Bench) -> float:
    """Of the median over the turns of log(first / second), from their median absolute deviation."""
    turns = min(len(first.samples_s), len(second.samples_s))
    if turns < FEWEST_TURNS:
        return math.inf
    logs = np.log(first.samples_s[:turns]) - np.log(second.samples_s[:turns])
    spread = 1.4826 * float(np.median(np.abs(logs - np.median(logs))))
    return math.sqrt(math.pi / 2 / turns) * spread


def _absent(item: Item, index: int) -> Block:
    return Block(
        cell=item.cell.key,
        algorithm=item.algorithm,
        pass_index=index,
        status=Status.UNSUPPORTED,
        reason="there is no such algorithm",
    )
