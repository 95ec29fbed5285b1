"""Measures a machine for `algorithm="auto"`: who is fast there, on shapes that stand for those that people have."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Final, final

import numpy as np
from scipy.signal import choose_conv_method

from convbench import api, auto, catalog, dispatching, machine
from convbench.algorithm import ConvAlgorithm, Resources
from convbench.analysis.cost_model import Measured
from convbench.analysis.dispatch import FEWEST, SCHEMA_VERSION, Dispatcher, DispatchTable, fit
from convbench.analysis.quantities import plural
from convbench.analysis.regret import Overhead, Problem, Regret, Times, always, regret
from convbench.analysis.shape_design import MOST_BYTES, MOST_FLOPS, shapes
from convbench.analysis.statistics import timed
from convbench.convolution import Pools
from convbench.errors import ConvbenchError
from convbench.measure.coordinator import Coordinator, Observer, Options
from convbench.measure.effort import Effort
from convbench.measure.workers import Launch
from convbench.operands import operands
from convbench.result import Cell, Record, RunInfo
from convbench.runs import LOADER
from convbench.spec import ConvSpec
from convbench.store import SCHEMA_VERSION as RUN_SCHEMA_VERSION
from convbench.store import RunFolder
from convbench.suite.shape_table import read_shape_table

GLANCE: Final = Effort(sample_s=2e-3, block_s=0.015, max_samples=5, warm_up_s=0.02, staged_s=0.0, yardsticks=False)
"""Many shapes, each for a moment: what a shape tells of its neighbours is worth more than its own last percent."""

MEMORY_BYTES: Final = 2**30
"""For a contender: who needs more for a shape that is no larger takes seconds to prepare, and does not win."""
REFERENCE_WORK: Final = 1e7
"""What the float64 reference of a shape may cost: some of its outputs are compared; the contract suite has seen all."""

CAREFUL: Final = replace(GLANCE, block_s=0.04, max_samples=9)
"""Of what is to be told apart by percents."""

ROUNDS_OF_TRUTH: Final = ("first", "second", "third")
"""Of fresh processes: where its arrays lie may cost a contender half of its speed, and chance alone moves them."""

SCIPY: Final = ("scipy_direct", "scipy_fft")
MOST_IMAGES: Final = 8
"""Of a batch, in evaluations."""

ROUNDS: Final = 41
CALLS: Final = 100
"""In a round of `overhead`."""

MOST_SHAPES: Final = 2000
EXPLORED: Final = 8
"""Shapes on which every contender is measured, before any is left out."""
HOPELESS: Final = 3.0
"""Times the quickest that is expected: with more, a contender is left out of a shape."""
FITTING: Final = 0.9
"""Of the budget for measuring; the rest is for fitting."""


def tune(out: Path, budget_s: float, seed: int, observer: Observer, algorithms: Sequence[str] = ()) -> DispatchTable:
    """Measure and fit, in about `budget_s`; the run's folder is `out`, which must not exist.

    Raises `UnknownAlgorithmError`, and `ConvbenchError` where there was no time for anything.
    """
    known = catalog.load()
    names = tuple(catalog.find(known, name).name for name in algorithms) or dispatching.contenders(known)
    specs = list(islice(shapes(seed), MOST_SHAPES))
    folder = RunFolder.begin(out, _info(specs, names, seed))
    field = _Field(folder, names)
    Coordinator(folder, Launch(LOADER), _options(FITTING * budget_s, field.worth), observer).run()
    measured = measurements(folder)
    if not (fitted := fit(measured)):
        raise ConvbenchError(f"the budget of {budget_s:g} s was too short to measure any algorithm {FEWEST} times")
    return DispatchTable(
        schema_version=SCHEMA_VERSION,
        machine=folder.info.machine,
        versions=folder.info.versions,
        measured_utc=folder.info.started_utc,
        measured=tuple(measured),
        fitted=fitted,
    )


def measurements(folder: RunFolder) -> list[Measured]:
    """What a run says of each contender in each of its cells: the least of its samples.

    A moment's disturbance, which two threads meet often, says nothing of a shape; a sample is itself a mean of calls.
    """
    cells = {cell.key: cell for cell in folder.info.cells}
    return [
        Measured(
            spec=cells[block.cell].spec,
            threads=cells[block.cell].threads,
            algorithm=block.algorithm,
            seconds=min(block.samples_s),
        )
        for block in folder.blocks
        if timed([block])
    ]


class Evaluation(Record):
    """How good choices are on shapes that `tune` has never measured."""

    regrets: tuple[Regret, ...]
    one_channel: tuple[Regret, ...]
    """On filters of one channel: "auto", and SciPy's own choice between its two methods."""
    overhead: Overhead


