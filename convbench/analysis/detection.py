"""How often a gate was right, of those times when it is known what it should have said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

from scipy import special

from convbench.analysis.outcomes import Result
from convbench.analysis.statistics import DRIFT, from_logs
from convbench.analysis.stored_baseline import FEWEST_PASSES, MARGIN, NONE, Pass, compare, judge
from convbench.result import Record

RUN: Final = 5
"""Passes of a usual run."""

STORED: Final = 20
"""Passes of a run that later ones are compared with."""

APART_S: Final = {"10 to 75 minutes": (600.0, 4500.0), "longer": (4500.0, math.inf)}
"""Between a run and the one that it is stored for: about an hour, or more."""


class Rate(Record):
    """`count` of `tries`, with Clopper and Pearson's exact 95 % interval (Biometrika 26 (1934) 404–413)."""

    count: int
    tries: int
    low: float
    high: float

    @classmethod
    def of(cls, count: int, tries: int, confidence: float = 0.95) -> Rate:
        """The rate of `count` in `tries`."""
        outside = (1 - confidence) / 2
        low = 0.0 if count == 0 else float(special.betaincinv(count, tries - count + 1, outside))
        high = 1.0 if count == tries else float(special.betaincinv(count + 1, tries - count, 1 - outside))
        return cls(count=count, tries=tries, low=low, high=high)

    @property
    def value(self) -> float:
        """The share; 0 without tries."""
        return self.count / self.tries if self.tries else 0.0

    def __str__(self) -> str:
        """`3 of 1000, 0.3 % (0.1 … 0.9)`."""
        return f"{self.count} of {self.tries}, {100 * self.value:.3g} % ({100 * self.low:.2g} … {100 * self.high:.3g})"


class Decision(Record):
    """One verdict of the gate on a contender of which it is known what it does."""

    gate: str
    """The same for all decisions of one gate."""
    workload: str
    threads: int
    share: float
    result: Result
    pairs: int
    spent_s: float
    logs: tuple[float, ...]
    """log(candidate / base) of each pair, in the order in which they were made."""
    base_s: tuple[float, ...]
    """The base's block medians."""
    rivals: dict[str, bool]
    """Whether other tools would have raised an alarm on the same samples."""
    at_s: float
    """When it was made, in seconds since 1970."""
    stored: tuple[Pass, ...]
    """The base's first passes, as a stored run has them."""
    new: tuple[Pass, ...]
    """The candidate's."""
    machine: str = ""
    """Its fingerprint: times of different machines are not to be compared."""


class Coverage(Record):
    """How often a 95 % interval over five passes held what it should, at one number of threads."""

    threads: int
    ratios: Rate
    """The ratio of two contenders that are the same: 1."""
    times: Rate
    """A contender's time: the median of all other processes of the same gate, within a few minutes."""
    drifted: Rate
    """Its median over the whole selftest, whatever the machine did in between."""


class Line(Record):
    """What came of one share at one number of threads."""

    threads: int
    share: float
    found: Rate
    """Alarms: "slower", and without extra work "faster" too."""
    undecided: Rate
    seconds: float
    """The median time until a decision."""
    most_seconds: float
    """What 19 of 20 decisions took at most."""
    rivals: dict[str, Rate]


def table(decisions: Sequence[Decision]) -> list[Line]:
    """A line for each number of threads and share."""
    lines = []
    for threads in sorted({decision.threads for decision in decisions}):
        for share in sorted({decision.share for decision in decisions}):
            some = [one for one in decisions if (one.threads, one.share) == (threads, share)]
            if not some:
                continue
            alarms = (Result.SLOWER,) if share else (Result.SLOWER, Result.FASTER)
            names = dict.fromkeys(name for one in some for name in one.rivals)
            lines.append(
                Line(
                    threads=threads,
                    share=share,
                    found=Rate.of(sum(one.result in alarms for one in some), len(some)),
                    undecided=Rate.of(sum(one.result is Result.INCONCLUSIVE for one in some), len(some)),
                    seconds=median(one.spent_s for one in some),
                    most_seconds=sorted(one.spent_s for one in some)[math.ceil(0.95 * len(some)) - 1],
                    rivals={
                        name: Rate.of(sum(one.rivals.get(name, False) for one in some), len(some)) for name in names
                    },
                )
            )
    return lines


