"""Who is fastest in each cell, by how much, and who cannot be told apart from the winner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from convbench.analysis.contenders import Contender, Contenders, contenders, ranked
from convbench.analysis.statistics import Estimate, paired_ratio
from convbench.result import Block, Cell, RunInfo

HOPELESS: Final = 3.0
"""A single pass has no interval, but is trusted to this factor: processes do not differ by so much."""


@dataclass(frozen=True)
class Winner:
    """A cell's fastest contender, its margin over the runner-up, and the ties.

    `tied` lists, fastest first, the contenders whose ratio to the winner has 1 in its interval, the
    winner among them; a single entry is a clear win. `margin` is runner-up time / winner time.
    """

    cell: Cell
    algorithm: str
    time: Estimate
    runner_up: str | None
    margin: Estimate | None
    tied: tuple[str, ...]
    precision: str

    @property
    def is_tie(self) -> bool:
        """Whether others cannot be told apart from the winner."""
        return len(self.tied) > 1

    @property
    def is_provisional(self) -> bool:
        """Whether it rests on a single pass, and so has no interval."""
        return not self.time.has_interval


def told_apart(ratio: Estimate | None) -> bool:
    """Whether a ratio differs from 1: by its interval, or by a factor of 3 where a single pass gives none."""
    if ratio is None:
        return False
    inside = ratio.contains(1.0)
    return abs(math.log(ratio.value)) > math.log(HOPELESS) if inside is None else not inside


def winner(cell: Cell, merged: Contenders, info: RunInfo) -> Winner | None:
    """The winner of one cell among the contenders of one precision class; None where nobody passed."""
    field = ranked(cell, merged, info)
    if not field:
        return None
    best = fastest(field)
    assert best is not None
    behind = sorted((c for c in field if c is not best), key=lambda one: _ratio_or_estimate(one, best))
    ratios = {c.algorithm: paired_ratio(c.blocks, best.blocks) for c in behind}
    tied = (best.algorithm, *(name for name, ratio in ratios.items() if not told_apart(ratio)))
    runner_up = behind[0].algorithm if behind else None
    margin = ratios[runner_up] if runner_up else None
    assert best.time is not None
    return Winner(cell, best.algorithm, best.time, runner_up, margin, tied, best.precision)


def fastest(field: Sequence[Contender]) -> Contender | None:
    """The fastest of timed contenders; None of none.

    Estimates from different passes carry different drift, so they only name a reference; the order
    comes from ratios that are paired round by round.
    """
    reference = min(field, key=_seconds, default=None)
    return None if reference is None else min(field, key=lambda one: _ratio_or_estimate(one, reference))


def winners(info: RunInfo, blocks: Sequence[Block], merged: Contenders | None = None) -> dict[str, Winner]:
    """Cell key → winner, for the cells where anyone passed; `merged` are the contenders of whoever has them already."""
    merged = merged or contenders(info, blocks)
    found = ((cell.key, winner(cell, merged, info)) for cell in info.cells)
    return {key: best for key, best in found if best is not None}


def _seconds(contender: Contender) -> float:
    assert contender.time is not None
    return contender.time.value


def _ratio_or_estimate(one: Contender, other: Contender) -> float:
    ratio = paired_ratio(one.blocks, other.blocks)
    return ratio.value if ratio is not None else _seconds(one) / _seconds(other)
