"""Which cells' answers are still open after a pass: where the next pass should spend its time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from convbench.analysis.contenders import Contender, Contenders, contenders, ranked
from convbench.analysis.crossovers import Crossed, Crossover, OneSided, Unresolved, crossovers
from convbench.analysis.groups import groups
from convbench.analysis.statistics import paired_ratio
from convbench.analysis.totals import totals
from convbench.analysis.versus import duel_ratio, leaders, side_field
from convbench.analysis.winners import HOPELESS, Winner, winner
from convbench.result import Block, Cell, RunInfo

LEAST_PASSES: Final = 5
"""Passes that every leader gets: Student's t is 12.7 with two, 2.8 with five."""

CROSSOVER_TARGET: Final = 0.05
"""A crossover is placed when its interval is ±5 %."""

PLACED: Final = 0.5
"""How open a crossover is that is placed by few passes: behind those that are not placed."""

MARGIN_TARGET: Final = 0.02
"""A margin is known when its interval is ±2 %."""

DUEL_TARGET: Final = 0.05
"""The best of ours against the best of theirs is known when its interval is ±5 %."""

TIE_TARGET: Final = 0.01
"""A tie is settled when its interval is ±1 %: whoever is ahead is ahead by less than that matters."""


def still_open(info: RunInfo, blocks: Sequence[Block]) -> list[tuple[str, tuple[str, ...]]]:
    """(cell key, the algorithms worth another pass), most open first; empty when all is answered.

    Open are: cells beside a crossover that is not placed to ±5 %, or by fewer than five passes; cells whose
    two leaders are not told apart (and not yet tied to ±1 %), or whose margin is not known to ±2 %; and leaders
    with fewer than five passes. Contenders more than 3 times behind the leader are left out, unless a
    crossover near the cell needs them. Openness is how many times wider than its target an interval is.

    A list of shapes has totals: those of the two best contenders by themselves, and of the best library, want five
    passes over all of its cells.

    Where a suite compares two sides, a cell is open until both leaders have five passes and their ratio is
    known to ±5 %; in the race is whoever is at most 3 times behind the leader of its own side.
    """
    merged = contenders(info, blocks)
    openness: dict[str, float] = {}
    algorithms: dict[str, set[str]] = {}
    for cell in info.cells:
        best = winner(cell, merged, info)
        if best is None:
            continue
        ours, theirs = leaders(cell, merged, info)
        pair = (ours, theirs) if ours is not None and theirs is not None else None
        urgency = _duel_openness(*pair) if pair else _leader_openness(best, merged)
        if urgency > 0:
            openness[cell.key] = urgency
            race = _in_the_duel(cell, merged, info, pair) if pair else _in_the_race(cell, best, merged, info)
            algorithms[cell.key] = set(race)
    for crossover in crossovers(info, blocks):
        for cell, urgency in _crossover_openness(crossover):
            openness[cell.key] = max(openness.get(cell.key, 0.0), urgency)
            algorithms.setdefault(cell.key, set()).update((crossover.curve.crossing.start, crossover.curve.crossing.to))
    for cell, name in _totalled(info, merged):
        openness[cell.key] = max(openness.get(cell.key, 0.0), 1.0)
        algorithms.setdefault(cell.key, set()).add(name)
    order = sorted(openness, key=lambda key: -openness[key])  # stable: the suite's order among equals
    return [(key, tuple(name for name in info.algorithms if name in algorithms[key])) for key in order]


def _totalled(info: RunInfo, merged: Contenders) -> Iterator[tuple[Cell, str]]:
    """The contenders whose totals are told, in the cells where they have fewer than five passes."""
    best = {cell.key: found for cell in info.cells if (found := winner(cell, merged, info)) is not None}
    for group in groups(info):
        if group.axis is not None or len(group.cells) < 2:
            continue
        single = [one.algorithm for one in totals(group, merged, best) if one.algorithm is not None]
        peers = [name for name in single if "peer" in info.tags.get(name, ())]
        for name in dict.fromkeys((*single[:2], *peers[:1])):
            for cell in group.cells:
                time = merged[cell.key, name].time
                if time is not None and time.passes < LEAST_PASSES:
                    yield cell, name