def evaluate(
    out: Path, budget_s: float, seed: int, table: Path, observer: Observer, algorithms: Sequence[str] = ()
) -> Evaluation:
    """Measure every contender on shapes that are not in the table, and see whom the table would have taken there.

    `table` is a layer table (CSV) whose rows are among the shapes, where they are no larger than `tune`'s own.
    """
    registry = catalog.load()
    names = tuple(catalog.find(registry, name).name for name in algorithms) or dispatching.contenders(registry)
    raced_among = {name: registry[name] for name in names}
    dispatcher = dispatching.known().dispatcher
    seen = {one.spec for one in dispatcher.table.measured}
    specs = [spec for spec in _alternating(shapes(seed), layers(table, seed)) if spec not in seen]

    def worth(cell: Cell) -> Sequence[str]:
        return (*names, *SCIPY) if _is_plane(cell.spec) else names

    rounds: list[dict[Problem, dict[str, float]]] = []
    for part in ROUNDS_OF_TRUTH:
        folder = RunFolder.begin(out / part, _info(specs, (*names, *SCIPY), seed))
        options = replace(_options(None if rounds else budget_s / len(ROUNDS_OF_TRUTH), worth), effort=CAREFUL)
        Coordinator(folder, Launch(LOADER), options, observer).run()
        times: dict[Problem, dict[str, float]] = {}
        for one in measurements(folder):
            times.setdefault((one.spec, one.threads), {})[one.algorithm] = one.seconds
        rounds.append(times)
        specs = list(dict.fromkeys(spec for spec, _ in times))
    ours = [_only(times, names) for times in rounds]
    by_table = {problem: dispatcher.choices(*problem, list(measured)) for problem, measured in ours[0].items()}
    table_alone = {problem: found[0].algorithm for problem, found in by_table.items() if found}
    raced = {problem: _raced(raced_among, *problem) for problem in table_alone}
    single = always(ours[0], names)
    ways = {
        '"auto": the table, and a race': raced,
        "the table alone": table_alone,
        f"always {single}": dict.fromkeys(ours[0], single),
    }
    counts = sorted({threads for _, threads in ours[0]})
    regrets = [
        regret(f"{way}, {plural(count, 'thread')}", ours, {p: name for p, name in chosen.items() if p[1] == count})
        for count in counts
        for way, chosen in ways.items()
    ]
    planes = [problem for problem in rounds[0] if _is_plane(problem[0])]
    scipys = [_only(times, SCIPY) for times in rounds]
    one_channel = [
        regret('"auto"', ours, {problem: raced[problem] for problem in planes if problem in raced}),
        regret("SciPy, of its own two methods", scipys, {problem: _scipys_choice(problem[0]) for problem in planes}),
    ]
    return Evaluation(
        regrets=tuple(one for one in regrets if one),
        one_channel=tuple(one for one in one_channel if one),
        overhead=overhead(),
    )


