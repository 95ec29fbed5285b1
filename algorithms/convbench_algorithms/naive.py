"""The textbook's seven loops, compiled and nothing more: the baseline that every trick is measured against.

y[n,k,p,q] = Σ_c Σ_r Σ_s w[k,c,r,s] · x[n, c, p·u + r·dilation − pad, q·v + s·dilation − pad]
"""

from __future__ import annotations

from typing import final

import numpy as np
from numba import njit

from convbench.algorithm import (
    Array,
    ConvAlgorithm,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
    unsupported_dtype,
)
from convbench.boundary import OUTSIDE, IndexMap
from convbench.spec import ConvSpec
from convbench_algorithms.taps import source_table


@final
class Naive(ConvAlgorithm):
    """Seven nested loops on one thread, whatever `Resources.threads` says."""

    name = "naive"
    tags = frozenset({"cpu", "direct", "textbook"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        return unsupported_dtype(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _NaivePlan(spec, resources)


@final
class _NaivePlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.workspace_bytes = resources.reserve(8 * (spec.p * spec.r + spec.q * spec.s))
        self.rows = source_table(spec, 0)  # [P,R]
        self.cols = source_table(spec, 1)  # [Q,S]
        # Compiles: no output has any rows to compute.
        x, w, y = (np.empty((0, 0, 0, 0), spec.dtype) for _ in range(3))
        self.run(x, w, y)

    def prepare(self, w: Array) -> PreparedConv:
        return _NaiveConv(self, w if self.spec.direction == "backward_weights" else w.copy())

    def run(self, x: Array, w: Array, y: Array) -> None:
        kernel = {"forward": _forward, "backward_data": _backward_data, "backward_weights": _backward_weights}
        kernel[self.spec.direction](x, w, y, self.rows, self.cols, self.spec.groups)


@final
class _NaiveConv(PreparedConv):
    def __init__(self, plan: _NaivePlan, prepared: Array) -> None:
        self.plan = plan
        self.operations = plan.spec.direct_flops
        self.prepared = prepared

    def execute(self, x: Array, y: Array) -> None:
        match self.plan.spec.direction:
            case "forward":
                self.plan.run(x, self.prepared, y)
            case "backward_data":
                self.plan.run(y, self.prepared, x)
            case "backward_weights":
                self.plan.run(x, y, self.prepared)


# The three kernels take x, w and y in forward terms, whichever of them is the result; `rows` [P,R]
# and `cols` [Q,S] say which element of x each output reads through each tap.


@njit(nogil=True, cache=True)
def _forward(x: Array, w: Array, y: Array, rows: IndexMap, cols: IndexMap, groups: int) -> None:
    N, K, P, Q = y.shape
    _, CG, R, S = w.shape
    for n in range(N):
        for k in range(K):
            first = k // (K // groups) * CG
            for p in range(P):
                for q in range(Q):
                    total = y.dtype.type(0)
                    for c in range(CG):
                        for r in range(R):
                            for s in range(S):
                                row = rows[p, r]
                                col = cols[q, s]
                                if row != OUTSIDE and col != OUTSIDE:
                                    total += w[k, c, r, s] * x[n, first + c, row, col]
                    y[n, k, p, q] = total


@njit(nogil=True, cache=True)
def _backward_data(x: Array, w: Array, y: Array, rows: IndexMap, cols: IndexMap, groups: int) -> None:
    N, K, P, Q = y.shape
    _, CG, R, S = w.shape
    x[:] = 0
    for n in range(N):
        for k in range(K):
            first = k // (K // groups) * CG
            for p in range(P):
                for q in range(Q):
                    for c in range(CG):
                        for r in range(R):
                            for s in range(S):
                                row = rows[p, r]
                                col = cols[q, s]
                                if row != OUTSIDE and col != OUTSIDE:
                                    x[n, first + c, row, col] += w[k, c, r, s] * y[n, k, p, q]


@njit(nogil=True, cache=True)
def _backward_weights(x: Array, w: Array, y: Array, rows: IndexMap, cols: IndexMap, groups: int) -> None:
    N, K, P, Q = y.shape
    _, CG, R, S = w.shape
    for k in range(K):
        first = k // (K // groups) * CG
        for c in range(CG):
            for r in range(R):
                for s in range(S):
                    total = w.dtype.type(0)
                    for n in range(N):
                        for p in range(P):
                            for q in range(Q):
                                row = rows[p, r]
                                col = cols[q, s]
                                if row != OUTSIDE and col != OUTSIDE:
                                    total += x[n, first + c, row, col] * y[n, k, p, q]
                    w[k, c, r, s] = total
