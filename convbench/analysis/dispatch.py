"""Which algorithm is likely to be the fastest on a shape, from what was measured on other shapes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pydantic import model_validator

from convbench.analysis.cost_model import CostModel, Fit, Measured
from convbench.result import Record
from convbench.spec import ConvSpec

SCHEMA_VERSION: Final = 1

FEWEST: Final = 8
"""Shapes that an algorithm must have been measured on, to be predicted."""


class DispatchTable(Record):
    """What `convbench tune` found: the measurements, and the models fitted to them."""

    schema_version: int
    machine: dict[str, Any]
    versions: dict[str, str]
    measured_utc: str
    measured: tuple[Measured, ...]
    fitted: dict[str, Fit]

    @model_validator(mode="after")
    def _fitted_to_something(self) -> DispatchTable:
        for name in self.fitted.keys() - {one.algorithm for one in self.measured}:
            raise ValueError(f"a model of '{name}', which was not measured")
        return self


@dataclass(frozen=True)
class Choice:
    """What an algorithm is expected to take, and between which times it does with two chances in three."""

    algorithm: str
    seconds: float
    low_s: float
    high_s: float


def fit(measured: Iterable[Measured], *, roughly: bool = False) -> dict[str, Fit]:
    """Models of all algorithms that were measured often enough."""
    grouped = _by_algorithm(measured)
    return {name: CostModel.fit(some, roughly=roughly) for name, some in grouped.items() if len(some) >= FEWEST}


class Dispatcher:
    """Predictions out of a table."""

    def __init__(self, table: DispatchTable) -> None:
        self.table = table

    @cached_property
    def models(self) -> Mapping[str, CostModel]:
        """Of each algorithm."""
        measured = _by_algorithm(self.table.measured)
        return {name: CostModel(measured[name], fitted) for name, fitted in self.table.fitted.items()}

    def choices(self, spec: ConvSpec, threads: int, names: Sequence[str]) -> list[Choice]:
        """Those of `names` that can be predicted, the quickest first."""
        found = []
        for name in names:
            if name in self.models:
                log, deviation = self.models[name].log_seconds(spec, threads)
                found.append(Choice(name, math.exp(log), math.exp(log - deviation), math.exp(log + deviation)))
        return sorted(found, key=lambda choice: choice.seconds)


def _by_algorithm(measured: Iterable[Measured]) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = defaultdict(list)
    for one in measured:
        found[one.algorithm].append(one)
    return found
