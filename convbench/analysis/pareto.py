"""Which contenders are worth having: none is faster, smaller and closer at once.

Time is the estimate's; who cannot be told apart from another is not beaten by it in time alone. Workspace is what
the plan reports. Errors are ‖e‖₂ / ‖s‖₂ for all, whatever norm their bounds are in, and count by their power of two:
less is chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from convbench.analysis.contenders import Contender, Contenders, ranked
from convbench.analysis.statistics import paired_ratio
from convbench.analysis.winners import told_apart
from convbench.result import Cell, RunInfo


@dataclass(frozen=True)
class Offer:
    """What a contender takes in a cell; `error` is None in runs of before both norms were kept."""

    contender: Contender
    time_s: float
    workspace_bytes: int
    error: float | None

    @property
    def error_exponent(self) -> float | None:
        """The error's power of two, −∞ where it is exact."""
        if self.error is None:
            return None
        return math.frexp(self.error)[1] if self.error else -math.inf


@dataclass(frozen=True)
class Front:
    """A cell's offers, fastest first: those on the front, and the others with one that beats each."""

    cell: Cell
    best: tuple[Offer, ...]
    beaten: Mapping[str, str]
    offers: tuple[Offer, ...]


def fronts(info: RunInfo, merged: Contenders) -> Iterator[Front]:
    """A front for each cell with two offers or more. Whose workspace is unknown makes none."""
    for cell in info.cells:
        found = offers(cell, merged, info)
        if len(found) > 1:
            beaten = {one.contender.algorithm: by for one in found if (by := _beaten_by(one, found))}
            best = tuple(one for one in found if one.contender.algorithm not in beaten)
            yield Front(cell, best, beaten, tuple(found))


def offers(cell: Cell, merged: Contenders, info: RunInfo) -> list[Offer]:
    """The ranked contenders of a cell, fastest first; libraries that allocate within their calls are left out."""
    found = []
    for one in ranked(cell, merged, info):
        held = [block.workspace_bytes for block in one.blocks if block.workspace_bytes is not None]
        if held and one.time is not None and "allocates" not in info.tags.get(one.algorithm, ()):
            found.append(Offer(one, one.time.value, max(held), _error(one)))
    return sorted(found, key=lambda offer: offer.time_s)


def _error(contender: Contender) -> float | None:
    verdicts = [block.agreement for block in contender.blocks if block.agreement is not None]
    errors = [one.normwise for one in verdicts if one.normwise is not None]
    return max(errors) if errors and len(errors) == len(verdicts) else None


def _beaten_by(one: Offer, field: Sequence[Offer]) -> str:
    """The fastest that is as good in all three and better in one; "" where there is none."""
    return next((other.contender.algorithm for other in field if other is not one and _beats(other, one)), "")


def _beats(one: Offer, other: Offer) -> bool:
    if one.time_s > other.time_s:
        return False
    pairs = [(one.workspace_bytes, other.workspace_bytes), (one.error_exponent, other.error_exponent)]
    known = [(own, foreign) for own, foreign in pairs if own is not None and foreign is not None]
    if any(own > foreign for own, foreign in known):
        return False
    return any(own < foreign for own, foreign in known) or told_apart(
        paired_ratio(other.contender.blocks, one.contender.blocks)
    )
