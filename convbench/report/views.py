"""What the page's tables hold: text and numbers, ready to be shown."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from convbench.analysis.comparison import Change, Comparison, Verdict, mean_text
from convbench.analysis.contenders import Contender
from convbench.analysis.crossovers import Crossed
from convbench.analysis.quantities import factor, memory, percent, plural, seconds, significant, within
from convbench.analysis.sentences import cell_name, factor_with_interval, finding, gaps, place, winner_sentence
from convbench.analysis.statistics import Estimate
from convbench.analysis.table import error_share, worst_agreement
from convbench.report.answers import Answers
from convbench.report.markdown import interval
from convbench.result import Cell, Row, Status


@dataclass(frozen=True)
class Value:
    """A table's cell: what is shown, what it sorts by, and more on hovering."""

    text: str
    sort: float | str | None = None
    hint: str = ""


@dataclass(frozen=True)
class Square:
    """A cell of a map; `look` is its CSS classes: the winner's colour, and whether it is a tie."""

    text: str
    look: str
    detail: str
    hint: str


@dataclass(frozen=True)
class CellMap:
    """A plane of squares."""

    title: str
    axis: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Square | None, ...]], ...]


def winner_maps(answers: Answers) -> Iterator[CellMap]:
    """Who is fastest."""
    return cell_maps(answers, lambda cell: square(answers, cell))


def cell_maps(answers: Answers, draw: Callable[[Cell], Square | None]) -> Iterator[CellMap]:
    """One map for each device and number of threads."""
    for plane in answers.planes:
        rows = tuple((name, tuple(None if cell is None else draw(cell) for cell in row)) for name, row in plane.rows)
        yield CellMap(place(plane.threads, plane.device, ()), plane.axis, tuple(map(str, plane.columns)), rows)


FAR: Final = 3.0


def ratio_look(ratio: Estimate, *, is_tie: bool) -> str:
    """How a ratio's square looks: a tie, or the side whose time is on top behind, ahead, or far ahead."""
    if is_tie:
        return "tie"
    if ratio.value < 1:
        return "behind"
    return "far" if ratio.value >= FAR else "ahead"


def square(answers: Answers, cell: Cell) -> Square:
    """A cell's winner, as the map shows it."""
    best = answers.winners.get(cell.key)
    where = f"{cell_name(cell)}: "
    if best is None:
        return Square("none", "", "nobody passed", f"{where}nobody passed")
    look = f"a{answers.info.algorithms.index(best.algorithm)}" + " tie" * best.is_tie
    more = f" ≈ {plural(len(best.tied) - 1, 'other')}" if best.is_tie else ""
    margin = f"{factor(best.margin.value)}" if best.margin and not best.is_tie else more.strip()
    return Square(best.algorithm, look, margin or "alone", where + winner_sentence(best))


def shape_lists(answers: Answers) -> Iterator[tuple[str, list[list[Value]]]]:
    """For each list of shapes: its winners, one a line."""
    for group in answers.groups:
        if group.axis is None:
            lines = []
            for cell in group.cells:
                best = answers.winners.get(cell.key)
                time = best.time if best else None
                lines.append(
                    [
                        Value(cell_name(cell), hint=cell.spec.id),
                        Value(winner_sentence(best) if best else "nobody passed"),
                        Value(seconds(time.value if time else None), time.value if time else None),
                        Value(interval(time) if time else "–"),
                    ]
                )
            yield place(group.threads, group.device, ()), lines


def total_lines(answers: Answers) -> Iterator[tuple[str, list[list[Value]]]]:
    """For each list of shapes: what it costs in all with each algorithm, and with the best of each shape."""
    for group, found in answers.totals:
        lines = [
            [
                Value(one.algorithm or "the best of each shape"),
                Value(seconds(one.time.value), one.time.value),
                Value(interval(one.time)),
                Value("–") if one.behind is None else Value(factor_with_interval(one.behind), one.behind.value),
            ]
            for one in found
        ]
        yield place(group.threads, group.device, ()), lines


