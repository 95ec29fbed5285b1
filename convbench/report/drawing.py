"""Charts as matplotlib figures, and figures as SVG and PNG."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Final

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from convbench.analysis.sentences import place
from convbench.report.along_axis import along_axis
from convbench.report.answers import Answers
from convbench.report.by_shape import by_shape
from convbench.report.figures import Chart
from convbench.report.front_figure import front_figure
from convbench.report.map_figures import speedup_bases, speedup_map, winner_map
from convbench.report.roofline_figure import roofline

# Less than a hundredth of a point is nothing that anyone sees, and half of the file.
_COORDINATES: Final = re.compile(r'\s(d|x|y)="[^"]*"')
_DIGITS: Final = re.compile(r"(\d\.\d\d)\d+")


def draw(answers: Answers, chart: Chart) -> Figure:
    """A chart as a figure, drawn with the object interface: nothing global is touched."""
    return _drawn(by_shape if chart.groups[0].axis is None else along_axis, answers, chart)


def overviews(answers: Answers) -> Iterator[tuple[str, Figure]]:
    """Beside the charts, by name: maps of who wins, of speed-ups against each library, trade-offs, and rooflines."""
    for plane in answers.planes:
        where = f"-{place(plane.threads, plane.device, ()).replace(' ', '')}"
        if any(cell.key in answers.winners for cell in plane.cells):
            yield f"map{where}", _drawn(winner_map, answers, plane)
        for base in speedup_bases(answers, plane):
            name = re.sub(r"[^\w.-]", "_", base)
            yield f"speedup-{name}{where}", _drawn(speedup_map, answers, plane, base)
    for where, found in answers.fronts_by_place.items():
        yield f"pareto-{where.replace(' ', '')}", _drawn(front_figure, answers, found)
    for roof, spots in answers.rooflines.items():
        name = f"roofline-{place(roof.threads, roof.device, ()).replace(' ', '')}"
        yield name, _drawn(roofline, answers, roof, spots)


def _drawn(make: Callable[..., Figure], *given: object) -> Figure:
    with matplotlib.rc_context({"text.parse_math": False, "hatch.linewidth": 0.6}):  # a name with a $ is no formula
        figure = make(*given)
    FigureCanvasAgg(figure)
    return figure


def svg(figure: Figure) -> str:
    """The figure as SVG with its text as text, the same bytes for the same data."""
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "convbench"}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _COORDINATES.sub(lambda match: _DIGITS.sub(r"\1", match[0]), file.getvalue())


def png(figure: Figure) -> bytes:
    """The figure as PNG on white."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=144, facecolor="white", metadata={"Software": None})
    return file.getvalue()