def coverage(decisions: Sequence[Decision]) -> list[Coverage]:
    """From contenders without extra work: a pair is a pass, and the first five of each decision are a run."""
    lines = []
    for threads in sorted({decision.threads for decision in decisions}):
        some = [one for one in decisions if one.threads == threads and len(one.logs) >= RUN]
        ratios: list[bool] = []
        times: list[bool] = []
        drifted: list[bool] = []
        for one in some:
            if one.share:
                continue
            alike = [other for other in some if other is not one and _place(other) == _place(one)]
            then = [other for other in alike if other.gate == one.gate]
            run = from_logs([math.log(s) for s in one.base_s[:RUN]], RUN, DRIFT)
            ratios.append(bool(from_logs(one.logs[:RUN], RUN).contains(1.0)))
            if then:
                times.append(bool(run.contains(_middle(then))))
            if alike:
                drifted.append(bool(run.contains(_middle(alike))))
        if ratios:
            found = (Rate.of(sum(held), len(held)) for held in (ratios, times, drifted))
            lines.append(Coverage(threads=threads, **dict(zip(("ratios", "times", "drifted"), found, strict=True))))
    return lines


def _place(decision: Decision) -> tuple[str, str, int]:
    """What a time belongs to."""
    return decision.machine, decision.workload, decision.threads


def _middle(decisions: Sequence[Decision]) -> float:
    """The median time of all bases, which do the same work whatever the candidate's share."""
    return median(s for one in decisions for s in one.base_s)


def false_gates(decisions: Sequence[Decision]) -> Rate:
    """Gates that raised an alarm about anything that had not changed."""
    gates = {one.gate for one in decisions if not one.share}
    wrong = {one.gate for one in decisions if not one.share and one.result in (Result.SLOWER, Result.FASTER)}
    return Rate.of(len(wrong), len(gates))


class Drift(Record):
    """What became of runs that were stored: the alarms of those measured later."""

    threads: int
    share: float
    apart: str
    """Which of `APART_S`."""
    raw: Rate
    """More than half of the margin by times alone."""
    gate: Rate
    """By yardsticks, and confirmed by the run after it, as `gate --against RUN` does."""


def drift(decisions: Sequence[Decision]) -> list[Drift]:
    """Each gate's bases as a stored run of a workload, against the candidates of later gates."""
    lines = []
    for threads, share in sorted({(one.threads, one.share) for one in decisions}):
        places = dict.fromkeys(_place(one) for one in decisions if one.threads == threads)
        found = [_runs([one for one in decisions if _place(one) == place], share) for place in places]
        for apart, (least_s, most_s) in APART_S.items():
            raw: list[bool] = []
            gate: list[bool] = []
            for runs in found:
                for run in runs:
                    later = [one for one in runs if least_s <= one.at_s - run.at_s < most_s]
                    raw += [_raw_change(run, one) > math.log1p(MARGIN) / 2 for one in later]
                    slower = [_is_slower(run, one) for one in later]
                    gate += [first and again for first, again in pairwise(slower)]
            if gate:
                rates = {"raw": Rate.of(sum(raw), len(raw)), "gate": Rate.of(sum(gate), len(gate))}
                lines.append(Drift(threads=threads, share=share, apart=apart, **rates))
    return lines


class _Run(NamedTuple):
    """What a gate's processes say of a workload: passes of it as it is, and of it or a slower one."""

    at_s: float
    stored: list[Pass]
    new: list[Pass]


def _runs(decisions: Sequence[Decision], share: float) -> list[_Run]:
    """The first passes of each gate, where there are enough; twins of a contender are the same contender."""
    gates: dict[str, list[Decision]] = {}
    for one in sorted(decisions, key=lambda one: one.at_s):
        gates.setdefault(one.gate, []).append(one)
    runs = [
        _Run(
            some[0].at_s,
            [made for one in some if not one.share for made in one.stored][:STORED],
            [made for one in some if one.share == share for made in one.new][:STORED],
        )
        for some in gates.values()
    ]
    return [run for run in runs if min(len(run.stored), len(run.new)) >= FEWEST_PASSES]


def _raw_change(stored: _Run, new: _Run) -> float:
    before, after = ([one[NONE] for one in side] for side in (stored.stored, new.new))
    return median(after) - median(before)


def _is_slower(stored: _Run, new: _Run) -> bool:
    found = compare(stored.stored, new.new)
    return found is not None and judge(found, MARGIN) is Result.SLOWER


def smallest_seen(lines: Sequence[Line], threads: int, at_least: float = 0.95) -> float | None:
    """The smallest share of those tried that was found at least so often; None where none was."""
    seen = [line.share for line in lines if line.threads == threads and line.share and line.found.value >= at_least]
    return min(seen, default=None)
