"""Cells to add beside a crossover that is not placed: a coarse sweep finds it, a few finer steps place it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from convbench.analysis.crossovers import (
    Crossed,
    Crossover,
    Curve,
    OneSided,
    Unresolved,
    axis_value,
    crossovers,
    curve_place,
)
from convbench.analysis.open_cells import CROSSOVER_TARGET
from convbench.result import Block, Cell, RunInfo

FEWEST_PASSES: Final = 3


def finer(info: RunInfo, blocks: Sequence[Block]) -> tuple[Cell, ...]:
    """Of the cells in reserve, those next to where a crossover is, or may be; none once all are placed to ±5 %.

    For each crossover that is to be refined: the value nearest to its estimate, until its neighbours are measured; then
    those nearest to both ends of its interval.
    """
    chosen: dict[str, Cell] = {}
    for crossover in crossovers(info, blocks):
        if crossover.curve.crossing.refine is None:
            continue
        free = _between_neighbours(crossover, info)
        for at in _places(crossover):
            nearest = min(free, key=lambda cell: abs(_axis(crossover.curve, cell) - at), default=None)
            if nearest is not None:
                chosen[nearest.key] = nearest
    return tuple(chosen.values())


def _places(crossover: Crossover) -> Iterator[float]:
    """Where another cell would tell most."""
    outcome = crossover.outcome
    match outcome:
        case Crossed(value=value) if not _has_neighbours(crossover):
            yield value
        case Crossed(low=low, high=high) if _is_known(crossover):
            if low <= 0 or math.sqrt(high / low) > 1 + CROSSOVER_TARGET:
                yield from (low, high)
        case Unresolved(estimate=float(estimate)) | OneSided(estimate=float(estimate)):
            yield estimate


def _has_neighbours(crossover: Crossover) -> bool:
    """Whether the estimate lies between cells that are near: what is interpolated over a long way is a guess."""
    values = [point.axis_value for point in crossover.curve.points]
    assert isinstance(crossover.outcome, Crossed)
    value = crossover.outcome.value
    below = max((one for one in values if one <= value), default=values[0])
    above = min((one for one in values if one >= value), default=values[-1])
    return above - below <= 2 * (crossover.curve.crossing.refine or 0.0)


def _is_known(crossover: Crossover) -> bool:
    """Whether the doubt is that of the data, not of cells that have only just been added."""
    outcome = crossover.outcome
    assert isinstance(outcome, Crossed)
    around = [one for one in crossover.curve.points if outcome.low <= one.axis_value <= outcome.high]
    return all(len(one.logs) >= FEWEST_PASSES for one in around)


def _between_neighbours(crossover: Crossover, info: RunInfo) -> list[Cell]:
    """The reserve of a crossover's group, between the measured cells around what is in doubt."""
    curve, outcome = crossover.curve, crossover.outcome
    values = [point.axis_value for point in curve.points]
    ends = [(outcome.low, outcome.high)] if isinstance(outcome, Crossed) else list(curve.undecided)
    ends += [(estimate, estimate)] if (estimate := getattr(outcome, "estimate", None)) is not None else []
    if not ends or not values:
        return []
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    below = max((one for one in values if one < low), default=values[0])
    above = min((one for one in values if one > high), default=values[-1])
    return [cell for cell in info.reserve if _is_of(curve, cell) and below < _axis(curve, cell) < above]


def _is_of(curve: Curve, cell: Cell) -> bool:
    return curve_place(cell, curve.crossing.axis) == (curve.threads, curve.device, curve.fixed)


def _axis(curve: Curve, cell: Cell) -> float:
    return float(axis_value(cell, curve.crossing.axis) or 0)
