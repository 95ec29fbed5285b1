"""The run on the terminal: tables for people, plain lines for pipes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from convbench.analysis.claim_sentences import verdict_sentence
from convbench.analysis.crossovers import NotEnoughData
from convbench.analysis.quantities import seconds
from convbench.analysis.sentences import cell_name, finding, gaps, place, where, winner_sentence
from convbench.report.answers import Answers
from convbench.report.closing import HEAD, NOTE, closing_lines, closing_sentence
from convbench.report.markdown import TIE, stretch_text
from convbench.report.phases import stages_text

MOST_FAILURES = 12
FEW_CELLS = 4
"""Of so many the stages are listed, too; of more, the page has them."""


def print_answers(console: Console, answers: Answers) -> None:
    """Winners, crossovers, failures, plan times, claims, ours against theirs, and where the time went."""
    tables = (_winners, _crossovers, _failures, _planning, _stages)
    for title, head, lines in (table(answers) for table in tables):
        if not lines:
            continue
        if console.is_terminal:
            _table(console, title, head, lines)
        else:
            _plain(console, *(f"{title}: {': '.join(part for part in line if part)}" for line in lines))
    _sentences(console, answers)
    _claims(console, answers)
    _closing(console, answers)
    _plain(console, f"time: {answers.effort.sentence()}")
    if answers.compilation is not None:
        _plain(console, f"compiled: {answers.compilation.sentence()}")


def _sentences(console: Console, answers: Answers) -> None:
    if console.is_terminal:
        for sentence in answers.sentences():
            console.print(f"• {sentence}", markup=False, highlight=False)
    else:
        _plain(console, *answers.sentences())


def _claims(console: Console, answers: Answers) -> None:
    _plain(console, *(f"claim: “{one.claim.says}” – {verdict_sentence(one)}" for one in answers.claims))


def _closing(console: Console, answers: Answers) -> None:
    lines = closing_lines(answers)
    if lines and console.is_terminal:
        console.print()
        _table(console, f"ours against theirs\n{NOTE}", HEAD, lines)
    elif lines:
        _plain(console, *(f"ours against theirs: {closing_sentence(line)}" for line in lines))


def _table(console: Console, title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    table = Table(*head, title=title, title_justify="left", header_style="bold", show_edge=False)
    for line in lines:
        table.add_row(*map(escape, line))
    console.print(table, end="\n\n")


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
    """Whoever failed; where nobody passed, whoever does not support it, too: the reason is all there is to tell."""
    untold = ("unsupported", "not reached") if any(answers.winners.values()) else ()
    lines: list[tuple[str, ...]] = [
        (
            ", ".join(one.algorithms),
            one.status,
            f"{len(one.cells)}× {one.cells[0]}{' …' if len(one.cells) > 1 else ''}",
            one.reason,
        )
        for one in answers.not_measured
        if one.status not in untold
    ]
    if len(lines) > MOST_FAILURES:
        lines = [*lines[:MOST_FAILURES], (f"… and {len(lines) - MOST_FAILURES} more", "", "", "")]
    return "not timed", ("not timed", "status", "cells", "why"), lines


def _stages(answers: Answers) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    """Where cells are few."""
    few = answers.stages if len(answers.info.cells) <= FEW_CELLS else []
    several = len(answers.info.cells) > 1
    lines: list[tuple[str, ...]] = []
    for one in few:
        cell = one.contender.cell
        here = f"{place(cell.threads, cell.device, ())}, {cell_name(cell)}, " if several else ""
        lines.append((here + one.contender.algorithm, stages_text(one)))
    return "stages", ("algorithm", "inside execute"), lines


def _planning(answers: Answers) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    lines: list[tuple[str, ...]] = []
    for one in answers.planning:
        text = f"{seconds(one.median_s)}, longest {seconds(one.longest_s)}"
        text += f"; the first, compiling, {seconds(one.first_s)}" if one.first_s is not None else ""
        lines.append((one.algorithm, text))
    return "plan times", ("algorithm", "median over cells"), lines
