"""Trade-offs: time against workspace with the Pareto front, and the error beside each name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convbench.analysis.pareto import Front
from convbench.analysis.sentences import cell_name, place
from convbench.report.answers import Answers
from convbench.report.canvas import (
    FOOT_IN,
    HEAD_IN,
    PANEL_HEIGHT_IN,
    PANEL_WIDTH_IN,
    TICKS_IN,
    TITLE_IN,
    evenly,
    frame,
    put_title,
)
from convbench.report.style import (
    FONT_PT,
    GRID,
    INK,
    log_ticks,
    pushed_apart,
    spaced,
    styles,
    tick_memory,
    tick_seconds,
)

MOST_PANELS: Final = 6
NAMES_IN: Final = 1.9


def front_figure(answers: Answers, fronts: Sequence[Front]) -> Figure:
    """A panel a cell, of those spread most evenly where there are many."""
    chosen = evenly(fronts, MOST_PANELS)
    columns = min(len(chosen), 2)
    rows = math.ceil(len(chosen) / columns)
    width, height = columns * PANEL_WIDTH_IN, rows * PANEL_HEIGHT_IN + TITLE_IN
    figure = Figure(figsize=(width, height))
    first = chosen[0].cell
    put_title(figure, f"Time against workspace, {place(first.threads, first.device, ())}; filled: none beats it")
    for index, front in enumerate(chosen):
        row, column = divmod(index, columns)
        axes = figure.add_axes(
            (
                (column * PANEL_WIDTH_IN + TICKS_IN) / width,
                ((rows - 1 - row) * PANEL_HEIGHT_IN + FOOT_IN) / height,
                (PANEL_WIDTH_IN - TICKS_IN - NAMES_IN) / width,
                (PANEL_HEIGHT_IN - HEAD_IN - FOOT_IN) / height,
            )
        )
        _panel(axes, answers, front)
    return figure


def _panel(axes: Axes, answers: Answers, front: Front) -> None:
    looks = styles(answers.info)
    axes.set_xscale("log")
    axes.set_yscale("log")
    frame(axes)
    axes.grid(True, axis="x", color=GRID, linewidth=0.7)
    axes.set_title(cell_name(front.cell), loc="left", fontsize=FONT_PT + 1, color=INK)
    floor = min((offer.workspace_bytes for offer in front.offers if offer.workspace_bytes), default=4) / 4
    at = [(offer.time_s, max(offer.workspace_bytes, floor)) for offer in front.offers]
    for offer, (x, y) in zip(front.offers, at, strict=True):
        look, name = looks[offer.contender.algorithm], offer.contender.algorithm
        axes.plot(
            x, y, linestyle="none", marker=look.marker, markersize=6, color=look.color, zorder=3,
            markerfacecolor="none" if name in front.beaten else look.color,
        )  # fmt: skip
    steps = stairs([(x, y) for offer, (x, y) in zip(front.offers, at, strict=True) if offer in front.best])
    axes.plot(*zip(*steps, strict=True), color=INK, linewidth=0.8, alpha=0.5, zorder=1)
    (left, right), (low, high) = ((min(one) / 1.6, max(one) * 1.6) for one in zip(*at, strict=True))
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)
    width_pt = (PANEL_WIDTH_IN - TICKS_IN - NAMES_IN) * 72
    marks = spaced(log_ticks(left, right), lambda tick: _share(tick, left, right) * width_pt, 36)
    axes.set_xticks([tick for tick, _ in marks], [tick_seconds(tick) if text else "" for tick, text in marks])
    ticks = [tick for tick in log_ticks(low, high, 4) if tick > floor * 1.5]
    none = [floor] if any(not offer.workspace_bytes for offer in front.offers) else []
    axes.set_yticks([*none, *ticks], [*("none" for _ in none), *map(tick_memory, ticks)])
    axes.minorticks_off()
    axes.set_xlabel("time per call", fontsize=FONT_PT, color=INK)
    heights = pushed_apart([_share(y, low, high) for _, y in at], 0.062, 0.0, 1.0)
    for offer, (x, y), height in zip(front.offers, at, heights, strict=True):
        name, look = offer.contender.algorithm, looks[offer.contender.algorithm]
        error = "" if offer.error is None else f"  {offer.error:.0e}"
        axes.plot(
            [_share(x, left, right), 1.02, 1.04], [_share(y, low, high), height, height], transform=axes.transAxes,
            color=look.color, linewidth=0.6, alpha=0.6, clip_on=False, zorder=0,
        )  # fmt: skip
        axes.text(
            1.05, height, name + error, transform=axes.transAxes, fontsize=FONT_PT - 0.5, va="center_baseline",
            color=INK, fontweight="normal" if name in front.beaten else "bold",
        )  # fmt: skip


def _share(value: float, low: float, high: float) -> float:
    return math.log(value / low) / math.log(high / low)


def stairs(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The steps along points by time, down to less workspace; those kept for their errors do not step."""
    steps: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if not steps or y < steps[-1][1]:
            steps += [(x, steps[-1][1])] if steps else []
            steps.append((x, y))
    return steps
