"""Trends over many runs, on a terminal and as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console

from convbench.analysis.history import Trend
from convbench.analysis.quantities import factor, plural, seconds
from convbench.errors import ConvbenchError
from convbench.report.canvas import HEAD_IN, PANEL_HEIGHT_IN, PANEL_WIDTH_IN, frame, put_title
from convbench.report.drawing import png, svg
from convbench.report.listings import print_table
from convbench.report.style import FAINT, FONT_PT, INK

PANELS: Final = 6
ACROSS: Final = 2
COLOR: Final = "#0f766e"


def print_history(console: Console, found: Sequence[Trend]) -> None:
    """A line for each change, the largest first; and how many trends have none."""
    changed = [trend for trend in found if trend.changes]
    lines = [
        (
            trend.cell,
            str(trend.threads),
            trend.algorithm,
            f"{factor(trend.ratio(at))} {'slower' if trend.ratio(at) > 1 else 'faster'}",
            seconds(trend.moments[at - 1].time.value),
            seconds(trend.moments[at].time.value),
            trend.moments[at].started_utc,
            f"{trend.moments[at - 1].commit[:12] or '–'} → {trend.moments[at].commit[:12] or '–'}",
            trend.moments[at].run,
        )
        for trend in changed
        for at in trend.changes
    ]
    if lines:
        head = ("cell", "threads", "algorithm", "change", "before", "from then on", "since", "commits", "run")
        print_table(console, head, lines)
    runs = len({moment.run for trend in found for moment in trend.moments})
    text = f"{plural(len(found), 'trend')} over {plural(runs, 'run')}: {len(changed)} with a change"
    console.print(text, soft_wrap=True)


def write_figure(path: Path, found: Sequence[Trend]) -> None:
    """The trends that changed most, or the first ones. Raises `ConvbenchError` where it cannot be written."""
    figure = draw(found[:PANELS])
    try:
        if path.suffix == ".png":
            path.write_bytes(png(figure))
        elif path.suffix == ".svg":
            path.write_text(svg(figure), encoding="utf-8")
        else:
            raise ConvbenchError(f"--out {path}: a figure is an .svg or a .png")
    except OSError as error:
        raise ConvbenchError(f"{path}: cannot be written: {error.strerror}") from error


def draw(found: Sequence[Trend]) -> Figure:
    """A panel for each trend: times with their intervals, run after run, and where they changed."""
    down = -(-len(found) // ACROSS)
    across = min(len(found), ACROSS)
    size = across * PANEL_WIDTH_IN, down * PANEL_HEIGHT_IN + HEAD_IN
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    with matplotlib.rc_context({"text.parse_math": False}):
        panels = figure.subplots(down, across, squeeze=False)
        for axes, trend in zip(panels.flat, found, strict=False):
            _panel(axes, trend)
        for axes in list(panels.flat)[len(found) :]:
            axes.set_visible(False)
        put_title(figure, "Time of a call, run after run")
        figure.subplots_adjust(
            left=0.75 / size[0],
            right=1 - 0.15 / size[0],
            top=1 - (HEAD_IN + 0.4) / size[1],
            bottom=0.5 / size[1],
            hspace=0.45,
            wspace=0.28,
        )
    return figure


def _panel(axes: Axes, trend: Trend) -> None:
    times = [moment.time for moment in trend.moments]
    scale, unit = next(
        (s, u) for s, u in ((1.0, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns")) if s * times[0].value >= 1 or u == "ns"
    )
    values = [scale * one.value for one in times]
    lows = [scale * (one.value - (one.low or one.value)) for one in times]
    highs = [scale * ((one.high or one.value) - one.value) for one in times]
    axes.errorbar(
        range(len(values)), values, yerr=(lows, highs), color=COLOR, marker="o", markersize=4, linewidth=1, elinewidth=1
    )
    for at in trend.changes:
        axes.axvline(at - 0.5, color=INK, linestyle="--", linewidth=1)
        commit = trend.moments[at].commit[:8]
        axes.annotate(
            f"{factor(trend.ratio(at))} {commit}".strip(),
            (at - 0.5, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, -9),
            textcoords="offset points",
            fontsize=FONT_PT - 1,
            color=INK,
        )
    threads = plural(trend.threads, "thread")
    axes.set_title(f"{trend.algorithm}, {trend.cell}, {threads}, {unit}", fontsize=FONT_PT, color=INK, loc="left")
    axes.set_ylim(bottom=0)
    ticks = sorted({0, len(values) - 1, *trend.changes})
    axes.set_xticks(ticks, [trend.moments[tick].started_utc[:10] for tick in ticks], fontsize=FONT_PT - 1)
    frame(axes)
    axes.spines["bottom"].set_color(FAINT)