def crossover_lines(answers: Answers) -> Iterator[list[Value]]:
    """Where, what was found, at what value, and with what interval."""
    for one in answers.crossovers:
        curve, outcome = one.curve, one.outcome
        at, span = Value("–"), Value("–")
        if isinstance(outcome, Crossed):
            value, _, interval_text = within(outcome.value, outcome.low, outcome.high).partition(" (95 %: ")
            at = Value(f"{curve.crossing.axis} {value}", outcome.value)
            span = Value(interval_text.removesuffix(")"), outcome.high - outcome.low)
        yield [Value(place(curve.threads, curve.device, curve.fixed)), Value(finding(one) + gaps(curve)), at, span]


def result_lines(answers: Answers) -> Iterator[list[Value]]:
    """The full table: a line a cell and contender."""
    for row, contender in zip(answers.rows, answers.contenders.values(), strict=True):
        best = answers.winners.get(contender.cell.key)
        behind = row.median_s / best.time.value if row.median_s is not None and best is not None else None
        share = error_share(worst) if (worst := worst_agreement(contender.blocks)) is not None else None
        spread = contender.time.spread if contender.time else None
        width = contender.time.half_width if contender.time and contender.time.has_interval else None
        yield [
            Value(cell_name(contender.cell), hint=row.spec),
            Value(str(row.threads), row.threads),
            Value(row.algorithm, hint="" if row.precision == "strict" else f"{row.precision}: not ranked with strict"),
            Value(row.status.replace("_", " "), hint=row.reason),
            Value(seconds(row.median_s), row.median_s),
            Value(
                f"±{percent(width)}" if width is not None else "one pass" if row.median_s is not None else "–",
                width,
                _spread_hint(contender, spread),
            ),
            Value(factor(behind) if behind is not None else "–", behind),
            Value(significant(row.direct_gflops_per_s) if row.direct_gflops_per_s else "–", row.direct_gflops_per_s),
            Value(percent(row.of_roofline) if row.of_roofline else "–", row.of_roofline),
            Value(percent(share) if share is not None else "–", share),
            Value(seconds(row.plan_s), row.plan_s),
            Value(seconds(row.prepare_s), row.prepare_s),
            Value(memory(row.workspace_bytes), row.workspace_bytes),
            Value(memory(row.peak_rss_bytes), row.peak_rss_bytes),
            _cold(row),
            Value(str(row.passes), row.passes),
            Value(repro_line(row)),
        ]


DEVICE_COLUMNS: Final = (
    "cell",
    "algorithm",
    "time on the device",
    "a call, as the host sees it",
    "x there",
    "y back",
    "all three",
    "device memory",
)


def device_lines(answers: Answers) -> Iterator[list[Value]]:
    """What contenders on a device cost beside its own time: a line each, and none for those on the host."""
    for row, contender in zip(answers.rows, answers.contenders.values(), strict=True):
        if row.latency_s is None or row.upload_s is None or row.download_s is None:
            continue
        parts = (row.median_s, row.latency_s, row.upload_s, row.download_s)
        whole_s = row.latency_s + row.upload_s + row.download_s
        yield [
            Value(cell_name(contender.cell), hint=row.spec),
            Value(row.algorithm),
            *(Value(seconds(part), part) for part in (*parts, whole_s)),
            Value(memory(row.device_bytes), row.device_bytes),
        ]


def _cold(row: Row) -> Value:
    """The time with cold caches, and how many times the hot one that is."""
    if row.cold_median_s is None or not row.median_s:
        return Value("–")
    return Value(f"{seconds(row.cold_median_s)} ({factor(row.cold_median_s / row.median_s)})", row.cold_median_s)


def _spread_hint(contender: Contender, spread: tuple[float, float] | None) -> str:
    if contender.time is None:
        return ""
    if spread is not None:
        return f"no interval from one pass; half of its samples lie in {seconds(spread[0])}–{seconds(spread[1])}"
    return f"95 %: {interval(contender.time)}, {contender.time.samples} samples in {contender.time.passes} passes"


def repro_line(row: Row) -> str:
    """The command that measures one row again."""
    device = "" if row.device == "cpu" else f" --device {row.device}"
    return f"convbench run {shlex.quote(row.spec)} --algorithms {row.algorithm} --threads {row.threads}{device}"


