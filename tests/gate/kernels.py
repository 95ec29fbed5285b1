"""Three kernels of a demonstration project, with what its commits change: the parameters below."""

from __future__ import annotations

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

REPEATED_ROWS = 0.0  # the share of its rows that `rows` computes twice
FEWER_DIGITS = False  # whether `taps` drops the last six bits of each product
RAISES = False  # whether `columns` works at all


class Sums(ConvAlgorithm):
    """One channel, no padding, by numpy, so slowly that a row takes microseconds."""

    device = "cpu"
    precision = "strict"
    tags = frozenset({"cpu"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        plain = ConvSpec(h=spec.h, w=spec.w, r=spec.r, s=spec.s, dtype=spec.dtype)
        return None if plain == spec else Unsupported("one channel without padding only")

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        model = summation_error(spec)
        return ErrorModel(model.norm, 1e4 * model.bound, model.source)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        return _Plan(spec, type(self).sum)

    @staticmethod
    @abstractmethod
    def sum(x: Array, w: Array, y: Array) -> None:
        """x [H,W] and w [R,S] into y [P,Q]."""


@final
class _Plan(ConvPlan):
    workspace_bytes = 0

    def __init__(self, spec: ConvSpec, sum: Any) -> None:
        self.spec = spec
        self.sum = sum

    def prepare(self, w: Array) -> PreparedConv:
        return _Prepared(self.sum, w[0, 0])


@final
class _Prepared(PreparedConv):
    def __init__(self, sum: Any, w: Array) -> None:
        self.sum = sum
        self.w = w

    def execute(self, x: Array, y: Array) -> None:
        self.sum(x[0, 0], self.w, y[0, 0])


def _row(x: Array, w: Array, y: Array, p: int) -> None:
    S = w.shape[1]
    windows = np.lib.stride_tricks.sliding_window_view(x[p : p + w.shape[0]], S, axis=1)
    np.einsum("rqs,rs->q", windows, w, out=y[p])


@final
class Rows(Sums):
    name: ClassVar[str] = "rows"

    @staticmethod
    def sum(x: Array, w: Array, y: Array) -> None:
        for p in (*range(len(y)), *range(round(REPEATED_ROWS * len(y)))):
            _row(x, w, y, p)


@final
class Taps(Sums):
    name: ClassVar[str] = "taps"

    @staticmethod
    def sum(x: Array, w: Array, y: Array) -> None:
        y[...] = 0
        P, Q = y.shape
        for r, s in np.ndindex(*w.shape):
            product = w[r, s] * x[r : r + P, s : s + Q]
            if FEWER_DIGITS:
                product = (product.view(np.int32) & ~0x3F).view(np.float32)
            y += product


@final
class Columns(Sums):
    name: ClassVar[str] = "columns"

    @staticmethod
    def sum(x: Array, w: Array, y: Array) -> None:
        if RAISES:
            raise RuntimeError("not written yet")
        for q in range(y.shape[1]):
            _row(x.T, w.T, y.T, q)
