"""Charts as matplotlib figures, and figures as SVG, PNG and page content."""

from __future__ import annotations

import io
import re
from html import escape
from typing import Final

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from convbench.report.along_axis import along_axis
from convbench.report.answers import Answers
from convbench.report.by_shape import by_shape
from convbench.report.figures import Chart
from convbench.report.style import FAINT, GRID, INK

# Less than a hundredth of a point is nothing that anyone sees, and half of the file.
_COORDINATES: Final = re.compile(r'\s(d|x|y)="[^"]*"')
_DIGITS: Final = re.compile(r"(\d\.\d\d)\d+")


def draw(answers: Answers, chart: Chart) -> Figure:
    """A chart as a figure, drawn with the object interface: nothing global is touched."""
    with matplotlib.rc_context({"text.parse_math": False}):  # a name with a $ is not a formula
        figure = by_shape(answers, chart) if chart.groups[0].axis is None else along_axis(answers, chart)
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


def themed(text: str, prefix: str, label: str) -> str:
    """An SVG for a page: it follows the page's theme and width, its ids are its own, and it has a name."""
    body = text[text.index("<svg") :]
    for color, variable in ((INK, "--ink"), (FAINT, "--faint"), (GRID, "--grid")):
        body = body.replace(color, f"var({variable})")
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", body).replace("xlink:href", "href")
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    head, rest = body.split(">", 1)
    view = re.search(r'viewBox="[^"]*"', head)
    assert view is not None  # matplotlib always writes one
    return f'<svg {view[0]} role="img" aria-label="{escape(label)}">{rest}'
