"""Maps of a sweep's plane: who is fastest by how much, and how many times as fast as a library the best other is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from convbench.analysis.planes import Plane
from convbench.analysis.quantities import factor
from convbench.analysis.sentences import place
from convbench.report.answers import Answers
from convbench.report.canvas import CHARACTER_IN, FOOT_IN, HEAD_IN, put_title
from convbench.report.style import FAINT, FONT_PT, INK, styles
from convbench.result import Cell

SQUARE_IN: Final = (0.62, 0.42)
MOST_LETTERED: Final = 24
"""Columns; squares of more are too narrow for text."""
FULL: Final = 4.0
"""The margin from which a winner has its full colour; the least speed-up that a map's scale ends at."""
TIE: Final = "////"
DIVERGING: Final = LinearSegmentedColormap.from_list("behind to ahead", ["#d55e00", "#f7f7f7", "#0072b2"])
"""Orange and blue, which all eyes tell apart."""


@dataclass(frozen=True)
class _Look:
    face: tuple[float, float, float, float]
    text: str
    hatch: str = ""


def winner_map(answers: Answers, plane: Plane) -> Figure:
    """A square a cell: the winner's colour, deeper the larger its margin; hatched where it is a tie."""
    looks = styles(answers.info)
    shown: dict[str, None] = {}

    def look(cell: Cell) -> _Look | None:
        best = answers.winners.get(cell.key)
        if best is None:
            return None
        shown[best.algorithm] = None
        color = looks[best.algorithm].color
        if best.is_tie:
            return _Look(to_rgba(color, 0.18), "tie", TIE)
        if best.margin is None:
            return _Look(to_rgba(color, 0.9), "alone")
        share = min(math.log(best.margin.value) / math.log(FULL), 1.0)
        return _Look(to_rgba(color, 0.3 + 0.6 * share), factor(best.margin.value))

    def legend() -> list[Patch]:
        ordered = [name for name in answers.info.algorithms if name in shown]
        return [Patch(color=looks[name].color, label=name) for name in ordered]

    where = place(plane.threads, plane.device, ())
    return _map(plane, f"Fastest, and its margin over the runner-up, {where}", look, legend)


def speedup_map(answers: Answers, plane: Plane, base: str) -> Figure:
    """A square a cell: the time of `base` over that of the best other; hatched where they cannot be told apart."""
    found = answers.speedups[base]
    shown = [found[cell.key].ratio.value for cell in plane.cells if cell.key in found]
    end = max(FULL, *(max(ratio, 1 / ratio) for ratio in shown))
    scale = Normalize(-math.log(end), math.log(end))

    def look(cell: Cell) -> _Look | None:
        one = found.get(cell.key)
        if one is None:
            return None
        return _Look(DIVERGING(scale(math.log(one.ratio.value))), factor(one.ratio.value), TIE * one.is_tie)

    def legend() -> list[Patch]:
        ends = ((1 / end, f"{base} {end:.0f}× as fast"), (1.0, "as fast as it"), (end, f"another {end:.0f}× as fast"))
        return [Patch(facecolor=DIVERGING(scale(math.log(at))), edgecolor=FAINT, label=text) for at, text in ends]

    return _map(plane, f"The best other against {base}, {place(plane.threads, plane.device, ())}", look, legend)


def speedup_bases(answers: Answers, plane: Plane) -> Iterator[str]:
    """The libraries that were ranked in any of the plane's cells: what people would use instead."""
    keys = {cell.key for cell in plane.cells}
    for name in answers.info.algorithms:
        if "peer" in answers.info.tags.get(name, ()) and keys & answers.speedups[name].keys():
            yield name


def _map(plane: Plane, title: str, look: Callable[[Cell], _Look | None], legend: Callable[[], list[Patch]]) -> Figure:
    rows, columns = len(plane.rows), len(plane.columns)
    lettered = columns <= MOST_LETTERED
    width_in = columns * SQUARE_IN[0] * (1 if lettered else 0.3)
    label_in = max(len(name) for name, _ in plane.rows) * CHARACTER_IN + 0.25
    legend_in = 2.6
    size = (label_in + max(width_in, 2.0) + legend_in, HEAD_IN + 0.12 + rows * SQUARE_IN[1] + FOOT_IN)
    figure = Figure(figsize=size)
    put_title(figure, title)
    axes = figure.add_axes(
        (label_in / size[0], FOOT_IN / size[1], width_in / size[0], rows * SQUARE_IN[1] / size[1]),
    )
    for row, (_, cells) in enumerate(plane.rows):
        for column, cell in enumerate(cells):
            found = None if cell is None else look(cell)
            if found is not None:
                _square(axes, column, row, found, lettered=lettered)
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    step = 1 if lettered else math.ceil(columns / MOST_LETTERED)
    axes.set_xticks([index + 0.5 for index in range(0, columns, step)], [str(one) for one in plane.columns[::step]])
    axes.set_yticks([index + 0.5 for index in range(rows)], [name for name, _ in plane.rows])
    axes.set_xlabel(plane.axis, fontsize=FONT_PT, color=INK)
    axes.tick_params(labelsize=FONT_PT, colors=INK, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.patch.set_alpha(0)
    figure.legend(
        handles=[*legend(), Patch(facecolor="none", edgecolor=INK, hatch=TIE, label="cannot be told apart")],
        loc="upper left",
        bbox_to_anchor=((label_in + width_in + 0.1) / size[0], 1 - HEAD_IN / size[1]),
        frameon=False,
        fontsize=FONT_PT,
        labelcolor=INK,
    )
    return figure


def _square(axes: Axes, column: int, row: int, look: _Look, *, lettered: bool) -> None:
    edge = INK if look.hatch else "none"
    box = Rectangle((column + 0.03, row + 0.04), 0.94, 0.92, facecolor=look.face, edgecolor=edge, hatch=look.hatch)
    box.set_linewidth(0)
    axes.add_patch(box)
    if lettered:
        text = axes.text(
            column + 0.5, row + 0.5, look.text, ha="center", va="center", fontsize=FONT_PT - 0.5,
            color="white" if _luminance(look.face) < 0.5 else INK,
        )  # fmt: skip
        if look.hatch:
            text.set_bbox({"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85})


def _luminance(color: tuple[float, float, float, float]) -> float:
    """Of a colour on white, 0 to 1."""
    red, green, blue, alpha = color
    return alpha * (0.2126 * red + 0.7152 * green + 0.0722 * blue) + 1 - alpha