def _leader_openness(best: Winner, merged: Contenders) -> float:
    leader = merged[best.cell.key, best.algorithm]
    rivals = [name for name in (*best.tied, best.runner_up) if name not in (None, best.algorithm)]
    urgencies = [LEAST_PASSES / best.time.passes] if best.time.passes < LEAST_PASSES else [0.0]
    for name in rivals:
        ratio = paired_ratio(merged[best.cell.key, name].blocks, leader.blocks) if name else None
        if ratio is None or not ratio.has_interval:
            hopeless = ratio is not None and ratio.value > HOPELESS
            urgencies.append(0.0 if hopeless else float(LEAST_PASSES))
            continue
        if ratio.value > HOPELESS:
            continue
        target = TIE_TARGET if ratio.contains(1.0) else MARGIN_TARGET
        # A leader that is ahead is known even where its margin is not: it waits behind what is undecided.
        weight = 1.0 if ratio.contains(1.0) else 0.25
        urgencies.append(weight * ratio.half_width / target if ratio.half_width > target else 0.0)
    return max(urgencies)


def _in_the_race(cell: Cell, best: Winner, merged: Contenders, info: RunInfo) -> list[str]:
    return [
        one.algorithm
        for one in ranked(cell, merged, info)
        if one.time is not None and one.time.value <= HOPELESS * best.time.value
    ]


def _duel_openness(ours: Contender, theirs: Contender) -> float:
    """How open the best of ours against the best of theirs is."""
    ratio = duel_ratio(ours, theirs)
    # Passes before precision: with two or three, Student's t makes any interval wide, and the next pass comes anyway.
    if ratio.passes < LEAST_PASSES:
        return 2.0 * LEAST_PASSES / ratio.passes
    return ratio.half_width / DUEL_TARGET if ratio.half_width > DUEL_TARGET else 0.0


def _in_the_duel(cell: Cell, merged: Contenders, info: RunInfo, pair: tuple[Contender, Contender]) -> list[str]:
    assert info.versus is not None
    race: list[str] = []
    for side, leader in zip((info.versus.ours, info.versus.theirs), pair, strict=True):
        for one in side_field(cell, merged, side):
            ratio = paired_ratio(one.blocks, leader.blocks)
            if ratio is None or ratio.value <= HOPELESS:
                race.append(one.algorithm)
    return race


def _crossover_openness(crossover: Crossover) -> list[tuple[Cell, float]]:
    """The cells that bracket an unplaced crossover, or an undecided end of the range."""
    curve, outcome = crossover.curve, crossover.outcome
    match outcome:
        case Crossed(low=low, high=high):
            half_width = math.expm1((math.log(high) - math.log(low)) / 2) if low > 0 else high - low
            spans, urgency = [(low, high)], half_width / CROSSOVER_TARGET
        case Unresolved(estimate=None) | OneSided(estimate=None):
            spans, urgency = list(curve.undecided), float(LEAST_PASSES)
        case Unresolved(estimate=float(estimate)) | OneSided(estimate=float(estimate)):
            spans, urgency = [(estimate, estimate), *curve.undecided], 2.0 * LEAST_PASSES
        case _:
            return []
    values = [point.axis_value for point in curve.points]
    chosen: set[int] = set()
    for low, high in spans:
        below = max((i for i, value in enumerate(values) if value <= low), default=0)
        above = min((i for i, value in enumerate(values) if value >= high), default=len(values) - 1)
        chosen.update(range(below, above + 1))
    points = [curve.points[index] for index in sorted(chosen)]
    if isinstance(outcome, Crossed) and urgency <= 1:
        # Placed, if by few passes perhaps by chance: two that happen to agree make a narrow interval.
        return [(p.cell, PLACED * LEAST_PASSES / p.ratio.passes) for p in points if p.ratio.passes < LEAST_PASSES]
    # Where a ratio is known to ±1 % and still undecided, the two are equal there: no pass will change that.
    unknown = [p for p in points if p.ratio.half_width > TIE_TARGET or p.ratio.passes < LEAST_PASSES]
    return [(point.cell, urgency) for point in unknown]
