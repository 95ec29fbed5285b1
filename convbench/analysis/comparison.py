"""Two runs of other machines, commits, versions or thread counts: what differs, what changed, which crossovers moved.

Nothing was interleaved, so the machine's drift between the runs is in every ratio: a change of less than 3 % is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

import numpy as np

from convbench.analysis.contenders import Contender, Contenders
from convbench.analysis.crossovers import Crossed, Crossover, Curve, OneSided
from convbench.analysis.quantities import factor, plural
from convbench.analysis.sentences import cell_name, factor_with_interval, finding, place
from convbench.analysis.statistics import Estimate, independent_ratio
from convbench.result import Cell, RunInfo, Status

MATTERS: Final = math.log(1.03)
"""What the machine does by itself between two runs, at least."""

IGNORED: Final = ("ceilings", "fingerprint", "environment")
"""Of a machine's facts: measured anew in each run, or made of the others."""
OPTIONS: Final = ("passes", "budget_s", "quick", "input", "cold")


class Verdict(StrEnum):
    """What became of a contender in a cell."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    UNCERTAIN = "uncertain"
    LOST = "lost"
    """It has no time any more."""
    GAINED = "gained"


@dataclass(frozen=True)
class Change:
    """A contender in a cell that both runs have."""

    base: Contender
    new: Contender
    ratio: Estimate | None
    """New time / base time."""

    @property
    def verdict(self) -> Verdict:
        """By the ratio and its interval."""
        if self.ratio is None:
            return Verdict.LOST if self.new.time is None else Verdict.GAINED
        certain = self.ratio.contains(1.0) is False
        if certain and abs(math.log(self.ratio.value)) > MATTERS:
            return Verdict.SLOWER if self.ratio.value > 1 else Verdict.FASTER
        small = self.ratio.has_interval and max(
            abs(math.log(end)) for end in (self.ratio.low or 1.0, self.ratio.high or 1.0)
        )
        return Verdict.SAME if certain or (small and small <= 2 * MATTERS) else Verdict.UNCERTAIN

    @property
    def name(self) -> str:
        """Of the cell."""
        return cell_name(self.base.cell)

    @property
    def threads(self) -> str:
        """`2`, or `1 → 2` where the runs differ in that."""
        before, after = self.base.cell.threads, self.new.cell.threads
        return str(before) if before == after else f"{before} → {after}"


@dataclass(frozen=True)
class Shift:
    """A crossover in both runs."""

    where: str
    base: Crossover
    new: Crossover

    @property
    def moved(self) -> bool:
        """Whether both are placed, with intervals apart; or one of them is, and in the other one side always leads."""
        before, after = self.base.outcome, self.new.outcome
        if isinstance(before, Crossed) and isinstance(after, Crossed):
            return before.low > after.high or after.low > before.high or before.overtaker != after.overtaker
        answered = {type(before), type(after)}
        return answered == {Crossed, OneSided}

    def sentence(self) -> str:
        """`1 thread, image 256: fft overtakes direct at kernel 22 (95 %: 21–23); now at kernel 26 (25–27)`."""
        before, after = finding(self.base), finding(self.new)
        return f"{self.where}: {before}" + ("; and so it is now" if before == after else f"; now: {after}")


@dataclass(frozen=True)
class Comparison:
    """What to know of two runs."""

    base: RunInfo
    new: RunInfo
    before: Contenders
    after: Contenders
    crossovers: tuple[tuple[Crossover, ...], tuple[Crossover, ...]]

    @cached_property
    def by_problem(self) -> bool:
        """Whether cells are matched by their problem alone: the runs have no thread count in common."""
        return not {cell.key for cell in self.base.cells} & {cell.key for cell in self.new.cells}

    @cached_property
    def changes(self) -> list[Change]:
        """Of every contender in every cell that both have, where either has a time; in the base's order."""
        there = {(self._place(one.cell), one.algorithm): one for one in self.after.values()}
        found = []
        for base in self.before.values():
            new = there.get((self._place(base.cell), base.algorithm))
            if new is None or (base.time is None and new.time is None):
                continue
            timed = base.time is not None and new.time is not None
            found.append(Change(base, new, independent_ratio(new.blocks, base.blocks) if timed else None))
        return found

    @cached_property
    def shifts(self) -> list[Shift]:
        """The crossovers that both runs look for."""
        there = {self._curve_place(one.curve): one for one in self.crossovers[1]}
        found = []
        for base in self.crossovers[0]:
            new = there.get(self._curve_place(base.curve))
            if new is not None:
                threads: int | str | None = base.curve.threads
                if self.by_problem and threads and new.curve.threads:
                    threads = f"{threads} → {plural(new.curve.threads, 'thread')}"
                where = place(threads, base.curve.device, base.curve.fixed)
                found.append(Shift(where, base, new))
        return found

    @cached_property
    def by_algorithm(self) -> dict[str, tuple[float, int]]:
        """New time / base time in the geometric mean, and in how many cells."""
        logs: dict[str, list[float]] = {}
        for change in self.changes:
            if change.ratio is not None:
                logs.setdefault(change.base.algorithm, []).append(math.log(change.ratio.value))
        return {name: (math.exp(float(np.mean(some))), len(some)) for name, some in logs.items()}

    @cached_property
    def differences(self) -> list[tuple[str, str, str]]:
        """(what, in the base, in the new run), of all that may explain a change."""
        return list(_differences(self.base, self.new))

    def sentences(self) -> Iterator[str]:
        """What to quote."""
        counts = {verdict: [one for one in self.changes if one.verdict is verdict] for verdict in Verdict}
        if not self.changes:
            yield "The runs have no problem and algorithm in common."
            return
        told = [f"{len(counts[verdict])} {verdict}" for verdict in Verdict if counts[verdict]]
        matched = ", matched by their problems, as the thread counts differ" if self.by_problem else ""
        yield f"Of {plural(len(self.changes), 'contender')} in cells that both runs have{matched}: {', '.join(told)}."
        for verdict, extreme, told_as in ((Verdict.SLOWER, max, "Slowed"), (Verdict.FASTER, min, "Quickened")):
            if counts[verdict]:
                most = extreme(counts[verdict], key=lambda one: one.ratio.value if one.ratio else 1.0)
                assert most.ratio is not None
                word = "thread" if most.threads == "1" else "threads"
                text = f"{most.base.algorithm}, {most.name}, {most.threads} {word}: {factor_with_interval(most.ratio)}"
                yield f"{told_as} the most: {text} of its time before."
        moved = [shift for shift in self.shifts if shift.moved]
        if self.shifts:
            yield f"{len(moved)} of {plural(len(self.shifts), 'crossover')} moved by more than the data's doubt."

    def _place(self, cell: Cell) -> str:
        return f"{cell.spec.id}@{cell.device}" if self.by_problem else cell.key

    def _curve_place(self, curve: Curve) -> tuple[object, ...]:
        crossing = curve.crossing
        threads = None if self.by_problem else curve.threads
        return crossing.axis, crossing.start, crossing.to, curve.device, curve.fixed, threads


