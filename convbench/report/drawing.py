"""Charts on paper: matplotlib figures, laid out in inches so that nothing ever overlaps."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from convbench.analysis.crossovers import Crossed
from convbench.analysis.groups import Group
from convbench.analysis.quantities import within
from convbench.analysis.sentences import cell_name
from convbench.report.answers import Answers
from convbench.report.figures import TIME, WORKSPACE, Chart, Triple, series, shown_algorithms
from convbench.report.style import (
    FAINT,
    FONT_PT,
    GRID,
    INK,
    Style,
    log_ticks,
    pushed_apart,
    spaced,
    styles,
    tick_seconds,
)
from convbench.result import Cell

_CHARACTER_IN: Final = 0.56 * FONT_PT / 72  # DejaVu Sans is wide: other fonts only leave more room
_PANEL_WIDTH_IN: Final = 5.2
_PANEL_HEIGHT_IN: Final = 3.3
_TICKS_IN: Final = 0.68
_TITLE_IN: Final = 0.34
_HEAD_IN: Final = 0.36
_FOOT_IN: Final = 0.48
_ROW_IN: Final = 0.26


def draw(answers: Answers, chart: Chart) -> Figure:
    """A chart as a figure, drawn with the object interface: nothing global is touched."""
    with matplotlib.rc_context({"text.parse_math": False}):  # a name with a $ is not a formula
        figure = _by_shape(answers, chart) if chart.groups[0].axis is None else _along_axis(answers, chart)
    FigureCanvasAgg(figure)
    return figure


def svg(figure: Figure) -> str:
    """The figure as SVG with its text as text, the same bytes for the same data."""
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "convbench"}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    # A tenth of a thousandth of a point is nothing that anyone sees, and half of the file.
    return re.sub(r"(\d+\.\d\d)\d+", r"\1", file.getvalue())


def png(figure: Figure) -> bytes:
    """The figure as PNG on white."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=144, facecolor="white", metadata={"Software": None})
    return file.getvalue()


# --- along an axis --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _End:
    """Where a line ends, and whose it is."""

    name: str
    style: Style
    x: float
    y: float


def _along_axis(answers: Answers, chart: Chart) -> Figure:
    groups, metric = chart.groups, chart.metric
    names = shown_algorithms(answers, groups, metric)
    label_in = max(len(name) for name in names) * _CHARACTER_IN + 0.35
    columns = min(len(groups), 2)
    rows = math.ceil(len(groups) / columns)
    panel_in = max(_PANEL_HEIGHT_IN, len(names) * 0.155 + _HEAD_IN + _FOOT_IN)
    width, height = columns * _PANEL_WIDTH_IN, rows * panel_in + _TITLE_IN
    size = (_PANEL_WIDTH_IN - _TICKS_IN - label_in, panel_in - _HEAD_IN - _FOOT_IN)
    figure = Figure(figsize=(width, height))
    _title(figure, chart.title)
    floor = _floor(answers, chart)
    panels: list[tuple[Group, Axes, list[_End]]] = []
    for index, group in enumerate(groups):
        row, column = divmod(index, columns)
        left, bottom = column * _PANEL_WIDTH_IN + _TICKS_IN, (rows - 1 - row) * panel_in + _FOOT_IN
        axes = figure.add_axes((left / width, bottom / height, size[0] / width, size[1] / height))
        panels.append((group, axes, _panel(axes, answers, group, chart, floor, size[0] * 72)))
    limits = [limit for _, axes, _ in panels for limit in axes.get_ylim()]
    for group, axes, ends in panels:
        low, high = (min(limits), max(limits)) if metric.shared else axes.get_ylim()
        if metric is TIME:
            low = _mark_crossovers(axes, answers, group, (low, high), size)
        axes.set_ylim((high, low) if metric.inverted else (low, high))
        ticks = log_ticks(low, high, metric.base)
        if metric.zero and low <= floor:
            ticks = [floor, *(tick for tick in ticks if tick > floor * 1.5)]
        axes.set_yticks(ticks, [metric.zero if metric.zero and t == floor else metric.tick(t, None) for t in ticks])
        axes.minorticks_off()
        _name_lines(axes, ends, size[1] * 72, led=metric is not WORKSPACE)
    return figure


