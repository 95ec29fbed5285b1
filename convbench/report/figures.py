"""The charts of a run: small multiples along an axis, and dots by shape where there is no axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from convbench.analysis.contenders import Contender
from convbench.analysis.groups import Fixed, Group
from convbench.analysis.sentences import place
from convbench.analysis.table import error_share, worst_agreement
from convbench.report.answers import Answers
from convbench.report.style import tick_factor, tick_memory, tick_percent, tick_plain, tick_seconds

Triple = tuple[float, float | None, float | None]


@dataclass(frozen=True)
class Metric:
    """What a chart shows of a contender: a value with its interval, or None."""

    key: str
    title: str
    unit: str
    """Of the values, as the page's charts know it: seconds, bytes, share, factor or number."""
    tick: Callable[[float, object], str]
    value: Callable[[Answers, Contender], Triple | None]
    base: int = 10
    inverted: bool = False
    shared: bool = True
    line_at: float | None = None
    zero: str = ""
    listed_title: str = ""
    note: str = ""


def _time(_: Answers, contender: Contender) -> Triple | None:
    time = contender.time
    return (time.value, time.low, time.high) if time else None


def _gflops(_: Answers, contender: Contender) -> Triple | None:
    time, flops = contender.time, contender.cell.spec.direct_flops / 1e9
    if time is None:
        return None
    return flops / time.value, flops / time.high if time.high else None, flops / time.low if time.low else None


def _behind(answers: Answers, contender: Contender) -> Triple | None:
    best = answers.winners.get(contender.cell.key)
    time = contender.time
    if time is None or best is None:
        return None
    unit = best.time.value
    return time.value / unit, time.low / unit if time.low else None, time.high / unit if time.high else None


def _accuracy(_: Answers, contender: Contender) -> Triple | None:
    worst = worst_agreement(contender.blocks)
    share = error_share(worst) if worst is not None else float("inf")
    return (share, None, None) if share < float("inf") else None


def _workspace(answers: Answers, contender: Contender) -> Triple | None:
    if "allocates" in answers.info.tags.get(contender.algorithm, ()):
        return None  # what a library takes inside its call is not known to its plan
    held = [block.workspace_bytes for block in contender.blocks if block.workspace_bytes is not None]
    return (float(max(held)), None, None) if held and contender.time else None


TIME: Final = Metric("time", "Time per call", "seconds", tick_seconds, _time, shared=False)
GFLOPS: Final = Metric(
    "gflops",
    "Direct-equivalent GFLOP/s",
    "number",
    tick_plain,
    _gflops,
    note="The work of direct convolution over the time taken, whatever the algorithm really does.",
)
BEHIND: Final = Metric("behind", "Times slower than the fastest", "factor", tick_factor, _behind, inverted=True)
ACCURACY: Final = Metric(
    "accuracy",
    "Error, as a share of the algorithm's own bound",
    "share",
    tick_percent,
    _accuracy,
    line_at=1.0,
    zero="exact",
    note="Against the float64 reference. Above 100 % a result disagrees, and is not ranked.",
)
WORKSPACE: Final = Metric(
    "workspace",
    "Workspace against time",
    "bytes",
    tick_memory,
    _workspace,
    base=4,
    zero="none",
    listed_title="Workspace",
    note="Memory held beside the operands. Down and left is better; a line joins one algorithm's cells in order. "
    "Libraries that allocate within their calls are left out.",
)
METRICS: Final = (TIME, GFLOPS, BEHIND, ACCURACY, WORKSPACE)


@dataclass(frozen=True)
class Chart:
    """One figure to draw: a metric at one number of threads, for all groups along an axis or for one list of shapes."""

    name: str
    title: str
    metric: Metric
    groups: tuple[Group, ...]


def charts(answers: Answers) -> Iterator[Chart]:
    """The figures that the run has data for, by threads, then by metric."""
    kinds: dict[tuple[str, int, bool, Fixed], list[Group]] = {}
    for group in answers.groups:
        swept = group.axis is not None
        kinds.setdefault((group.device, group.threads, swept, () if swept else group.fixed), []).append(group)
    for (device, threads, swept, fixed), found in kinds.items():
        where = place(threads, device, fixed)
        for metric in METRICS:
            shown = [group for group in found if _has_data(answers, group, metric)]
            if shown:
                name = "-".join([metric.key, *([] if swept else ["shapes"]), where.replace(" ", "").replace(",", "-")])
                title = metric.title if swept else metric.listed_title or metric.title
                yield Chart(name, f"{title}, {where}", metric, tuple(shown))


def _has_data(answers: Answers, group: Group, metric: Metric) -> bool:
    values = [
        value[0]
        for cell in group.cells
        for name in answers.info.algorithms
        if (value := metric.value(answers, answers.contenders[cell.key, name])) is not None
    ]
    return any(value > 0 for value in values)


def series(answers: Answers, group: Group, name: str, metric: Metric) -> list[tuple[Contender, Triple]]:
    """One algorithm's values along a group, cell by cell, without those that it lacks."""
    found = ((one := answers.contenders[cell.key, name], metric.value(answers, one)) for cell in group.cells)
    return [(contender, value) for contender, value in found if value is not None]


def shown_algorithms(answers: Answers, groups: Sequence[Group], metric: Metric) -> list[str]:
    """The algorithms with anything to show, in the run's order."""
    return [name for name in answers.info.algorithms if any(series(answers, group, name, metric) for group in groups)]
