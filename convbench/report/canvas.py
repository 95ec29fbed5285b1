"""What all figures share: sizes in inches, so that nothing overlaps, a title, axes, and where zeros go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convbench.report.answers import Answers
from convbench.report.figures import Chart, series
from convbench.report.style import (
    FAINT,
    FONT_PT,
    GRID,
    INK,
)

Item = TypeVar("Item")

CHARACTER_IN: Final = 0.56 * FONT_PT / 72  # DejaVu Sans is wide: other fonts only leave more room
PANEL_WIDTH_IN: Final = 5.2
PANEL_HEIGHT_IN: Final = 3.3
TICKS_IN: Final = 0.68
TITLE_IN: Final = 0.34
HEAD_IN: Final = 0.36
FOOT_IN: Final = 0.48
ROW_IN: Final = 0.26


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of them, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    if most == 1:
        return [items[0]]
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


def put_title(figure: Figure, text: str) -> None:
    """The title at the top left."""
    height = figure.get_figheight()
    figure.text(0.01, 1 - 0.12 / height, text, fontsize=FONT_PT + 3, fontweight="bold", color=INK, va="top")


def frame(axes: Axes) -> None:
    """Two spines, faint lines across, ticks in ink."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(labelsize=FONT_PT, colors=INK, color=FAINT, length=3)
    axes.grid(True, axis="y", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.patch.set_alpha(0)


def zero_line(answers: Answers, chart: Chart) -> float:
    """Where a chart's zeros go on its logarithmic axis: under the least positive value."""
    values = [
        value[0]
        for group in chart.groups
        for name in answers.info.algorithms
        for _, value in series(answers, group, name, chart.metric)
    ]
    return min((value for value in values if value > 0), default=1.0) / 3
