"""How many times faster than one contender, cell by cell, the best of all others is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convbench.analysis.contenders import Contenders, ranked
from convbench.analysis.statistics import Estimate, independent_ratio, paired_ratio
from convbench.analysis.winners import Winner, told_apart
from convbench.result import Cell, RunInfo


@dataclass(frozen=True)
class Speedup:
    """`ratio` is the time of `base` over that of `other`, the fastest beside it: above 1 where `base` loses."""

    cell: Cell
    base: str
    other: str
    ratio: Estimate

    @property
    def is_tie(self) -> bool:
        """Whether the two cannot be told apart."""
        return not told_apart(self.ratio)


def speedups(info: RunInfo, merged: Contenders, winners: Mapping[str, Winner], base: str) -> dict[str, Speedup]:
    """Cell key → speed-up against `base`, where it and another were ranked.

    The fastest of all is the winner; beside the winner it is the runner-up.
    """
    found = {}
    for key, best in winners.items():
        other = best.algorithm if best.algorithm != base else best.runner_up
        field = {one.algorithm: one for one in ranked(best.cell, merged, info)}
        if other is None or base not in field:
            continue
        sides = field[base].blocks, field[other].blocks
        ratio = paired_ratio(*sides) or independent_ratio(*sides)
        if ratio is not None:
            found[key] = Speedup(best.cell, base, other, ratio)
    return found
