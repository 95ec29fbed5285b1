"""Speed-ups on the page: the best other against a base that the reader picks, a map for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from convbench.analysis.quantities import factor
from convbench.analysis.sentences import cell_name, factor_with_interval
from convbench.analysis.speedups import Speedup
from convbench.report.answers import Answers
from convbench.report.views import CellMap, Square, cell_maps, ratio_look
from convbench.result import Cell

MOST_SQUARES: Final = 6000
"""On one page: what has more shows its libraries first, and no more than fit."""


def speedup_maps(answers: Answers) -> Iterator[tuple[str, list[CellMap]]]:
    """(base, its maps), the libraries first, for those that were ranked anywhere in a sweep's plane."""
    squares = sum(len(list(plane.cells)) for plane in answers.planes)
    peers_first = sorted(answers.info.algorithms, key=lambda name: "peer" not in answers.info.tags.get(name, ()))
    room = MOST_SQUARES
    for base in peers_first:
        found = answers.speedups[base]

        def square(cell: Cell, found: dict[str, Speedup] = found) -> Square | None:
            one = found.get(cell.key)
            return None if one is None else _square(one)

        maps = [one for one in cell_maps(answers, square) if any(any(row) for _, row in one.rows)]
        if maps and room >= squares:
            room -= squares
            yield base, maps


def _square(one: Speedup) -> Square:
    hint = f"{cell_name(one.cell)}: {one.base} takes {factor_with_interval(one.ratio)} the time of {one.other}"
    return Square(factor(one.ratio.value), ratio_look(one.ratio, is_tie=one.is_tie), one.other, hint)