def overhead() -> Overhead:
    """Measured in turns; of each the median."""
    spec = ConvSpec(h=64, w=64, r=3, s=3, padding=1)
    made = operands(spec, 0)
    x, w, y = made.input, made.prepared, np.empty(spec.output_shape, spec.dtype)
    chosen = api.prepare(spec, w, threads=1)
    named = api.prepare(spec, w, threads=1, algorithm=chosen.algorithm)
    calls: dict[str, Callable[[], object]] = {
        "bare": lambda: named.prepared.execute(x, y),
        "named": lambda: named.execute(x, y),
        "auto": lambda: chosen.execute(x, y),
        "conv2d": lambda: api.conv2d(x, w, padding=1, threads=1),
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    with Pools().limited(1):
        for _ in range(ROUNDS):
            for name, call in calls.items():
                start_s = perf_counter()
                for _ in range(CALLS):
                    call()
                taken[name].append((perf_counter() - start_s) / CALLS)
    typical = {name: float(np.median(times)) for name, times in taken.items()}
    return Overhead(
        prepared_s=typical["auto"] - typical["named"],
        checked_s=typical["auto"] - typical["bare"],
        conv2d_s=typical["conv2d"] - typical["bare"],
    )


def layers(table: Path, seed: int) -> list[ConvSpec]:
    """Of a layer table, those no larger than `tune`'s own shapes, with few images, in random order."""
    found = []
    for row in read_shape_table(table, (), None):
        spec = ConvSpec(**row.settings)
        spec = replace(spec, n=min(spec.n, MOST_IMAGES))
        if spec.direct_flops <= MOST_FLOPS and spec.minimal_bytes <= MOST_BYTES:
            found.append(spec)
    return random.Random(seed).sample(list(dict.fromkeys(found)), k=len(set(found)))  # noqa: S311


def _alternating(first: Iterator[ConvSpec], second: Sequence[ConvSpec]) -> list[ConvSpec]:
    """One of either, as long as both last."""
    return list(dict.fromkeys(spec for pair in zip(first, second, strict=False) for spec in pair))


def _only(times: Times, names: Sequence[str]) -> Times:
    return {
        problem: {name: measured[name] for name in names if name in measured} for problem, measured in times.items()
    }


def _is_plane(spec: ConvSpec) -> bool:
    return spec.n == spec.c == spec.k == 1


def _raced(registry: Mapping[str, ConvAlgorithm], spec: ConvSpec, threads: int) -> str:
    w = operands(spec, 0).prepared
    with Pools().limited(threads):
        return auto.choose(registry, spec, w, Resources(threads=threads)).algorithm.name


def _scipys_choice(spec: ConvSpec) -> str:
    """`scipy.signal.choose_conv_method`, which knows no padding but its three modes."""
    made = operands(spec, 0)
    found = choose_conv_method(made.input[0, 0], made.prepared[0, 0], mode="same")
    return {"direct": "scipy_direct", "fft": "scipy_fft"}[found]


@final
@dataclass
class _Field:
    """Who is worth a start, by what has been measured so far."""

    folder: RunFolder
    names: tuple[str, ...]
    dispatcher: Dispatcher | None = None
    known: int = 0
    """Blocks that the dispatcher knows of."""

    def worth(self, cell: Cell) -> Sequence[str]:
        """All at first; then those that are not hopeless, and those of whom little is known."""
        blocks = self.folder.blocks
        if len({block.cell for block in blocks}) < 2 * EXPLORED:
            return self.names
        if self.dispatcher is None or len(blocks) >= 1.25 * self.known:
            self.dispatcher, self.known = _roughly(self.folder), len(blocks)
        choices = self.dispatcher.choices(cell.spec, cell.threads, self.names)
        if not choices:
            return self.names
        expected = {choice.algorithm: choice for choice in choices}
        least_s = min(choice.high_s for choice in choices)
        return [name for name in self.names if name not in expected or expected[name].low_s <= HOPELESS * least_s]


def _roughly(folder: RunFolder) -> Dispatcher:
    """Predictions without a fit of their own: good enough to leave someone out."""
    measured = measurements(folder)
    return Dispatcher(
        DispatchTable(
            schema_version=SCHEMA_VERSION,
            machine={},
            versions={},
            measured_utc="",
            measured=tuple(measured),
            fitted=fit(measured, roughly=True),
        )
    )


def _options(budget_s: float | None, worth: Callable[[Cell], Sequence[str]]) -> Options:
    return Options(
        effort=GLANCE,
        passes=1,
        budget_s=budget_s,
        worth=worth,
        compiling_counts=False,
        memory_limit_bytes=MEMORY_BYTES,
        reference_work=REFERENCE_WORK,
    )


def _info(specs: Sequence[ConvSpec], names: tuple[str, ...], seed: int) -> RunInfo:
    counts = dict.fromkeys((1, len(machine.usable_cores())))
    return RunInfo(
        schema_version=RUN_SCHEMA_VERSION,
        suite_name="tune",
        started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=seed,
        machine=machine.describe(),
        versions=machine.versions(),
        cells=tuple(Cell(spec=spec, threads=count) for spec in specs for count in counts),
        algorithms=names,
    )
