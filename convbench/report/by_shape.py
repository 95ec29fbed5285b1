"""Dots by shape, for suites that list shapes instead of sweeping an axis."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from convbench.analysis.sentences import cell_name
from convbench.report.answers import Answers
from convbench.report.canvas import (
    CHARACTER_IN,
    FOOT_IN,
    HEAD_IN,
    PANEL_WIDTH_IN,
    ROW_IN,
    frame,
    put_title,
    zero_line,
)
from convbench.report.figures import Chart, series, shown_algorithms
from convbench.report.style import (
    FAINT,
    FONT_PT,
    GRID,
    INK,
    log_ticks,
    styles,
)


def by_shape(answers: Answers, chart: Chart) -> Figure:
    """A chart of one list of shapes: a row a shape, a dot an algorithm."""
    group, metric, looks = chart.groups[0], chart.metric, styles(answers.info)
    names = shown_algorithms(answers, chart.groups, metric)
    label_in = max(len(cell_name(cell)) for cell in group.cells) * CHARACTER_IN + 0.3
    label_in = min(label_in, 3.6)
    width = 2 * PANEL_WIDTH_IN
    legend_rows = math.ceil(sum(len(name) * CHARACTER_IN + 0.45 for name in names) / (width - label_in))
    head = HEAD_IN + 0.24 * legend_rows + 0.1
    height = head + ROW_IN * len(group.cells) + FOOT_IN
    figure = Figure(figsize=(width, height))
    put_title(figure, chart.title)
    axes = figure.add_axes(
        (label_in / width, FOOT_IN / height, (width - label_in - 0.3) / width, ROW_IN * len(group.cells) / height)
    )
    floor = zero_line(answers, chart)
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
    frame(axes)
    axes.set_yticks(range(len(group.cells)), [shortened(cell_name(cell)) for cell in group.cells])
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
        bbox_to_anchor=(0.01, 1 - HEAD_IN / height),
        ncols=max(1, math.ceil(len(names) / legend_rows)),
        frameon=False,
        fontsize=FONT_PT,
        labelcolor=INK,
        handletextpad=0.1,
        columnspacing=1.2,
        borderaxespad=0,
    )
    return figure


def shortened(name: str, most: int = 44) -> str:
    """The name, cut where it has more characters than there is room for."""
    return name if len(name) <= most else f"{name[: most - 1]}…"
