"""A third party's algorithms that tell their stages: one well, one that is killed over it, one that raises."""

from __future__ import annotations

import os
import signal
from abc import abstractmethod
from typing import Any, ClassVar, final

import numpy as np

from convbench.algorithm import ConvAlgorithm, ConvPlan, ErrorModel, PreparedConv, Resources, Unsupported
from convbench.algorithm import summation_error as bound
from convbench.spec import ConvSpec
from convbench.staged import StagedConv, Stages, Stopwatch

Array = Any


class Pointwise(ConvAlgorithm):
    """y = w·x for 1×1 filters of one channel."""

    tags = frozenset({"cpu"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        plain = ConvSpec(h=spec.h, w=spec.w, r=1, s=1)
        return None if plain == spec else Unsupported("one number by another only")

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        return bound(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        return _Plan(self)

    @abstractmethod
    def after(self) -> None:
        """What happens in the second stage."""


@final
class _Plan(ConvPlan):
    workspace_bytes = 0

    def __init__(self, algorithm: Pointwise) -> None:
        self.algorithm = algorithm

    def prepare(self, w: Array) -> PreparedConv:
        return _Prepared(self.algorithm, w)


@final
class _Prepared(StagedConv):
    def __init__(self, algorithm: Pointwise, w: Array) -> None:
        self.algorithm = algorithm
        self.w = w

    def execute(self, x: Array, y: Array) -> None:
        np.multiply(x, self.w.item(), out=y)

    def execute_staged(self, x: Array, y: Array) -> Stages:
        watch = Stopwatch()
        y[...] = x
        watch.lap("copy")
        self.algorithm.after()
        np.multiply(y, self.w.item(), out=y)
        watch.lap("scale")
        return watch.stages


@final
class Tells(Pointwise):
    name: ClassVar[str] = "tells"

    def after(self) -> None:
        """Nothing."""


@final
class Dies(Pointwise):
    name: ClassVar[str] = "dies"

    def after(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@final
class Stumbles(Pointwise):
    name: ClassVar[str] = "stumbles"

    def after(self) -> None:
        raise ZeroDivisionError("on purpose")
