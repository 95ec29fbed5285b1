"""A third party's algorithms in one file: one that is right, and one for each way to go wrong."""

from __future__ import annotations

import os
import signal
import sys
import time
from abc import abstractmethod
from typing import Any, ClassVar, final

import numpy as np

from convbench.algorithm import (
    ConvAlgorithm,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
)
from convbench.spec import ConvSpec

Array = Any


class Shifted(ConvAlgorithm):
    """Sums shifted images with numpy; subclasses spoil `execute` on kernels wider than 3."""

    tags = frozenset({"cpu"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        plain = ConvSpec(n=spec.n, c=1, h=spec.h, w=spec.w, r=spec.r, s=spec.s, padding=spec.padding, dtype=spec.dtype)
        return None if plain == spec else Unsupported("one channel, zero padding, stride 1 only")

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        return _Plan(spec, self)

    @abstractmethod
    def fault(self, x: Array, y: Array) -> None:
        """What goes wrong."""


@final
class _Plan(ConvPlan):
    workspace_bytes = 0

    def __init__(self, spec: ConvSpec, algorithm: Shifted) -> None:
        self.spec = spec
        self.algorithm = algorithm

    def prepare(self, w: Array) -> PreparedConv:
        return _Prepared(self, w)


@final
class _Prepared(PreparedConv):
    def __init__(self, plan: _Plan, w: Array) -> None:
        self.plan = plan
        self.w = w

    def execute(self, x: Array, y: Array) -> None:
        spec = self.plan.spec
        padded = np.pad(x, ((0, 0), (0, 0), *spec.padding))
        y[:] = 0
        for r in range(spec.r):
            for s in range(spec.s):
                y += self.w[0, 0, r, s] * padded[..., r : r + spec.p, s : s + spec.q]
        if spec.r > 3:
            self.plan.algorithm.fault(x, y)


@final
class Right(Shifted):
    name: ClassVar[str] = "right"

    def fault(self, x: Array, y: Array) -> None:
        """Nothing."""


@final
class Wrong(Shifted):
    name: ClassVar[str] = "wrong"

    def fault(self, x: Array, y: Array) -> None:
        y[..., -1] *= 1.001


@final
class Unwritten(Shifted):
    name: ClassVar[str] = "unwritten"

    def fault(self, x: Array, y: Array) -> None:
        y[0, 0, 0, 0] = np.nan


@final
class Half(Shifted):
    """Strict, it says, but rounds to half precision, under a bound that would allow it."""

    name: ClassVar[str] = "half"

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        return ErrorModel("normwise", 1e-2, "wishful thinking")

    def fault(self, x: Array, y: Array) -> None:
        y[:] = y.astype(np.float16)


@final
class Idle(Shifted):
    """Works when it is looked at, on the first call of a cell, and only then."""

    name: ClassVar[str] = "idle"
    seen: ClassVar[set[float]] = set()

    def fault(self, x: Array, y: Array) -> None:
        cell = float(y[0, 0, 0, 0])
        if cell in self.seen:
            y[:] = np.nan
        self.seen.add(cell)


@final
class Mutator(Shifted):
    name: ClassVar[str] = "mutator"

    def fault(self, x: Array, y: Array) -> None:
        x[0, 0, 0, 0] += 1


@final
class Killed(Shifted):
    name: ClassVar[str] = "killed"

    def fault(self, x: Array, y: Array) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@final
class Segfault(Shifted):
    name: ClassVar[str] = "segfault"

    def fault(self, x: Array, y: Array) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


@final
class Endless(Shifted):
    name: ClassVar[str] = "endless"

    def fault(self, x: Array, y: Array) -> None:
        while True:
            pass


@final
class Hungry(Shifted):
    name: ClassVar[str] = "hungry"

    def fault(self, x: Array, y: Array) -> None:
        hoard = []
        while True:
            hoard.append(np.ones(2**21))


@final
class Raises(Shifted):
    name: ClassVar[str] = "raises"

    def fault(self, x: Array, y: Array) -> None:
        raise ZeroDivisionError("on purpose,\nover two lines")


@final
class Exits(Shifted):
    name: ClassVar[str] = "exits"

    def fault(self, x: Array, y: Array) -> None:
        os._exit(7)


@final
class Slow(Shifted):
    name: ClassVar[str] = "slow"

    def fault(self, x: Array, y: Array) -> None:
        time.sleep(0.03)


@final
class Talkative(Shifted):
    name: ClassVar[str] = "talkative"

    def fault(self, x: Array, y: Array) -> None:
        print('{"ok": {"batch_s": 0.0, "spent_s": 0.0}}')  # noqa: T201
        os.write(1, b"and past Python's own streams\n")
        sys.stderr.write("and here\n")