def _panel(axes: Axes, answers: Answers, group: Group, chart: Chart, floor: float, width_pt: float) -> list[_End]:
    """Draw one group's lines; where each ends."""
    looks, ends = styles(answers.info), []
    axes.set_yscale("log")
    _frame(axes)
    title = ", ".join(f"{name} {value}" for name, value in group.fixed)
    axes.set_title(title, loc="left", fontsize=FONT_PT + 1, color=INK)
    for name in answers.info.algorithms:
        found = series(answers, group, name, chart.metric)
        if not found:
            continue
        if chart.metric is WORKSPACE:
            xs = [one.time.value for one, _ in found if one.time]
        else:
            xs = [_at(one.cell, group) for one, _ in found]
        values = [(max(value, floor), low, high) for _, (value, low, high) in found]
        _line(axes, xs, values, looks[name], hollow=[one.time is not None and one.time.passes < 2 for one, _ in found])
        ends.append(_End(name, looks[name], xs[-1], values[-1][0]))
    if chart.metric is WORKSPACE:
        axes.set_xscale("log")
        ticks = log_ticks(*axes.get_xlim())
        axes.set_xticks(ticks, [tick_seconds(tick) for tick in ticks])
    else:
        at = [_at(cell, group) for cell in group.cells]
        axes.set_xscale("log" if min(at) > 0 else "linear")
        scale = math.log if min(at) > 0 else float
        span = scale(max(at)) - scale(min(at)) or 1.0
        marks = spaced(at, lambda value: (scale(value) - scale(min(at))) / span * width_pt, 17)
        axes.set_xticks([mark for mark, _ in marks], [text for _, text in marks])
    axes.set_xlabel("time per call" if chart.metric is WORKSPACE else str(group.axis), fontsize=FONT_PT, color=INK)
    axes.minorticks_off()
    if chart.metric.line_at is not None:
        axes.axhline(chart.metric.line_at, color=INK, linewidth=1, linestyle=(0, (4, 2)))
    return ends


def _at(cell: Cell, group: Group) -> float:
    return float(cell.axes[str(group.axis)])


def _line(axes: Axes, xs: Sequence[float], values: Sequence[Triple], style: Style, hollow: Sequence[bool]) -> None:
    """A line with its band; markers are hollow where one pass stands behind them."""
    ys = [value for value, _, _ in values]
    axes.plot(xs, ys, style.dashes, color=style.color, linewidth=1.6, solid_capstyle="round", zorder=3)
    for empty in (False, True):
        some = [(x, y) for x, y, is_hollow in zip(xs, ys, hollow, strict=True) if is_hollow is empty]
        if some:
            axes.plot(
                *zip(*some, strict=True),
                linestyle="none",
                marker=style.marker,
                markersize=4.4,
                color=style.color,
                markerfacecolor="none" if empty else style.color,
                zorder=4,
            )
    if any(low is not None for _, low, _ in values):
        lows = [value if low is None else low for value, low, _ in values]
        highs = [value if high is None else high for value, _, high in values]
        axes.fill_between(xs, lows, highs, color=style.color, alpha=0.18, linewidth=0, zorder=2)


def _mark_crossovers(
    axes: Axes, answers: Answers, group: Group, limits: tuple[float, float], size: tuple[float, float]
) -> float:
    """Shade each crossover's interval, and name it in a strip of rows under the data; the strip's foot.

    A label runs right from its line where it has room, else left. The lowest rows go to those that run
    left, from the right, and then to the others, from the left; each line stops at its own row. So no
    label crosses the line of another that runs the same way.
    """
    low, high = limits
    placed = [
        one.outcome
        for one in answers.crossovers
        if (one.curve.threads, one.curve.device, one.curve.fixed) == (group.threads, group.device, group.fixed)
        and one.curve.crossing.axis == group.axis
        and isinstance(one.outcome, Crossed)
    ]
    if not placed:
        return low
    row = 0.16 / size[1]
    strip = row * (len(placed) + 0.5)
    foot = low / math.pow(high / low, strip / (1 - strip))
    to_share = axes.transData + axes.transAxes.inverted()
    rows = []
    for outcome in placed:
        span = within(outcome.value, outcome.low, outcome.high).replace("95 %: ", "")
        text = f"{outcome.overtaker} overtakes {outcome.overtaken}: {span}"
        share = float(to_share.transform((outcome.high, low))[0])
        leftward = share + len(text) * _CHARACTER_IN / size[0] > 1.05 and share > 0.5
        rows.append((not leftward, -outcome.value if leftward else outcome.value, outcome, text, leftward))
    for index, (_, _, outcome, text, leftward) in enumerate(sorted(rows, key=lambda one: one[:2])):
        base = row * (index + 0.25)
        axes.axvspan(outcome.low, outcome.high, ymin=base, color=FAINT, alpha=0.28, linewidth=0, zorder=0)
        axes.axvline(outcome.value, ymin=base, color=INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
        axes.annotate(
            text,
            (outcome.low if leftward else outcome.high, base),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if leftward else 4, 0),
            textcoords="offset points",
            ha="right" if leftward else "left",
            va="bottom",
            fontsize=FONT_PT - 1,
            color=INK,
        )
    return foot