def _differences(base: RunInfo, new: RunInfo) -> Iterator[tuple[str, str, str]]:
    counts = [sorted({cell.threads for cell in info.cells}) for info in (base, new)]
    pairs: list[tuple[str, Any, Any]] = [
        ("suite", base.suite_name, new.suite_name),
        ("suite's text", base.suite_sha256[:12], new.suite_sha256[:12]),
        ("threads", ", ".join(map(str, counts[0])), ", ".join(map(str, counts[1]))),
        ("commit", base.git_commit, new.git_commit),
        ("seed", base.seed, new.seed),
        *_paired(base.machine, new.machine, IGNORED),
        *_paired(base.versions, new.versions),
        *((name, base.options.get(name), new.options.get(name)) for name in OPTIONS),
    ]
    for name, before, after in pairs:
        if before != after:
            yield name.replace("_", " "), _text(before), _text(after)


def _paired(
    base: Mapping[str, Any], new: Mapping[str, Any], ignored: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys((*base, *new)):
        if name not in ignored:
            yield name, base.get(name), new.get(name)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items()) or "–"
    return "–" if value in (None, "") else str(value)


def ratio_text(change: Change) -> str:
    """`1.04× (1.02–1.06)`, or what it is now."""
    if change.ratio is not None:
        return factor_with_interval(change.ratio)
    one = change.new if change.new.status is not Status.PASSED else change.base
    return one.status.replace("_", " ")


def mean_text(mean: tuple[float, int]) -> str:
    """`0.98× in 24 cells`."""
    return f"{factor(mean[0])} in {plural(mean[1], 'cell')}"
