"""The run: passes over the cells, fresh processes in each, one sample of one contender at a time.

Within a cell the contenders are sampled in rounds, each in a fresh random order, so that the machine's
drift hits all of them alike. The first pass visits every cell, cheap ones first; later passes go where
the answer is still open. A cell's blocks reach the journal together, as soon as it is measured.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol, final

from convbench.agreement import WORK_LIMIT
from convbench.algorithm import Array
from convbench.analysis.passes import Work, measured_in, refined, unmeasured, work_of
from convbench.machine import usable_cores
from convbench.measure.bench import Bench, Limits
from convbench.measure.case import Cases
from convbench.measure.effort import Budget, Effort, predicted_call_s
from convbench.measure.workers import Launch, WorkerFailedError, Workers
from convbench.result import Block, Cell, Status
from convbench.spec import ConvSpec
from convbench.store import RunFolder

BUDGET_GRACE_S = 3.0
FAR_BEHIND = 10.0
"""Times slower than its quickest rival: not worth more than one sample, and a first call is not wrong by so much."""


@dataclass(frozen=True)
class Options:
    """How a run is to be made; what it measures stands in its `RunInfo`."""

    effort: Effort = field(default_factory=Effort)
    passes: int = 5
    budget_s: float | None = None
    timeout_s: float = 30.0
    memory_limit_bytes: int = 4 * 2**30
    image: Array | None = None
    verify_only: bool = False
    """Agreement, and no timing."""
    cold: bool = False
    """Calls with cold caches, too."""
    whole: bool = False
    """Every contender in every pass, not only where the answer is open: another run is to be compared with it."""
    worth: Callable[[Cell], Sequence[str]] | None = None
    """Contenders worth starting, asked for each cell when its turn comes; and cells then come as they are listed."""
    compiling_counts: bool = True
    """Whether what is compiled comes out of the budget."""
    reference_work: float = WORK_LIMIT
    """What a reference may cost: see `agreement.reference`."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    pass_index: int
    passes: int
    done: int
    total: int
    cell: Cell
    blocks: tuple[Block, ...]
    elapsed_s: float
    remaining_s: float


class Observer(Protocol):
    """Whoever wants to watch a run."""

    def progress(self, progress: Progress) -> None:
        """Called after every cell."""

    def waiting(self, what: str) -> None:
        """Called now and then while a run has no host to measure on."""


@dataclass(frozen=True)
class Spent:
    """Where a run's wall time went."""

    wall_s: float
    useful_s: float
    """Inside samples, warm-up, planning and agreement."""
    overhead_s: float
    """What the sampling loop adds to one sample."""


