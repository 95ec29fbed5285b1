"""What it costs to choose: the time of what was chosen over that of the best, less one.

Who is best is told by one round of processes, and by how much by another. The least of many noisy times is rather too
low: judged by the times that made it the best, it would charge every other choice for its luck.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from convbench.result import Record, SpecId

NEAR: Final = 0.05
FAR: Final = 0.25


class Chosen(Record):
    """A choice on a shape that was then measured with every contender."""

    spec: SpecId
    threads: int
    algorithm: str
    best: str
    regret: float
    best_s: float


class Regret(Record):
    """Of many choices."""

    by: str
    """Who chose."""
    choices: tuple[Chosen, ...]

    @property
    def near(self) -> float:
        """The share of choices that are within 5 % of the best."""
        return self._within(NEAR)

    @property
    def far(self) -> float:
        """… within 25 %."""
        return self._within(FAR)

    @property
    def median(self) -> float:
        """The regret that half of the choices do not pass."""
        return float(np.median([one.regret for one in self.choices]))

    @property
    def mean(self) -> float:
        """Of all choices."""
        return float(np.mean([one.regret for one in self.choices]))

    def worst(self, count: int) -> list[Chosen]:
        """The most regretted ones."""
        return sorted(self.choices, key=lambda one: -one.regret)[:count]

    def _within(self, limit: float) -> float:
        return float(np.mean([one.regret <= limit for one in self.choices]))


class Overhead(Record):
    """What a call costs beside the algorithm's own `execute`, in seconds, on a small image."""

    prepared_s: float
    """Of what `prepare(algorithm="auto")` has returned, over that of the same algorithm by its name."""
    checked_s: float
    """… over `execute` without any checks of its operands."""
    conv2d_s: float
    """Of `conv2d(algorithm="auto")`, which finds the plan and the filter again, over `execute` without checks."""


Problem = tuple[SpecId, int]
"""A shape, and a number of threads."""


Times = Mapping[Problem, Mapping[str, float]]
"""Each problem's contenders with their seconds, by one process each."""


def regret(by: str, rounds: Sequence[Times], choices: Mapping[Problem, str]) -> Regret | None:
    """Of those choices whose time was measured in every round, of two or more; None without any.

    One round says who is best, the least of the others' times how much that is; the geometric mean over which round is
    the one. No less than 0.
    """
    found = []
    for problem, name in choices.items():
        measured = [times[problem] for times in rounds if problem in times]
        known = set.intersection(*map(set, measured)) if len(measured) == len(rounds) else set()
        if name not in known or len(known) < 2:
            continue
        bests = [min(known, key=lambda other: times[other]) for times in measured]
        others = [measured[:index] + measured[index + 1 :] for index in range(len(measured))]
        ratios = [
            min(times[name] for times in left) / min(times[best] for times in left)
            for best, left in zip(bests, others, strict=True)
        ]
        found.append(
            Chosen(
                spec=problem[0],
                threads=problem[1],
                algorithm=name,
                best=bests[0],
                regret=max(float(np.exp(np.mean(np.log(ratios)))) - 1, 0.0),
                best_s=measured[1][bests[0]],
            )
        )
    return Regret(by=by, choices=tuple(found)) if found else None


def always(times: Times, names: Sequence[str]) -> str:
    """The one that is best to take where only one may be: measured most often, then with the least mean logarithm."""

    def burden(name: str) -> tuple[int, float]:
        ratios = [measured[name] / min(measured.values()) for measured in times.values() if name in measured]
        return len(times) - len(ratios), float(np.mean(np.log(ratios))) if ratios else np.inf

    return min(names, key=burden)
