"""The closing table, ours against theirs, as text: one line a ground and number of threads."""

from __future__ import annotations

from typing import Final

from convbench.analysis.quantities import plural
from convbench.analysis.sentences import cell_name, factor_with_interval, place
from convbench.analysis.versus import Duel, Standing
from convbench.report.answers import Answers

HEAD: Final = ("ground", "where", "cells", "mean", "worst", "worst cell", "targets")
NOTE: Final = (
    "Theirs / ours in time, so that above 1 ours is faster; in each cell the fastest strict contender of each side, "
    "chosen alike from the same passes; the mean is geometric"
)


def closing_lines(answers: Answers) -> list[tuple[str, ...]]:
    """One line a ground and number of threads, as long as `HEAD`."""
    return [
        (
            standing.ground or "all cells",
            place(standing.threads, standing.device, ()),
            _cells(standing),
            factor_with_interval(standing.mean) if standing.mean else "–",
            factor_with_interval(standing.worst.ratio) if standing.worst else "–",
            f"{cell_name(standing.worst.cell)}: {names(standing.worst)}" if standing.worst else "–",
            "; ".join(f"{target.text}: {target.verdict}" for target in standing.targets) or "–",
        )
        for standing in answers.standings
    ]


def closing_sentence(line: tuple[str, ...]) -> str:
    """A line of the table as plain text."""
    ground, where, cells, mean, worst, worst_cell, targets = line
    text = f"{ground}, {where}: {cells}"
    text += f"; mean {mean}, worst {worst} at {worst_cell}" if worst != "–" else ""
    return text if targets == "–" else f"{text}; {targets}"


def _cells(standing: Standing) -> str:
    parts = [plural(len(standing.duels), "cell")]
    if standing.slower:
        parts.append(f"theirs is faster in {standing.slower}")
    if standing.without_theirs:
        parts.append(f"{plural(len(standing.without_theirs), 'cell')} without theirs")
    if standing.without_ours:
        parts.append(f"{plural(len(standing.without_ours), 'cell')} without ours")
    if standing.without_both:
        parts.append(f"{plural(len(standing.without_both), 'cell')} without either")
    return ", ".join(parts)


def names(duel: Duel) -> str:
    """`winograd_f4 against ncnn`."""
    return f"{duel.ours.algorithm} against {duel.theirs.algorithm}"
