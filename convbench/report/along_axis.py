"""Small multiples: a panel a group, a line an algorithm, along the axis or against time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convbench.analysis.groups import Group
from convbench.analysis.quantities import within
from convbench.report.answers import Answers
from convbench.report.canvas import (
    CHARACTER_IN,
    FOOT_IN,
    HEAD_IN,
    PANEL_HEIGHT_IN,
    PANEL_WIDTH_IN,
    TICKS_IN,
    TITLE_IN,
    frame,
    put_title,
    zero_line,
)
from convbench.report.figures import TIME, WORKSPACE, Chart, Triple, series, shown_algorithms
from convbench.report.style import (
    FAINT,
    FONT_PT,
    INK,
    Style,
    log_ticks,
    pushed_apart,
    spaced,
    styles,
    tick_seconds,
)
from convbench.result import Cell


@dataclass(frozen=True)
class _End:
    """Where a line ends, and whose it is."""

    name: str
    style: Style
    x: float
    y: float


def along_axis(answers: Answers, chart: Chart) -> Figure:
    """A chart of groups along an axis."""
    groups, metric = chart.groups, chart.metric
    names = shown_algorithms(answers, groups, metric)
    label_in = max(len(name) for name in names) * CHARACTER_IN + 0.35
    columns = min(len(groups), 2)
    rows = math.ceil(len(groups) / columns)
    panel_in = max(PANEL_HEIGHT_IN, len(names) * 0.155 + HEAD_IN + FOOT_IN)
    width, height = columns * PANEL_WIDTH_IN, rows * panel_in + TITLE_IN
    size = (PANEL_WIDTH_IN - TICKS_IN - label_in, panel_in - HEAD_IN - FOOT_IN)
    figure = Figure(figsize=(width, height))
    put_title(figure, chart.title)
    floor = zero_line(answers, chart)
    panels: list[tuple[Group, Axes, list[_End]]] = []
    for index, group in enumerate(groups):
        row, column = divmod(index, columns)
        left, bottom = column * PANEL_WIDTH_IN + TICKS_IN, (rows - 1 - row) * panel_in + FOOT_IN
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
    frame(axes)
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
        axes.set_xlim(axes.get_xlim())  # naming the lines must not move them
        ticks = log_ticks(*axes.get_xlim())
        axes.set_xticks(ticks, [tick_seconds(tick) for tick in ticks])
    else:
        at = [_at(cell, group) for cell in group.cells]
        axes.set_xscale("log" if min(at) > 0 else "linear")
        axes.set_xlim(*_padded(min(at), max(at)))  # the whole axis, measured or not: panels compare
        scale = math.log if min(at) > 0 else float
        span = scale(max(at)) - scale(min(at)) or 1.0
        marks = spaced(at, lambda value: (scale(value) - scale(min(at))) / span * width_pt, 17)
        axes.set_xticks([mark for mark, _ in marks], [text for _, text in marks])
    axes.set_xlabel("time per call" if chart.metric is WORKSPACE else str(group.axis), fontsize=FONT_PT, color=INK)
    axes.minorticks_off()
    if chart.metric.line_at is not None:
        axes.axhline(chart.metric.line_at, color=INK, linewidth=1, linestyle=(0, (4, 2)))
    return ends


def _padded(low: float, high: float) -> tuple[float, float]:
    """Limits with a little room at both ends, by the scale that the axis has."""
    if low > 0:
        pad = math.pow(high / low, 0.05) if high > low else 2.0
        return low / pad, high * pad
    pad = 0.05 * (high - low) or 1.0
    return low - pad, high + pad


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

    A label runs right from its line where it has room (past the frame too), else left. The lowest rows go
    to those that run left, from the right, and then to the others, from the left; each line stops at its
    own row. So no label crosses the line of another that runs the same way.
    """
    low, high = limits
    placed = answers.crossed_in(group)
    if not placed:
        return low
    row = 0.16 / size[1]
    strip = row * (len(placed) + 0.5)
    foot = low / math.pow(high / low, strip / (1 - strip))
    to_share = axes.transData + axes.transAxes.inverted()
    rows = []
    for outcome in placed:
        span = within(outcome.value, outcome.low, outcome.high).replace("95 %: ", "")
        text = f"{outcome.overtaker}: {span}"
        share = float(to_share.transform((outcome.high, low))[0])
        leftward = share + len(text) * CHARACTER_IN / size[0] > 1.4 and share > 0.5
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
