"""What a finished run gets: its tables, figures, page and summary in its folder, and lines on the terminal.

What draws and writes tables is imported where it is needed: half a second that a command without a report saves.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from convbench.analysis.machines import Part, by_machine, fingerprint
from convbench.analysis.versus import duel_rows
from convbench.errors import ConvbenchError
from convbench.report.answers import Answers
from convbench.report.excerpt import excerpt
from convbench.report.markdown import summary
from convbench.report.terminal import print_answers
from convbench.result import Block, RunInfo

MOST_DRAWN: Final = 800
"""Lines of a huge run that its figures show: on paper there is less room than on a page, and nothing can be picked."""


def write_report(folder: Path, info: RunInfo, blocks: Sequence[Block]) -> None:
    """Write tables, summary.md, figures/*.svg and *.png, and report.html into a run's folder.

    The tables are results.csv and, where the suite compares two sides, versus.csv. Of several machines the page
    compares them with the first, and each has figures and a page of its own.
    """
    from convbench.report.html import comparison_page

    parts = by_machine(info, blocks)
    answers = [Answers(part.info, part.blocks) for part in parts]
    _write_tables(folder, parts, answers)
    if len(answers) == 1:
        _write_page(folder / "report.html", folder / "figures", answers[0])
        return
    for number, one in enumerate(answers, start=1):
        _write_page(folder / f"report-machine-{number}.html", folder / "figures" / f"machine-{number}", one)
    _write(folder / "report.html", comparison_page([part.name for part in parts], answers))


def _write_page(path: Path, figures: Path, answers: Answers) -> None:
    from convbench.report.html import page

    shown = excerpt(answers)
    _write_figures(figures, shown if shown is answers else excerpt(answers, MOST_DRAWN))
    _write(path, page(answers, shown))


def write_comparison(path: Path, runs: Sequence[tuple[str, RunInfo, Sequence[Block]]]) -> None:
    """Write one page of several runs, compared with the first; of a single run, its report."""
    from convbench.report.html import comparison_page, page

    parts = [(name, by_machine(info, blocks)) for name, info, blocks in runs]
    answers = [Answers(part.info, part.blocks) for _, found in parts for part in found]
    names = [name if len(found) == 1 else f"{name}, {part.name}" for name, found in parts for part in found]
    _write(path, page(answers[0]) if len(answers) == 1 else comparison_page(names, answers))


def write_claims(path: Path, runs: Sequence[tuple[Path, RunInfo, Sequence[Block]]]) -> None:
    """Write one Markdown page of the claims of several runs, given with their folders."""
    from convbench.report.claims_page import claims_page

    parts = [(folder, part) for folder, info, blocks in runs for part in by_machine(info, blocks)]
    _write(path, claims_page([(folder, Answers(part.info, part.blocks)) for folder, part in parts], path))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConvbenchError(f"cannot write {path}: {error.strerror}") from error


def write_tables(folder: Path, info: RunInfo, blocks: Sequence[Block]) -> None:
    """Write only the tables and summary.md."""
    parts = by_machine(info, blocks)
    _write_tables(folder, parts, [Answers(part.info, part.blocks) for part in parts])


def print_summary(console: Console, info: RunInfo, blocks: Sequence[Block]) -> None:
    """Print winners, crossovers, failures and the share of time, for each machine."""
    parts = by_machine(info, blocks)
    for part in parts:
        if len(parts) > 1:
            console.rule(f"[bold]{escape(part.name)}[/]", align="left")
        print_answers(console, Answers(part.info, part.blocks))


def _write_tables(folder: Path, parts: Sequence[Part], answers: Sequence[Answers]) -> None:
    from convbench.report.tabular import export

    folder.mkdir(parents=True, exist_ok=True)
    export([row for one in answers for row in one.rows], folder / "results.csv")
    if duels := [row for one in answers for row in duel_rows(one.standings, fingerprint(one.info))]:
        export(duels, folder / "versus.csv")
    heads = [f"# {part.name}\n\n" if len(parts) > 1 else "" for part in parts]
    _write(folder / "summary.md", "\n".join(head + summary(one) for head, one in zip(heads, answers, strict=True)))


def _write_figures(folder: Path, answers: Answers) -> None:
    from convbench.report.drawing import draw, overviews, png, svg
    from convbench.report.figures import charts
    from convbench.report.stage_bars import stage_figures

    folder.mkdir(parents=True, exist_ok=True)
    drawn = ((chart.name, draw(answers, chart)) for chart in charts(answers))
    for name, figure in (*drawn, *overviews(answers), *stage_figures(answers)):
        stem = file_stem(name)
        (folder / f"{stem}.svg").write_text(svg(figure), encoding="utf-8")
        (folder / f"{stem}.png").write_bytes(png(figure))


def file_stem(name: str) -> str:
    """A figure's name as one that every system takes, and that stays in its folder; a name that fits stays itself.

    It may hold what a run says of itself: an axis's name, an algorithm's.
    """
    plain = re.sub(r"[^\w.×≈-]", "_", name)[:100]
    return plain if plain == name else f"{plain}-{zlib.crc32(name.encode('utf-8', 'surrogatepass')):08x}"