@final
class Coordinator:
    """Runs what is not yet in the folder's journal; may be interrupted at any moment and run again."""

    def __init__(self, folder: RunFolder, launch: Launch, options: Options, observer: Observer) -> None:
        self.folder = folder
        self.launch = launch
        self.options = options
        self.observer = observer
        self.cores = usable_cores()
        self.budget = Budget(options.budget_s)
        self.limits = Limits(self._timeout_s, options.memory_limit_bytes)
        self.calls: dict[tuple[str, int], list[tuple[ConvSpec, float]]] = {}
        self.timed: set[tuple[str, str]] = set()
        self.useful_s = 0.0
        self.overhead_s = 0.0
        for block in folder.blocks:
            self._learn(block)

    @property
    def spent(self) -> Spent:
        """Where the wall time went so far."""
        return Spent(self.budget.elapsed_s, self.useful_s, self.overhead_s)

    def run(self) -> None:
        """Measure until nothing is open, the passes are made, or the budget is spent."""
        with Cases(self.folder.info.seed, self.options.image, self.options.reference_work) as cases:
            for pass_index in range(self.options.passes):
                if pass_index:
                    self._refine(pass_index)
                work = self._work(pass_index)
                if pass_index and not work and not measured_in(self.folder.blocks, pass_index):
                    break
                self._pass(pass_index, work, cases)
                if self.budget.spent:
                    break

    def one_pass(self, pass_index: int, work: Work) -> None:
        """Measure these cells of a pass, in processes of their own."""
        with Cases(self.folder.info.seed, self.options.image, self.options.reference_work) as cases:
            self._pass(pass_index, work, cases)

    # --- what to do ---------------------------------------------------------------------------------

    def _work(self, pass_index: int) -> Work:
        info, blocks = self.folder.info, self.folder.blocks
        if self.options.worth:
            return unmeasured([(cell, info.algorithms) for cell in info.cells], blocks, pass_index)
        return work_of(info, blocks, pass_index, whole=self.options.whole)

    def _refine(self, pass_index: int) -> None:
        """Add cells beside crossovers that are not placed, while there are passes left to measure them in."""
        info = self.folder.info
        if added := refined(info, self.folder.blocks, pass_index, self.options.passes):
            self.folder.update(info.with_reserves(added))

    def _pass(self, pass_index: int, work: Work, cases: Cases) -> None:
        with Workers(self.launch, self.folder.info.algorithms, self.cores, pass_index) as workers:
            units = sum(len(names) for _, names in work)
            for done, (cell, names) in enumerate(work, start=1):
                if self.budget.spent:
                    return
                share_s = self.budget.remaining_s / units
                chosen = self.options.worth(cell) if self.options.worth else names
                blocks = self._cell(cell, chosen, pass_index, workers, cases, share_s)
                units -= len(names)
                self.folder.append(blocks)
                for block in blocks:
                    self._learn(block)
                    self.useful_s += block.worker_s
                    if not self.options.compiling_counts:
                        self.budget.forgiven_s += block.compile_s or 0.0
                remaining_s = self.budget.remaining_s
                self.observer.progress(
                    Progress(
                        pass_index,
                        self.options.passes,
                        done,
                        len(work),
                        cell,
                        tuple(blocks),
                        self.budget.elapsed_s,
                        remaining_s,
                    )
                )

    # --- one cell -----------------------------------------------------------------------------------

    def _cell(
        self, cell: Cell, names: Sequence[str], pass_index: int, workers: Workers, cases: Cases, share_s: float
    ) -> list[Block]:
        """Measure the contenders of one cell; `share_s` of the budget is for each."""
        order = random.Random(f"{self.folder.info.seed}/{pass_index}/{cell.key}")  # noqa: S311
        start = perf_counter()
        case = cases.get(cell.spec)
        self.useful_s += perf_counter() - start
        benches: list[Bench] = []
        blocks: list[Block] = []
        for name in order.sample(names, k=len(names)):
            if self.budget.spent:
                break
            too_long = self._too_long(name, cell)
            if too_long:
                blocks.append(_skipped(cell, name, pass_index, too_long))
                continue
            bench = Bench(cell, name, pass_index, workers.get(name, cell.threads), self.limits, workers.core(cell))
            benches.append(bench)
            bench.open(case, cases.output)
            start = perf_counter()
            bench.judge(cases.output, case)
            self.useful_s += perf_counter() - start
        if not self.options.verify_only:
            self._warm_up([bench for bench in benches if bench.status is Status.PASSED], share_s / 4)
        for bench in benches:
            if not bench.alive:
                workers.drop(bench.algorithm, cell.threads)
        self._rounds(benches, order)
        for bench in benches:
            if self.options.cold and not self.budget.spent:
                bench.cool(self.options.effort)
            bench.look_outside()
            start, before_s = perf_counter(), bench.spent_s
            bench.judge_again(cases.output, case)
            self.useful_s += perf_counter() - start - (bench.spent_s - before_s)
            if not self.budget.spent:
                bench.tell_stages(self.options.effort)
            bench.close()
            if not bench.alive:
                workers.drop(bench.algorithm, cell.threads)
        if not self.overhead_s:
            self.overhead_s = _loop_overhead_s(benches, self.limits)
        return blocks + [bench.block() for bench in benches if not self._cut_short(bench)]

    def _warm_up(self, benches: Sequence[Bench], share_s: float) -> None:
        """Warm up; whoever is far behind its rivals in two calls is only glanced at, unless a crossover needs it.

        A rival's first call is rather too slow than too quick to measure by.
        """
        effort = self.options.effort
        needed = {name for crossing in self.folder.info.crossings for name in (crossing.start, crossing.to)}
        first_s = {bench.algorithm: bench.warmup_s[0] for bench in benches}
        for bench in benches:
            if self.budget.spent:
                return
            far_s = FAR_BEHIND * min(first_s[name] for name in self._rivals(bench.algorithm) if name in first_s)
            far = bench.algorithm not in needed and first_s[bench.algorithm] > far_s
            if far and bench.probe() > far_s:
                bench.glance(effort)
            else:
                bench.warm_up(effort, share_s)

    def _rivals(self, name: str) -> Sequence[str]:
        """Those on the same side of the closing table, or everyone where there are no sides."""
        info = self.folder.info
        sides = (info.versus.ours, info.versus.theirs) if info.versus else ()
        return next((side for side in sides if name in side), info.algorithms)

    def _rounds(self, benches: Sequence[Bench], order: random.Random) -> None:
        while open_benches := [bench for bench in benches if bench.wants_more]:
            for bench in order.sample(open_benches, k=len(open_benches)):
                if self.budget.spent:
                    return
                bench.sample(self.options.effort)

    def _cut_short(self, bench: Bench) -> bool:
        """Whether the budget's end, not the contender, is why there is nothing to record."""
        ended = bench.status in (Status.PASSED, Status.TIMEOUT, Status.NOT_REACHED)
        return self.budget.spent and not bench.samples_s and ended and not self.options.verify_only

    # --- limits -------------------------------------------------------------------------------------

    def _timeout_s(self) -> float:
        return min(self.options.timeout_s, self.budget.remaining_s + BUDGET_GRACE_S)

    def _too_long(self, name: str, cell: Cell) -> str:
        """Why a contender is not worth starting in a cell: the call that its smaller cells predict."""
        if (name, cell.key) in self.timed:
            return ""
        predicted_s = predicted_call_s(cell.spec, self.calls.get((name, cell.threads), []))
        limit_s = self.budget.longest_call_s(self.options.timeout_s)
        if predicted_s <= limit_s:
            return ""
        cause = "a fifth of a percent of the budget" if limit_s < self.options.timeout_s else "the timeout"
        return f"a call would take more than {limit_s:.2g} s, {cause}, to judge by its smaller cells"

    def _learn(self, block: Block) -> None:
        if block.status is Status.PASSED and block.samples_s:
            spec_id, _, rest = block.cell.partition("@")
            threads = int(rest.partition("t")[0])
            self.timed.add((block.algorithm, block.cell))
            known = self.calls.setdefault((block.algorithm, threads), [])
            known.append((ConvSpec.parse(spec_id), min(block.samples_s)))


def _skipped(cell: Cell, name: str, pass_index: int, reason: str) -> Block:
    return Block(cell=cell.key, algorithm=name, pass_index=pass_index, status=Status.NOT_REACHED, reason=reason)


def _loop_overhead_s(benches: Sequence[Bench], limits: Limits) -> float:
    for bench in benches:
        if bench.alive and bench.status is Status.PASSED:
            try:
                reply = bench.worker.ask("overhead", limits.timeout_s(), limits.memory_bytes, batches=1001)
            except WorkerFailedError:
                continue
            return float(reply["overhead_s"])
    return 0.0
