"""What people say, judged by a run: place by place, each figure with its interval against the claim's bounds.

A claim holds in a place whose whole 95 % interval lies within the bounds, fails where it lies wholly outside, and
cannot be told in between; so too where a single pass gives no interval. It holds as such only where it holds in every
place, and fails where it fails in some and holds in none: verdicts over a family of places, each judged by its own
interval. To say that it holds everywhere takes all of them, and needs no correction for their number. Of single
places, one in twenty intervals may miss its truth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from convbench.analysis.claim_sides import Coordinates, LackingError, Place, estimate, places
from convbench.analysis.contenders import Contender, Contenders
from convbench.analysis.crossovers import Crossed, Crossover, NotEnoughData, OneSided, Unresolved
from convbench.analysis.phases import Reuse, cost, payback
from convbench.analysis.phases import Verdict as Pays
from convbench.analysis.sentences import finding, gaps
from convbench.result import Break, Cell, Claim, Crossing, Ratio, RunInfo


class Verdict(StrEnum):
    """What becomes of a claim, here."""

    HOLDS = "holds"
    PARTLY = "holds in part"
    FAILS = "does not hold"
    UNKNOWN = "cannot be told"


@dataclass(frozen=True)
class Figure:
    """What a claim is about, in one place; no `value` where it is only known to lie between `low` and `high`.

    Both are None where a single pass gives no interval.
    """

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Instance:
    """A claim in one place; `why` says what there is to say beside the figure, or why there is none."""

    threads: int | None
    device: str
    fixed: Coordinates
    algorithm: str | None
    figure: Figure | None
    verdict: Verdict
    why: str = ""


@dataclass(frozen=True)
class Judged:
    """A claim, and what a run says of it."""

    claim: Claim
    instances: tuple[Instance, ...]

    @property
    def verdict(self) -> Verdict:
        """Over all places."""
        found = {one.verdict for one in self.instances}
        if Verdict.HOLDS in found:
            return Verdict.HOLDS if found == {Verdict.HOLDS} else Verdict.PARTLY
        return Verdict.FAILS if Verdict.FAILS in found else Verdict.UNKNOWN


def judged(info: RunInfo, merged: Contenders, crossovers: Sequence[Crossover]) -> list[Judged]:
    """A run's claims in its suite's order; `crossovers` are all that it found, those of claims among them."""
    return [Judged(claim, tuple(_instances(claim, info, merged, crossovers))) for claim in info.claims]


def _instances(claim: Claim, info: RunInfo, merged: Contenders, crossovers: Sequence[Crossover]) -> Iterable[Instance]:
    match claim.about:
        case Crossing() as crossing:
            return [_crossed(claim, one) for one in crossovers if one.curve.crossing == crossing]
        case Ratio() as ratio:
            return [_compared(claim, ratio, one, info, merged) for one in places(info, ratio, claim.algorithms)]
        case Break() as about:
            return [_paid(claim, about, cell, merged) for cell in info.cells]


def within(figure: Figure, claim: Claim) -> Verdict:
    """Whether a figure lies within a claim's bounds, as far as its interval can tell."""
    low, high = figure.low, figure.high
    if low is None or high is None:
        return Verdict.UNKNOWN
    least = -math.inf if claim.at_least is None else claim.at_least
    most = math.inf if claim.at_most is None else claim.at_most
    if least <= low and high <= most:
        return Verdict.HOLDS
    return Verdict.FAILS if high < least or low > most else Verdict.UNKNOWN


# --- a ratio ----------------------------------------------------------------------------------------


def _compared(claim: Claim, ratio: Ratio, place: Place, info: RunInfo, merged: Contenders) -> Instance:
    here = place.threads, place.device, place.fixed, place.algorithm
    try:
        found = estimate(place, ratio, info, merged)
    except LackingError as error:
        return Instance(*here, None, Verdict.UNKNOWN, str(error))
    figure = Figure(found.value, found.low, found.high)
    return Instance(*here, figure, within(figure, claim), "" if found.has_interval else "one pass has no interval")


# --- a crossover ------------------------------------------------------------------------------------


def _crossed(claim: Claim, crossover: Crossover) -> Instance:
    """Beyond the ends of a sweep a crossover is known to lie as far as the data can tell who leads within it."""
    curve, outcome = crossover.curve, crossover.outcome
    here = curve.threads, curve.device, curve.fixed, None
    why = finding(crossover) + gaps(curve)
    figure: Figure | None = None
    match outcome:
        case Crossed() if outcome.overtaker == curve.crossing.to:
            figure, why = Figure(outcome.value, outcome.low, outcome.high), gaps(curve).removeprefix("; ")
        case Crossed():  # the other way round: there is no such place
            return Instance(*here, None, Verdict.FAILS, why)
        case OneSided() if outcome.faster == curve.crossing.to:
            figure = Figure(None, -math.inf, outcome.first)
        case OneSided():
            figure = Figure(None, outcome.last, math.inf)
        case Unresolved() | NotEnoughData():
            pass
    return Instance(*here, figure, Verdict.UNKNOWN if figure is None else within(figure, claim), why)


# --- a payback --------------------------------------------------------------------------------------


def _paid(claim: Claim, about: Break, cell: Cell, merged: Contenders) -> Instance:
    here = cell.threads, cell.device, tuple(cell.coordinates.items()), None
    pair = [merged.get((cell.key, name)) for name in (about.start, about.to)]
    known: list[Contender] = [one for one in pair if one is not None and one.time is not None]
    if len(known) < 2:
        lacking = [name for name, one in zip((about.start, about.to), pair, strict=True) if one not in known]
        return Instance(*here, None, Verdict.UNKNOWN, f"{' and '.join(lacking)}: no time")
    start, to = map(cost, known)
    found = payback(to, start, Reuse.FILTER)
    if found.verdict is Pays.NEVER:
        return Instance(*here, None, Verdict.FAILS, f"never: {about.to} takes longer for each image")
    if found.images is None:
        return Instance(*here, None, Verdict.UNKNOWN, "the data cannot tell which takes longer for an image")
    figure = Figure(found.images, found.low, found.high)
    return Instance(*here, figure, within(figure, claim), "" if found.low is not None else "no interval over passes")
