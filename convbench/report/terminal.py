"""The run on the terminal: tables for people, plain lines for pipes."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from convbench.analysis.crossovers import NotEnoughData
from convbench.analysis.sentences import cell_name, finding, gaps, place, where, winner_sentence
from convbench.report.answers import Answers
from convbench.report.markdown import TIE, stretch_text

MOST_FAILURES = 12


def print_answers(console: Console, answers: Answers) -> None:
    """Winners, crossovers, failures, and the share of time that went into samples."""
    tables = console.is_terminal
    for title, head, lines in (_winners(answers), _crossovers(answers), _failures(answers)):
        if not lines:
            continue
        if tables:
            table = Table(*head, title=title, title_justify="left", header_style="bold", show_edge=False)
            for line in lines:
                table.add_row(*map(escape, line))
            console.print(table, end="\n\n")
        else:
            _plain(console, *(f"{title}: {': '.join(part for part in line if part)}" for line in lines))
    if tables:
        for sentence in answers.sentences():
            console.print(f"• {sentence}", markup=False, highlight=False)
    else:
        _plain(console, *answers.sentences())
    _plain(console, f"time: {answers.effort.sentence()}")


def _plain(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _winners(answers: Answers) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    lines: list[tuple[str, ...]] = []
    for group in answers.groups:
        here = place(group.threads, group.device, group.fixed)
        if group.axis is not None:
            lines.append((here, f"{stretch_text(group, answers)}"))
            continue
        for cell in group.cells:
            best = answers.winners.get(cell.key)
            lines.append((f"{here}, {cell_name(cell)}", winner_sentence(best) if best else "nobody passed"))
    axis = next((group.axis for group in answers.groups if group.axis), None)
    return (
        "fastest",
        ("where", f"fastest by {axis} ({TIE})" if axis else "fastest"),
        lines,
    )


def _crossovers(answers: Answers) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    told = [one for one in answers.crossovers if not isinstance(one.outcome, NotEnoughData)]
    lines: list[tuple[str, ...]] = [(where(one.curve), finding(one) + gaps(one.curve)) for one in told]
    if untold := len(answers.crossovers) - len(told):
        lines.append((f"{untold} more", "too few cells with a time for both"))
    return "crossover", ("where", "which overtakes which"), lines


def _failures(answers: Answers) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    lines: list[tuple[str, ...]] = [
        (
            ", ".join(one.algorithms),
            one.status,
            f"{len(one.cells)}× {one.cells[0]}{' …' if len(one.cells) > 1 else ''}",
            one.reason,
        )
        for one in answers.not_measured
        if one.status not in ("unsupported", "not reached")
    ]
    if len(lines) > MOST_FAILURES:
        lines = [*lines[:MOST_FAILURES], (f"… and {len(lines) - MOST_FAILURES} more", "", "", "")]
    return "failed", ("failed", "status", "cells", "why"), lines
