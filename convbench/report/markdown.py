"""summary.md: short, and pastes into a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from convbench.analysis.claim_sentences import verdict_sentence
from convbench.analysis.groups import Group, stretches
from convbench.analysis.quantities import plural, seconds
from convbench.analysis.sentences import cell_name, crossover_sentence, factor_with_interval, place, winner_sentence
from convbench.analysis.statistics import Estimate
from convbench.analysis.totals import Total
from convbench.report.answers import Answers
from convbench.report.closing import HEAD, NOTE, closing_lines
from convbench.result import AxisValue

MOST_REASONS = 20


def summary(answers: Answers) -> str:
    """The run in Markdown."""
    info = answers.info
    parts = [f"# {escape(info.suite_name)}", escape(info.suite_description), _bullets(answers.sentences())]
    if answers.claims:
        parts += ["## Claims", _bullets(f"“{one.claim.says}” – {verdict_sentence(one)}" for one in answers.claims)]
    if answers.crossovers:
        parts += ["## Crossovers", _bullets(crossover_sentence(crossover) for crossover in answers.crossovers)]
    parts += ["## Fastest", *_fastest(answers)]
    for group, found in answers.totals:
        parts += [f"### In all, {place(group.threads, group.device, ())}", _totals(found)]
    if answers.standings:
        parts += ["## Ours against theirs", f"{NOTE}.", table(HEAD, closing_lines(answers))]
    if answers.not_measured:
        parts += ["## Not measured", _not_measured(answers)]
    parts += ["## Measured with", _measured_with(answers)]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [head, ["---"] * len(head), *([escape(text) for text in line] for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def escape(text: str) -> str:
    """Text that Markdown and its HTML leave alone, on one line."""
    for mark in "\\`*<>|[]":
        text = text.replace(mark, f"\\{mark}")
    # An underscore inside a word, as in fft_overlap_add, is plain in GitHub's Markdown.
    return " ".join(re.sub(r"(?<!\w)_|_(?!\w)", r"\_", text).split())


def _totals(found: Sequence[Total]) -> str:
    lines = []
    for one in found:
        behind = "–" if one.behind is None else factor_with_interval(one.behind)
        lines.append((one.algorithm or "the best of each", seconds(one.time.value), interval(one.time), behind))
    return table(("", "time", "95 %", "to the best of each"), lines)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)


def _fastest(answers: Answers) -> Iterable[str]:
    swept = [group for group in answers.groups if group.axis is not None]
    listed = [group for group in answers.groups if group.axis is None]
    if swept:
        lines = [(place(group.threads, group.device, group.fixed), stretch_text(group, answers)) for group in swept]
        yield table(
            ("where", f"fastest by {escape(str(swept[0].axis))} (≈: others cannot be told apart from it)"), lines
        )
    for group in listed:
        cells = [
            (cell_name(cell), winner_sentence(best), seconds(best.time.value))
            for cell in group.cells
            if (best := answers.winners.get(cell.key)) is not None
        ]
        yield table((place(group.threads, group.device, ()), "fastest", "time"), cells)


TIE: Final = "≈: others cannot be told apart from it"


def stretch_text(group: Group, answers: Answers) -> str:
    """`direct 3–15, ≈fft 19, fft 23–63`."""
    found = stretches(group, answers.winners)
    return ", ".join(f"{name or 'none'} {_ends(first, last)}" for name, first, last in found)


def _ends(first: AxisValue, last: AxisValue) -> str:
    return str(first) if first == last else f"{first}–{last}"


def interval(time: Estimate) -> str:
    """`1.2 ms–1.3 ms`, or `one pass`."""
    return f"{seconds(time.low)}–{seconds(time.high)}" if time.has_interval else "one pass"


def _not_measured(answers: Answers) -> str:
    lines = [(", ".join(one.algorithms), one.status, one.reason, str(len(one.cells))) for one in answers.not_measured]
    more = f"\n\n… and {len(lines) - MOST_REASONS} more" if len(lines) > MOST_REASONS else ""
    return table(("algorithm", "status", "why", "cells"), lines[:MOST_REASONS]) + more


def _measured_with(answers: Answers) -> str:
    info, effort = answers.info, answers.effort
    plain = {name: value for name, value in info.machine.items() if isinstance(value, str | int | float)}
    machine = ", ".join(f"{name}: {value}" for name, value in plain.items() if value != "")
    versions = ", ".join(f"{name} {version}" for name, version in info.versions.items())
    lines = [
        f"{info.started_utc}, {plural(len(info.cells), 'cell')}, {plural(len(info.algorithms), 'algorithm')}, "
        f"{plural(answers.passes, 'pass', 'passes')}, seed {info.seed}; intervals are 95 %, over passes",
        effort.sentence(),
        f"compiled: {answers.compilation.sentence()}" if answers.compilation else "",
        machine,
        versions,
        f"commit {info.git_commit}" if info.git_commit else "",
        *info.notes,
    ]
    return _bullets(line for line in lines if line)