def _name_lines(axes: Axes, ends: Sequence[_End], height_pt: float, *, led: bool) -> None:
    """Each line's name at the right, pushed apart: led to by a thin line from its end, or with its marker."""
    to_share = axes.transData + axes.transAxes.inverted()
    points = [to_share.transform((end.x, end.y)) for end in ends]
    heights = pushed_apart([float(y) for _, y in points], (FONT_PT + 1.6) / height_pt, 0.0, 1.0)
    for end, (x, y), height in zip(ends, points, heights, strict=True):
        if led:
            # Dotted where the line ends early, so that nobody takes the lead for data.
            dots = "-" if x > 0.9 else (0, (1, 2.5))
            xs, ys = [x, 1.015, 1.035], [y, height, height]
            axes.plot(
                xs,
                ys,
                transform=axes.transAxes,
                color=end.style.color,
                linewidth=0.8,
                linestyle=dots,
                clip_on=False,
                zorder=1,
            )
        else:
            axes.plot(
                1.025,
                height,
                transform=axes.transAxes,
                color=end.style.color,
                marker=end.style.marker,
                markersize=4.4,
                clip_on=False,
            )
        axes.text(1.045, height, end.name, transform=axes.transAxes, fontsize=FONT_PT, color=INK, va="center_baseline")


# --- by shape -------------------------------------------------------------------------------------


def _by_shape(answers: Answers, chart: Chart) -> Figure:
    group, metric, looks = chart.groups[0], chart.metric, styles(answers.info)
    names = shown_algorithms(answers, chart.groups, metric)
    label_in = max(len(cell_name(cell)) for cell in group.cells) * _CHARACTER_IN + 0.3
    label_in = min(label_in, 3.6)
    width = 2 * _PANEL_WIDTH_IN
    legend_rows = math.ceil(sum(len(name) * _CHARACTER_IN + 0.45 for name in names) / (width - label_in))
    head = _HEAD_IN + 0.24 * legend_rows + 0.1
    height = head + _ROW_IN * len(group.cells) + _FOOT_IN
    figure = Figure(figsize=(width, height))
    _title(figure, chart.title)
    axes = figure.add_axes(
        (label_in / width, _FOOT_IN / height, (width - label_in - 0.3) / width, _ROW_IN * len(group.cells) / height)
    )
    floor = _floor(answers, chart)
    rows = {cell.key: index for index, cell in enumerate(group.cells)}
    for name in names:
        found = [(max(value[0], floor), rows[one.cell.key]) for one, value in series(answers, group, name, metric)]
        axes.plot(
            *zip(*found, strict=True),
            linestyle="none",
            marker=looks[name].marker,
            color=looks[name].color,
            markersize=6,
            markeredgecolor="white",
            markeredgewidth=0.4,
            zorder=3,
            label=name,
        )
    for cell in group.cells:
        values = [
            max(value[0], floor)
            for name in names
            if (value := metric.value(answers, answers.contenders[cell.key, name])) is not None
        ]
        if values:
            axes.plot([min(values), max(values)], [rows[cell.key]] * 2, color=FAINT, linewidth=4, alpha=0.3, zorder=1)
    axes.set_xscale("log")
    _frame(axes)
    axes.set_yticks(range(len(group.cells)), [_shortened(cell_name(cell)) for cell in group.cells])
    axes.set_ylim(len(group.cells) - 0.5, -0.5)
    low, high = axes.get_xlim()
    ticks = log_ticks(low, high, metric.base)
    axes.set_xticks(ticks, [metric.tick(tick, None) for tick in ticks])
    axes.minorticks_off()
    axes.grid(True, axis="x", color=GRID, linewidth=0.7)
    if metric.line_at is not None:
        axes.axvline(metric.line_at, color=INK, linewidth=1, linestyle=(0, (4, 2)))
    figure.legend(
        loc="upper left",
        bbox_to_anchor=(0.01, 1 - _HEAD_IN / height),
        ncols=max(1, math.ceil(len(names) / legend_rows)),
        frameon=False,
        fontsize=FONT_PT,
        labelcolor=INK,
        handletextpad=0.1,
        columnspacing=1.2,
        borderaxespad=0,
    )
    return figure


def _shortened(name: str, most: int = 44) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


# --- what both share ------------------------------------------------------------------------------


def _title(figure: Figure, text: str) -> None:
    height = figure.get_figheight()
    figure.text(0.01, 1 - 0.12 / height, text, fontsize=FONT_PT + 3, fontweight="bold", color=INK, va="top")


def _frame(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(labelsize=FONT_PT, colors=INK, color=FAINT, length=3)
    axes.grid(True, axis="y", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.patch.set_alpha(0)


def _floor(answers: Answers, chart: Chart) -> float:
    """Where a chart's zeros go on its logarithmic axis: under the least positive value."""
    values = [
        value[0]
        for group in chart.groups
        for name in answers.info.algorithms
        for _, value in series(answers, group, name, chart.metric)
    ]
    return min((value for value in values if value > 0), default=1.0) / 3


def themed(text: str, prefix: str, label: str) -> str:
    """An SVG for a page: it follows the page's theme and width, its ids are its own, and it has a name."""
    body = text[text.index("<svg") :]
    for color, variable in ((INK, "--ink"), (FAINT, "--faint"), (GRID, "--grid")):
        body = body.replace(color, f"var({variable})")
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", body).replace("xlink:href", "href")
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    head, rest = body.split(">", 1)
    view = re.search(r'viewBox="[^"]*"', head)
    assert view is not None  # matplotlib always writes one
    return f'<svg {view[0]} role="img" aria-label="{escape(label)}">{rest}'
