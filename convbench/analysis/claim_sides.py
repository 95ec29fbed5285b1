"""What the sides of a claim's ratio come to, pass by pass.

Evidence is the pass, as everywhere: a side is a sum over cells of one pass, so that a ratio of two sides has one figure
a pass, and Student's interval over them. What is counted rather than measured (bytes, operations) is the same in every
pass, and then needs no interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from convbench.analysis.contenders import Contender, Contenders
from convbench.analysis.planning import plan_alone_s
from convbench.analysis.statistics import Estimate, block_median, from_logs, paired_log_ratios, timed
from convbench.analysis.winners import fastest
from convbench.result import AxisValue, Block, Cell, Quantity, Ratio, RunInfo, Side

Coordinates = tuple[tuple[str, AxisValue], ...]


COUNTED: Final = frozenset((Quantity.WORKSPACE, Quantity.IMAGE, Quantity.OPERATIONS, Quantity.MULTIPLY_ADDS))
SAME: Final = 1e-9
"""Counts agree to more than that, in logarithms."""


class LackingError(Exception):
    """A side has no figure; the message says why, for people."""


@dataclass(frozen=True)
class Place:
    """Cells that differ in nothing but what a ratio's sides tell apart; `algorithm` where it is each by itself."""

    threads: int
    device: str
    fixed: Coordinates
    cells: tuple[Cell, ...]
    algorithm: str | None = None


def places(info: RunInfo, ratio: Ratio, algorithms: Sequence[str]) -> list[Place]:
    """Where a ratio has a figure: every group of cells in which each side finds all that it is a sum of."""
    told_apart = {axis for side in ratio.sides for axis in side.at}
    groups: dict[tuple[int, str, Coordinates], list[Cell]] = {}
    for cell in info.cells:
        fixed = tuple((axis, value) for axis, value in cell.coordinates.items() if axis not in told_apart)
        groups.setdefault((cell.threads, cell.device, fixed), []).append(cell)
    each: Sequence[str | None] = [None]
    if any(side.of_contender and not side.algorithms for side in ratio.sides):
        each = algorithms
    return [
        Place(*group, tuple(cells), algorithm)
        for algorithm in each
        for group, cells in groups.items()
        if all(_is_whole(side, cells) for side in ratio.sides)
    ]


def _is_whole(side: Side, cells: Iterable[Cell]) -> bool:
    """Whether there is a cell for every value that the side asks for."""
    chosen = [cell.coordinates for cell in cells_of(side, cells)]
    wanted = ((axis, value) for axis, values in side.at.items() for value in values)
    return bool(chosen) and all(any(one.get(axis) == value for one in chosen) for axis, value in wanted)


def cells_of(side: Side, cells: Iterable[Cell]) -> list[Cell]:
    """The cells of a place that a side is a sum over."""
    return [cell for cell in cells if all(cell.coordinates.get(axis) in side.at[axis] for axis in side.at)]


def estimate(place: Place, ratio: Ratio, info: RunInfo, merged: Contenders) -> Estimate:
    """The ratio in one place. Raises `LackingError` where there is none."""
    sums = [_sum(side, place, info, merged) for side in ratio.sides]
    passes = sorted({index for one in sums for index in one.passes}) or [0]
    figures = {index: [one.in_pass(index) for one in sums] for index in passes}
    logs = {index: _log_ratio(found) for index, found in figures.items() if all(found)}
    if not logs:
        raise LackingError("no pass has a figure for all of it")
    if len(sums) == 2:
        logs |= _by_rounds(sums[0], sums[1], logs)
    found = list(logs.values())
    if all(one.is_counted for one in sums) and max(found) - min(found) < SAME:
        value = math.exp(found[0])
        return Estimate(value, value, value, len(found), len(found))
    return from_logs(found, len(found))


def _log_ratio(figures: Sequence[float | None]) -> float:
    top, *rest = (math.log(figure) for figure in figures if figure)
    return top - sum(rest)


