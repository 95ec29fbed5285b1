"""Many runs of the same problems, in the order of time: where did a contender's time change for good?

A series is cut where the means on both sides differ most, measured in standard errors; the cut counts if no more than
one in a hundred random orders of the same numbers has one as large, and if it is worth more than 3 %. Then both parts
are cut.

Sources: Scott & Knott, Biometrics 30 (1974) 507–512; permutations as in Matteson & James, JASA 109 (2014) 334–345,
which MongoDB uses for its benchmarks (Daly et al., ICPE 2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from convbench.analysis.comparison import MATTERS
from convbench.analysis.contenders import contenders
from convbench.analysis.machines import fingerprint
from convbench.analysis.sentences import cell_name
from convbench.analysis.statistics import Estimate
from convbench.result import Block, RunInfo

Vector = npt.NDArray[np.float64]

ORDERS: Final = 999
CHANCE: Final = 0.01
FEWEST: Final = 2
"""Runs on each side of a change."""


@dataclass(frozen=True)
class Moment:
    """A contender's time in one run."""

    started_utc: str
    commit: str
    run: str
    time: Estimate


@dataclass(frozen=True)
class Trend:
    """A contender in a cell on machines of one kind; `changes` are the first moments after each change."""

    cell: str
    threads: int
    algorithm: str
    machine: str
    moments: tuple[Moment, ...]
    changes: tuple[int, ...]

    def ratio(self, change: int) -> float:
        """The mean time from a change on, to the next one, over that before it."""
        ends = [0, *self.changes, len(self.moments)]
        place = ends.index(change)
        logs = [math.log(one.time.value) for one in self.moments]
        before, after = logs[ends[place - 1] : change], logs[change : ends[place + 1]]
        return math.exp(float(np.mean(after)) - float(np.mean(before)))


def trends(runs: Sequence[tuple[str, RunInfo, Sequence[Block]]]) -> list[Trend]:
    """Of all contenders that two runs or more have timed, those with changes first, the largest one before the others.

    Runs of other machines are other trends.
    """
    found: dict[tuple[str, str, str], list[tuple[Moment, str, int]]] = {}
    for name, info, blocks in sorted(runs, key=lambda run: run[1].started_utc):
        machine = fingerprint(info)
        for (key, algorithm), one in contenders(info, blocks).items():
            if one.time is not None:
                moment = Moment(info.started_utc, info.git_commit, name, one.time)
                place = key, algorithm, machine
                found.setdefault(place, []).append((moment, cell_name(one.cell), one.cell.threads))
    made = []
    for (_, algorithm, machine), some in found.items():
        if len(some) < 2:
            continue
        moments = tuple(moment for moment, _, _ in some)
        cuts = change_points(np.array([math.log(moment.time.value) for moment in moments]))
        made.append(Trend(some[-1][1], some[-1][2], algorithm, machine, moments, cuts))
    return sorted(made, key=lambda trend: -max((abs(math.log(trend.ratio(at))) for at in trend.changes), default=0.0))


def change_points(logs: Vector, seed: int = 0) -> tuple[int, ...]:
    """The first index after each change of level; the same ones for the same numbers."""
    rng = np.random.default_rng(seed)
    cuts: list[int] = []
    segments = [(0, len(logs))]
    while segments:
        first, last = segments.pop()
        part = logs[first:last]
        if len(part) < 2 * FEWEST:
            continue
        at, strength = _strongest(part)
        if abs(float(part[at:].mean() - part[:at].mean())) <= MATTERS:
            continue
        others = sum(_strongest(rng.permutation(part))[1] >= strength for _ in range(ORDERS))
        if (others + 1) / (ORDERS + 1) <= CHANCE or _is_clear(part, at):
            cuts.append(first + at)
            segments += [(first, first + at), (first + at, last)]
    return tuple(sorted(cuts))


def _strongest(part: Vector) -> tuple[int, float]:
    """Where the means of both sides differ most, and by how many standard errors of random ones."""
    count = np.arange(FEWEST, len(part) - FEWEST + 1)
    before = np.cumsum(part)[count - 1] / count
    after = (part.sum() - before * count) / (len(part) - count)
    strength = np.abs(after - before) * np.sqrt(count * (len(part) - count))
    best = int(np.argmax(strength))
    return int(count[best]), float(strength[best])


CLEAR: Final = 4.0


def _is_clear(part: Vector, at: int) -> bool:
    """Whether a short series leaves no doubt: few orders exist, but both sides lie many times their spread apart."""
    sides = part[:at], part[at:]
    spread = max(float(np.ptp(side)) for side in sides)
    gap = abs(float(np.median(sides[0]) - np.median(sides[1])))
    return gap > CLEAR * max(spread, MATTERS)
