"""What it costs to choose: the time of what was chosen over that of the best, less one."""

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


def regret(by: str, times: Mapping[Problem, Mapping[str, float]], choices: Mapping[Problem, str]) -> Regret | None:
    """Of those choices whose time was measured; None without any."""
    found = []
    for (spec, threads), name in choices.items():
        measured = times[spec, threads]
        if name in measured and len(measured) > 1:
            best = min(measured, key=lambda other: measured[other])
            found.append(
                Chosen(
                    spec=spec,
                    threads=threads,
                    algorithm=name,
                    best=best,
                    regret=measured[name] / measured[best] - 1,
                    best_s=measured[best],
                )
            )
    return Regret(by=by, choices=tuple(found)) if found else None


def always(times: Mapping[Problem, Mapping[str, float]], names: Sequence[str]) -> str:
    """The one that is best to take where only one may be: measured most often, then with the least mean logarithm."""

    def burden(name: str) -> tuple[int, float]:
        ratios = [measured[name] / min(measured.values()) for measured in times.values() if name in measured]
        return len(times) - len(ratios), float(np.mean(np.log(ratios))) if ratios else np.inf

    return min(names, key=burden)
