"""A picture of a network's cost: multiply-adds layer by layer, coloured by kind, and parameters beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from convbench.describe import LayerSummary
from convbench.errors import ConvbenchError
from convbench.report.canvas import CHARACTER_IN, FOOT_IN, HEAD_IN, PANEL_WIDTH_IN, frame, put_title
from convbench.report.drawing import png, svg
from convbench.report.style import FONT_PT, GRID, INK

ROW_IN: Final = 0.17
GAP_IN: Final = 0.35
LEGEND_IN: Final = 0.3

COLORS: Final = {
    "convolution": "#0072b2",
    "1×1 convolution": "#56b4e9",
    "depthwise": "#009e73",
    "fully connected": "#d55e00",
}
"""Kind of layer → colour, of Okabe and Ito's."""


def write_figure(path: Path, name: str, layers: Sequence[LayerSummary]) -> None:
    """The picture as SVG or PNG, by the file's ending. Raises `ConvbenchError` for any other, or an unwritable file."""
    if path.suffix not in (".svg", ".png"):
        raise ConvbenchError(f"{path}: a picture ends in .svg or .png")
    figure = draw(name, layers)
    data = png(figure) if path.suffix == ".png" else svg(figure).encode()
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConvbenchError(f"{path}: cannot be written: {error.strerror}") from error


def draw(name: str, layers: Sequence[LayerSummary]) -> Figure:
    """Two panels that share their rows, one for each layer with weights."""
    rows = [(one, kind) for one in layers if (kind := kind_shown(one))]
    label_in = max(len(one.name) for one, _ in rows) * CHARACTER_IN + 0.2
    width = label_in + 1.5 * PANEL_WIDTH_IN
    head = HEAD_IN + LEGEND_IN
    height = head + ROW_IN * len(rows) + FOOT_IN
    panels_in = width - label_in - GAP_IN - 0.2
    with matplotlib.rc_context({"text.parse_math": False}):  # a name with a $ is not a formula
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        put_title(figure, f"{name}, for one image")
        left = label_in
        for share, title, values in (
            (0.62, "multiply-adds", [one.multiply_adds for one, _ in rows]),
            (0.38, "parameters", [one.parameters for one, _ in rows]),
        ):
            box = (left / width, FOOT_IN / height, share * panels_in / width, ROW_IN * len(rows) / height)
            axes = figure.add_axes(box)
            axes.barh(range(len(rows)), values, height=0.72, color=[COLORS[kind] for _, kind in rows])
            _finish(axes, title, [one.name for one, _ in rows] if left == label_in else [""] * len(rows))
            left += share * panels_in + GAP_IN
        shown = [kind for kind in COLORS if kind in {kind for _, kind in rows}]
        figure.legend(
            handles=[Patch(color=COLORS[kind], label=kind) for kind in shown],
            loc="upper left",
            bbox_to_anchor=(0.01, 1 - HEAD_IN / height),
            ncols=len(shown),
            frameon=False,
            fontsize=FONT_PT,
            labelcolor=INK,
            borderaxespad=0,
            handlelength=1,
        )
    return figure


def kind_shown(one: LayerSummary) -> str:
    """Which colour a layer has; none for what has no weights, and for joins, whose parts have."""
    if one.is_join or not one.weights:
        return ""
    if one.kind == "fully_connected":
        return "fully connected"
    if one.kind == "depthwise":
        return "depthwise"
    return "1×1 convolution" if one.kernel.startswith("1×1") else "convolution"


def _finish(axes: Axes, title: str, names: Sequence[str]) -> None:
    frame(axes)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0, labelsize=FONT_PT - 1)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.grid(True, axis="x", color=GRID, linewidth=0.7)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(_count))
    axes.set_xlabel(title, fontsize=FONT_PT, color=INK)


def _count(value: float, _: object = None) -> str:
    for unit, size in ((" G", 1e9), (" M", 1e6), (" k", 1e3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
