"""The roofline: what the machine can do at each intensity, and where the contenders of each cell came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convbench.analysis.quantities import significant
from convbench.analysis.roofline import Roof, Spot
from convbench.analysis.sentences import place
from convbench.report.answers import Answers
from convbench.report.canvas import FOOT_IN, HEAD_IN, PANEL_WIDTH_IN, TICKS_IN, TITLE_IN, frame, put_title
from convbench.report.style import FAINT, FONT_PT, GRID, INK, log_ticks, styles, tick_plain

HEIGHT_IN: Final = 4.2
BEHIND_TEXT: Final = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.7}
LEGEND_IN: Final = 2.0
NOTES: Final = (
    ("Direct-equivalent", "whoever needs fewer operations may stand above the roof"),
    ("Operations really done", "above the slope only with data in caches"),
)


def roofline(answers: Answers, roof: Roof, spots: Sequence[Spot]) -> Figure:
    """Panels under the same roof: by the operations of direct sums and, where any are counted, by those really done."""
    looks = styles(answers.info)
    names = [name for name in answers.info.algorithms if any(spot.contender.algorithm == name for spot in spots)]
    points = [
        [(one.contender.algorithm, one.direct) for one in spots],
        [(one.contender.algorithm, one.actual) for one in spots if one.actual is not None],
    ]
    points = [panel for panel in points if panel]
    width, height = len(points) * PANEL_WIDTH_IN + LEGEND_IN, HEIGHT_IN
    figure = Figure(figsize=(width, height))
    put_title(figure, f"Roofline, {place(roof.threads, roof.device, ())}")
    every = [at for panel in points for _, at in panel]
    low, high = min(x for x, _ in every) / 1.5, max(*(x for x, _ in every), roof.ridge) * 1.5
    floor, top = min(y for _, y in every) / 1.5, max(*(y for _, y in every), roof.flops_per_s) * 2
    for index, (panel, (title, note)) in enumerate(zip(points, NOTES, strict=False)):
        axes = figure.add_axes(
            (
                (index * PANEL_WIDTH_IN + TICKS_IN) / width,
                FOOT_IN / height,
                (PANEL_WIDTH_IN - TICKS_IN - 0.25) / width,
                (height - TITLE_IN - HEAD_IN - FOOT_IN) / height,
            )
        )
        axes.set_xscale("log")
        axes.set_yscale("log")
        frame(axes)
        axes.grid(True, axis="x", color=GRID, linewidth=0.7)
        axes.set_title(f"{title}: {note}", loc="left", fontsize=FONT_PT, color=INK)
        _draw_roof(axes, roof, low, high)
        for name in names:
            own = [at for other, at in panel if other == name]
            if own:
                axes.plot(
                    *zip(*own, strict=True), linestyle="none", marker=looks[name].marker, color=looks[name].color,
                    markersize=5, markeredgecolor="white", markeredgewidth=0.4, alpha=0.85, label=name, zorder=3,
                )  # fmt: skip
        axes.set_xlim(low, high)
        axes.set_ylim(floor, top)
        for set_ticks, ends, unit in ((axes.set_xticks, (low, high), 1.0), (axes.set_yticks, (floor, top), 1e9)):
            ticks = log_ticks(*ends)
            set_ticks(ticks, [tick_plain(tick / unit) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("FLOP a byte of x, w and y", fontsize=FONT_PT, color=INK)
        if index == 0:
            axes.set_ylabel("GFLOP/s", fontsize=FONT_PT, color=INK)
            figure.legend(
                *axes.get_legend_handles_labels(), loc="upper left", frameon=False, fontsize=FONT_PT, labelcolor=INK,
                bbox_to_anchor=(len(points) * PANEL_WIDTH_IN / width, 1 - (TITLE_IN + HEAD_IN) / height),
            )  # fmt: skip
    return figure


def _draw_roof(axes: Axes, roof: Roof, low: float, high: float) -> None:
    at = [low, roof.ridge, high]
    axes.plot(at, [roof.at(one) for one in at], color=INK, linewidth=1.4, zorder=2)
    rate = significant(roof.flops_per_s / 1e9)
    axes.annotate(
        f"multiply-adds, {rate} GFLOP/s", (high, roof.flops_per_s), xytext=(-2, 3), textcoords="offset points",
        ha="right", fontsize=FONT_PT - 1, color=INK, zorder=4,
            bbox=BEHIND_TEXT,
    )  # fmt: skip
    if roof.product_flops_per_s is not None:
        axes.plot([low, high], [roof.product_flops_per_s] * 2, color=FAINT, linewidth=1, linestyle=(0, (4, 2)))
        axes.annotate(
            f"BLAS's matrix product, {significant(roof.product_flops_per_s / 1e9)} GFLOP/s",
            (high, roof.product_flops_per_s), xytext=(-2, -9), textcoords="offset points",
            ha="right", fontsize=FONT_PT - 1, color=INK, zorder=4,
            bbox=BEHIND_TEXT,
        )  # fmt: skip
    if low < roof.ridge:
        axes.annotate(
            f"copying, {significant(roof.bytes_per_s / 1e9)} GB/s", (low, roof.at(low)), xytext=(4, -4),
            textcoords="offset points", ha="left", va="top", fontsize=FONT_PT - 1, color=INK, zorder=4,
            bbox=BEHIND_TEXT,
        )  # fmt: skip
