"""What of a huge run a page and its figures show: cells spread evenly, so that it opens as quickly as any other.

What is said of the whole run (its sentences, claims, crossovers and totals) stays of the whole run, as do the tables
in results.csv.
"""

from __future__ import annotations

import math
from typing import Final

from convbench.report.answers import Answers
from convbench.report.canvas import evenly

MOST_LINES: Final = 2000
"""Cells × contenders: a page takes 1.5 to 2 KB for each."""


def excerpt(answers: Answers, most: int = MOST_LINES) -> Answers:
    """The run's answers for as many of its cells as have no more than `most` lines; itself, where all do.

    Some groups, and some cells along each, so that a grid stays one. Each cell's answers stay what they are.
    """
    room = max(1, most // max(1, len(answers.info.algorithms)))
    total = len(answers.info.cells)
    if total <= room:
        return answers
    groups = evenly(answers.groups, max(1, math.floor(len(answers.groups) * math.sqrt(room / total))))
    shown = {cell.key for group in groups for cell in evenly(group.cells, max(1, room // len(groups)))}
    cells = tuple(cell for cell in answers.info.cells if cell.key in shown)
    return Answers(
        answers.info.model_copy(update={"cells": cells}), [block for block in answers.blocks if block.cell in shown]
    )


def said(answers: Answers, shown: Answers) -> str:
    """What is left out; nothing where nothing is."""
    if shown is answers:
        return ""
    return (
        f"{len(answers.info.cells):,} cells are too many for one page. The tables, maps and charts below show "
        f"{len(shown.info.cells):,} of them, spread evenly; sentences, claims, crossovers and totals are about all, "
        "and results.csv has a line for each."
    )
