"""Plan, prepare and execute side by side, and the stages inside execute, ready to be shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from convbench.analysis.phases import Cost, Payback, Phases, Reuse, Verdict
from convbench.analysis.quantities import factor, percent, seconds
from convbench.analysis.sentences import cell_name, envelope_sentence, place
from convbench.analysis.stages import Stage, Staged
from convbench.report.answers import Answers
from convbench.report.markdown import interval
from convbench.report.views import Value

COST_HEAD: Final = (
    "cell",
    "algorithm",
    "plan",
    "prepare",
    "execute",
    "first image",
    "pays for itself after, one filter",
    "a new filter each",
)
ENVELOPE_HEAD: Final = ("cell", "one filter for all images", "a new filter for each image")

SLOTS: Final = {
    "input transform": 0,
    "forward transform": 0,
    "horizontal pass": 0,
    "product": 1,
    "convolution": 1,
    "output transform": 2,
    "inverse transform": 2,
    "vertical pass": 2,
    "filter transform": 3,
    "spread": 3,
    "gather columns": 4,
    "gather tiles": 4,
    "fill tiles": 4,
    "fill lines": 4,
    "clear output": 5,
    "scatter tiles": 6,
    "scatter columns": 6,
}
"""Which of the page's seven colours: stages that do the same have the same."""


@dataclass(frozen=True)
class Piece:
    """A stage as a piece of a bar."""

    slot: int
    width: float
    name: str
    text: str
    hint: str


@dataclass(frozen=True)
class Bar:
    """A contender's stages."""

    cell: Value
    algorithm: str
    pieces: list[Piece]
    total: str
    of_execute: Value


@dataclass(frozen=True)
class Place:
    """The tables of one device and number of threads."""

    title: str
    envelopes: list[list[Value]]
    costs: list[list[Value]]
    bars: list[Bar]


def places(answers: Answers) -> Iterator[Place]:
    """One for each device and number of threads that has anything to compare."""
    looks = slots(answers)
    kinds = dict.fromkeys((one.cell.device, one.cell.threads) for one in answers.phases)
    for device, threads in sorted(kinds):
        here = [one for one in answers.phases if (one.cell.device, one.cell.threads) == (device, threads)]
        yield Place(
            place(threads, device, ()),
            [list(_envelopes(one)) for one in here],
            [list(_cost(one, cost)) for one in here for cost in one.costs],
            [_bar(one, looks) for one in stages_at(answers, device, threads)],
        )


def stages_at(answers: Answers, device: str, threads: int) -> list[Staged]:
    """Whoever tells stages there."""
    cells = ((one, one.contender.cell) for one in answers.stages)
    return [one for one, cell in cells if (cell.device, cell.threads) == (device, threads)]


def slots(answers: Answers) -> dict[str, int]:
    """Stage → colour; what a third party calls its stages takes turns."""
    names = dict.fromkeys(stage.name for one in answers.stages for stage in one.stages)
    foreign = [name for name in names if name not in SLOTS]
    return SLOTS | {name: index % 7 for index, name in enumerate(foreign)}


def stages_text(one: Staged) -> str:
    """`input transform 141 µs (23 %), product 374 µs (61 %), output transform 95 µs (16 %)`."""
    return ", ".join(f"{stage.name} {_stage_text(stage)}" for stage in one.stages)


def _stage_text(stage: Stage) -> str:
    return f"{seconds(stage.time.value)} ({percent(stage.share)})"


def payback_text(one: Payback) -> str:
    """`3`, `41 (38–45)`, `never`, `cannot be told`; nothing for the one that is cheapest at once."""
    if one.verdict is Verdict.BASE:
        return "–"
    if one.images is None:
        return str(one.verdict)
    spread = f" ({one.low}–{one.high})" if one.low != one.high else ""
    return f"{one.images}{spread}"


def _envelopes(one: Phases) -> Iterator[Value]:
    yield Value(cell_name(one.cell), hint=one.cell.spec.id)
    for reuse in Reuse:
        yield Value(envelope_sentence(one.envelopes[reuse]))


def _cost(one: Phases, cost: Cost) -> Iterator[Value]:
    yield Value(cell_name(one.cell), hint=one.cell.spec.id)
    yield Value(cost.algorithm)
    for spent_s in (cost.plan_s, cost.prepare_s, cost.execute_s, cost.first_s):
        yield Value(seconds(spent_s), spent_s)
    for reuse in Reuse:
        payback = one.paybacks[cost.algorithm, reuse]
        yield Value(payback_text(payback), payback.images, _hint(payback, one.costs[0].algorithm))


def _hint(payback: Payback, base: str) -> str:
    match payback.verdict:
        case Verdict.BASE:
            return "the cheapest for one image, which the others are compared with"
        case Verdict.NEVER:
            return f"takes longer than {base} for each image, too"
        case Verdict.UNCLEAR:
            return f"not told apart from {base} in time for an image; one pass in common tells but factors above 3"
        case _:
            return f"images until it has cost no more than {base}; in brackets the 95 % interval"


def _bar(one: Staged, looks: Mapping[str, int]) -> Bar:
    cell, ratio = one.contender.cell, one.of_execute
    return Bar(
        Value(cell_name(cell), hint=cell.spec.id),
        one.contender.algorithm,
        [
            Piece(looks[stage.name], stage.share, stage.name, _stage_text(stage), _stage_hint(stage))
            for stage in one.stages
        ],
        seconds(one.total_s),
        Value(
            factor(ratio.value),
            hint=f"95 %: {factor(ratio.low)}–{factor(ratio.high)}" if ratio.low and ratio.high else "",
        ),
    )


def _stage_hint(stage: Stage) -> str:
    spread = f"; 95 %: {interval(stage.time)}" if stage.time.has_interval else ""
    return f"{stage.name}: {_stage_text(stage)}{spread}"