@dataclass(frozen=True)
class _Sum:
    """A side in a place: its cells, each with the contender that stands for it, if the side is about one."""

    side: Side
    terms: tuple[tuple[Cell, Contender | None], ...]
    info: RunInfo

    @property
    def is_counted(self) -> bool:
        """Whether it would be the same on another day."""
        return all(one in COUNTED for one in (*self.side.quantities, self.side.per) if one is not None)

    @property
    def is_time(self) -> bool:
        """Whether it is that of calls alone, in one cell."""
        return self.side.quantities == (Quantity.TIME,) and len(self.terms) == 1

    @cached_property
    def blocks(self) -> list[tuple[Cell, dict[int, Block] | None]]:
        """The terms' blocks by pass."""
        return [(cell, None if one is None else timed(one.blocks)) for cell, one in self.terms]

    @property
    def passes(self) -> set[int]:
        """In which something was timed."""
        return {index for _, found in self.blocks if found is not None for index in found}

    def in_pass(self, index: int) -> float | None:
        """Σ quantities ÷ Σ per; None where a term has no figure in the pass, or all of them come to nothing."""
        total, share = self._total(self.side.quantities, index), self.share_in_pass(index)
        return total / share if total and share else None

    def share_in_pass(self, index: int) -> float | None:
        """Σ per."""
        return 1.0 if self.side.per is None else self._total((self.side.per,), index)

    def _total(self, quantities: Sequence[Quantity], index: int) -> float | None:
        total = 0.0
        for cell, found in self.blocks:
            block = None if found is None else found.get(index)
            for quantity in quantities:
                amount = _amount(quantity, cell, block, self.info)
                if amount is None:
                    return None
                total += cell.weight * amount
        return total


def _sum(side: Side, place: Place, info: RunInfo, merged: Contenders) -> _Sum:
    names = side.algorithms or (() if place.algorithm is None else (place.algorithm,))
    cells = cells_of(side, place.cells)
    terms = ((cell, _contender(cell, names, merged) if side.of_contender else None) for cell in cells)
    return _Sum(side, tuple(terms), info)


def _contender(cell: Cell, names: Sequence[str], merged: Contenders) -> Contender:
    """The fastest of them that passed. Raises `LackingError` where none did."""
    known = [one for name in names if (one := merged.get((cell.key, name))) is not None]
    found = fastest([one for one in known if one.time is not None])
    if found is not None:
        return found
    why = [f"{one.algorithm} {one.status.replace('_', ' ')}{': ' * bool(one.reason)}{one.reason}" for one in known]
    raise LackingError("; ".join(why) or f"{' or '.join(names)}: not a contender of this run")


def _amount(quantity: Quantity, cell: Cell, block: Block | None, info: RunInfo) -> float | None:
    match quantity:
        case Quantity.MATRIX_PRODUCT:
            return _product_s(cell, info)
        case Quantity.IMAGE:
            return float(cell.spec.itemsize * math.prod(cell.spec.x_shape))
        case Quantity.MULTIPLY_ADDS:
            return cell.spec.direct_flops / 2
    return None if block is None else _measured(quantity, block)


def _measured(quantity: Quantity, block: Block) -> float | None:
    match quantity:
        case Quantity.TIME:
            return block_median(block)
        case Quantity.WORKSPACE:
            return block.workspace_bytes
        case Quantity.OPERATIONS:
            return block.operations
        case Quantity.ERROR:
            return None if block.agreement is None else block.agreement.normwise
    if block.compiled:  # what a kernel's first use costs beside its compilation has no place in a plan either
        return None
    return plan_alone_s(block) if quantity is Quantity.PLAN else block.prepare_s


def _product_s(cell: Cell, info: RunInfo) -> float | None:
    """The work of direct sums at the rate of a matrix product, which is measured in float32 on the CPU."""
    if cell.spec.dtype != "float32" or cell.device != "cpu":
        return None
    for one in info.machine.get("ceilings", ()):
        if one.get("device", "cpu") == "cpu" and one["threads"] == cell.threads:
            rate = one.get("matrix_product_flops_per_s")
            return cell.spec.direct_flops / rate if rate else None
    return None


def _by_rounds(of: _Sum, over: _Sum, logs: Mapping[int, float]) -> dict[int, float]:
    """The same figures with less noise, where both are times in one cell: drift cancels within a round."""
    if not (of.is_time and over.is_time):
        return {}
    ((cell, top),), ((other, bottom),) = of.terms, over.terms
    if cell.key != other.key or top is None or bottom is None:
        return {}
    paired = paired_log_ratios(top.blocks, bottom.blocks)
    shares = {index: (of.share_in_pass(index), over.share_in_pass(index)) for index in logs}
    return {index: paired[index] - _log_ratio(shares[index]) for index in logs}