def agreement_lines(answers: Answers) -> Iterator[list[Value]]:
    """A line an algorithm: its norm, how close it came to its bound, where, and how much was compared."""
    for name in answers.info.algorithms:
        checked = [
            (contender, worst)
            for contender in answers.contenders.values()
            if contender.algorithm == name and (worst := worst_agreement(contender.blocks)) is not None
        ]
        wrong = sum(row.status is Status.DISAGREED for row in answers.rows if row.algorithm == name)
        if not checked:
            if wrong:
                yield [
                    Value(name),
                    Value("–"),
                    Value("0", 0),
                    Value(str(wrong), wrong),
                    Value("–"),
                    Value("–"),
                    Value("–"),
                ]
            continue
        contender, worst = max(checked, key=lambda pair: error_share(pair[1]))
        parts = sum(verdict.compared < verdict.outputs for _, verdict in checked)
        compared = f"all outputs; a sample in {plural(parts, 'cell')}" if parts else "all outputs"
        yield [
            Value(name),
            Value(worst.norm),
            Value(str(len(checked)), len(checked)),
            Value(str(wrong), wrong),
            Value(f"{worst.error:.2g} of {worst.bound:.2g} ({percent(error_share(worst))})", error_share(worst)),
            Value(f"{cell_name(contender.cell)}, {plural(contender.cell.threads, 'thread')}"),
            Value(compared if parts < len(checked) else "a sample of the outputs"),
        ]


def planning_lines(answers: Answers) -> Iterator[list[Value]]:
    """A line an algorithm: its plan times, and what it had to compile."""
    for one in answers.planning:
        compiled = f"{plural(one.kernels, 'kernel')}, {seconds(one.compile_s)}" if one.kernels else "–"
        yield [
            Value(one.algorithm),
            Value(seconds(one.median_s), one.median_s),
            Value(seconds(one.longest_s), one.longest_s, one.longest_cell),
            Value(seconds(one.first_s), one.first_s),
            Value(compiled, one.compile_s),
        ]


def facts(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A nested mapping as name and text, one line a leaf."""
    for name, value in values.items():
        label = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from facts(value, f"{label}: ")
        elif isinstance(value, list | tuple):
            yield label, ", ".join(map(str, value))
        elif isinstance(value, int) and str(name).endswith("_bytes"):
            yield label.removesuffix(" bytes"), memory(value)
        else:
            yield label, "–" if value in (None, "") else f"{value:.4g}" if isinstance(value, float) else str(value)


def comparison_lines(base: Answers, comparisons: Sequence[Comparison]) -> Iterator[list[Value]]:
    """For each cell and contender of the first run: its time there, and the others' ratios to it."""
    found = [{(one.base.cell.key, one.base.algorithm): one for one in each.changes} for each in comparisons]
    for key, contender in base.contenders.items():
        changes = [each.get(key) for each in found]
        if not any(changes):
            continue
        yield [
            Value(cell_name(contender.cell), hint=contender.cell.spec.id),
            Value(changes[0].threads if changes[0] else str(contender.cell.threads), contender.cell.threads),
            Value(contender.algorithm),
            _time(contender),
            *map(_change, changes),
        ]


def _change(one: Change | None) -> Value:
    if one is None:
        return Value("–")
    if one.ratio is None:
        return _time(one.new)
    verdict = f" {one.verdict}" if one.verdict in (Verdict.SLOWER, Verdict.FASTER) else ""
    hint = "" if one.new.time is None else seconds(one.new.time.value)
    return Value(factor_with_interval(one.ratio) + verdict, one.ratio.value, hint)


def mean_lines(found: Comparison) -> Iterator[list[Value]]:
    """An algorithm's times now over those before, in the geometric mean."""
    for name, mean in found.by_algorithm.items():
        yield [Value(name), Value(mean_text(mean), mean[0])]


def _time(one: Contender | None) -> Value:
    if one is None or one.time is None:
        return Value("–" if one is None else one.status.replace("_", " "))
    return Value(seconds(one.time.value), one.time.value, f"95 %: {interval(one.time)}")
