"""The closing table on the page: its lines, a map of the ratios where cells lie in a plane, and every cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from convbench.analysis.quantities import factor, plural, seconds
from convbench.analysis.sentences import cell_name, factor_with_interval
from convbench.report.answers import Answers
from convbench.report.closing import closing_lines, names
from convbench.report.views import CellMap, Square, Value, cell_maps, ratio_look
from convbench.result import Cell

DUEL_HEAD: Final = ("cell", "threads", "ground", "ours", "time", "theirs", "time", "theirs / ours")


def standing_values(answers: Answers) -> Iterator[list[Value]]:
    """The same lines for the page, where they sort by their numbers."""
    for standing, line in zip(answers.standings, closing_lines(answers), strict=True):
        sorts = {
            2: len(standing.duels),
            3: standing.mean.value if standing.mean else None,
            4: standing.worst.ratio.value if standing.worst else None,
        }
        yield [Value(text, sorts.get(index)) for index, text in enumerate(line)]


def duel_maps(answers: Answers) -> Iterator[CellMap]:
    """Ratios in the plane of a sweep, one map a number of threads."""
    duels = {duel.cell.key: duel for standing in answers.standings for duel in standing.duels}

    def square(cell: Cell) -> Square | None:
        duel = duels.get(cell.key)
        if duel is None:
            return None
        hint = f"{cell_name(cell)}: {names(duel)}, {factor_with_interval(duel.ratio)}"
        look = ratio_look(duel.ratio, is_tie=duel.ratio.contains(1.0) is not False)
        return Square(factor(duel.ratio.value), look, f"{duel.ours.algorithm} / {duel.theirs.algorithm}", hint)

    return (one for one in cell_maps(answers, square) if any(any(squares) for _, squares in one.rows))


def duel_values(answers: Answers) -> Iterator[list[Value]]:
    """Every cell's two leaders, their times and their ratio; as long as `DUEL_HEAD`."""
    for standing in answers.standings:
        for duel in standing.duels:
            assert duel.ours.time is not None
            assert duel.theirs.time is not None
            yield [
                Value(cell_name(duel.cell), hint=duel.cell.spec.id),
                Value(str(duel.cell.threads), duel.cell.threads),
                Value(standing.ground or "–"),
                Value(duel.ours.algorithm),
                Value(seconds(duel.ours.time.value), duel.ours.time.value),
                Value(duel.theirs.algorithm),
                Value(seconds(duel.theirs.time.value), duel.theirs.time.value),
                Value(factor_with_interval(duel.ratio), duel.ratio.value, plural(duel.ratio.passes, "pass", "passes")),
            ]
