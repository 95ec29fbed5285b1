"""Stages as stacked bars: a panel a cell, a bar an algorithm, of which the pieces are shares."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from convbench.analysis.quantities import seconds
from convbench.analysis.sentences import cell_name, place
from convbench.analysis.stages import Staged
from convbench.report.answers import Answers
from convbench.report.by_shape import shortened
from convbench.report.canvas import CHARACTER_IN, HEAD_IN, PANEL_WIDTH_IN, ROW_IN, TITLE_IN, evenly, put_title
from convbench.report.phases import slots, stages_at
from convbench.report.style import FONT_PT, INK

MOST_CELLS: Final = 6
"""Panels of a figure; of more cells, evenly spaced ones are drawn."""
COLORS: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#7f7f7f", "#d55e00")
"""The page's for its stages, Okabe and Ito's: told apart by people with any of the common colour-blindnesses."""
DARK: Final = COLORS[0]
"""White is read on it, black on the others: with a contrast of 4.5 and more."""
LEGEND_IN: Final = 0.24
END_IN: Final = 0.75
"""For the time at the end of a bar."""


def stage_figures(answers: Answers) -> Iterator[tuple[str, Figure]]:
    """File name → figure, one for each device and number of threads where anybody tells stages."""
    kinds = dict.fromkeys((one.contender.cell.device, one.contender.cell.threads) for one in answers.stages)
    for device, threads in sorted(kinds):
        where = place(threads, device, ())
        by_cell: dict[str, list[Staged]] = {}
        for one in stages_at(answers, device, threads):
            by_cell.setdefault(one.contender.cell.key, []).append(one)
        panels = evenly(list(by_cell.values()), MOST_CELLS)
        figure = _figure(f"Stages, as shares of their sum, {where}", panels, slots(answers))
        FigureCanvasAgg(figure)
        yield f"phases-{where.replace(' ', '')}", figure


def _figure(title: str, panels: Sequence[Sequence[Staged]], looks: dict[str, int]) -> Figure:
    columns = min(len(panels), 2)
    rows = math.ceil(len(panels) / columns)
    names = dict.fromkeys(stage.name for panel in panels for one in panel for stage in one.stages)
    shown = sorted({looks[name] for name in names})
    alike = {slot: ", ".join(name for name in names if looks[name] == slot) for slot in shown}
    width = columns * PANEL_WIDTH_IN
    legend_rows = math.ceil(sum(len(name) * CHARACTER_IN + 0.45 for name in alike.values()) / (width - 0.3))
    label_in = max(len(one.contender.algorithm) for panel in panels for one in panel) * CHARACTER_IN + 0.2
    panel_in = HEAD_IN + ROW_IN * max(map(len, panels)) + 0.1
    head_in = TITLE_IN + LEGEND_IN * legend_rows
    height = head_in + rows * panel_in
    figure = Figure(figsize=(width, height))
    put_title(figure, title)
    for index, panel in enumerate(panels):
        row, column = divmod(index, columns)
        left, top = column * PANEL_WIDTH_IN + label_in, head_in + row * panel_in + HEAD_IN
        size = PANEL_WIDTH_IN - label_in - END_IN, ROW_IN * len(panel)
        box = (left / width, 1 - (top + size[1]) / height, size[0] / width, size[1] / height)
        _panel(figure.add_axes(box), panel, looks, size[0])
    figure.legend(
        handles=[Patch(color=COLORS[slot], label=text) for slot, text in alike.items()],
        loc="upper left",
        bbox_to_anchor=(0.01, 1 - TITLE_IN / height),
        ncols=max(1, math.ceil(len(alike) / legend_rows)),
        frameon=False,
        fontsize=FONT_PT,
        labelcolor=INK,
        handlelength=1.0,
        columnspacing=1.2,
        borderaxespad=0,
    )
    return figure


def _panel(axes: Axes, panel: Sequence[Staged], looks: dict[str, int], width_in: float) -> None:
    axes.set_title(shortened(cell_name(panel[0].contender.cell)), loc="left", fontsize=FONT_PT + 1, color=INK)
    axes.patch.set_alpha(0)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(panel) - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks(range(len(panel)), [one.contender.algorithm for one in panel])
    axes.tick_params(labelsize=FONT_PT, colors=INK, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    for row, one in enumerate(panel):
        left = 0.0
        for stage in one.stages:
            color = COLORS[looks[stage.name]]
            axes.barh(row, stage.share, left=left, height=0.72, color=color, edgecolor="white", linewidth=0.6)
            text = seconds(stage.time.value)
            if stage.share * width_in > len(text) * CHARACTER_IN:
                ink = "white" if color == DARK else "black"
                axes.text(left + stage.share / 2, row, text, fontsize=FONT_PT - 1, color=ink, ha="center", va="center")
            left += stage.share
        axes.text(1.02, row, seconds(one.total_s), fontsize=FONT_PT, color=INK, va="center")
