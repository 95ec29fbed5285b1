"""The whole column matrix of an image, then one matrix product by BLAS: convolution as Caffe does it.

With W_g [K/G, C/G·R·S] and X_g [C/G·R·S, P·Q], per image and group:

forward Y = W·X      backward_data X = Wᵀ·dY, scattered      backward_weights dW = Σ_n dY·Xᵀ
"""

from __future__ import annotations

import math
from typing import Final, final

import numpy as np

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
from convbench.spec import ConvSpec
from convbench.staged import StagedConv, Stages, Stopwatch
from convbench_algorithms.columns import Columns

GATHER: Final = "gather columns"
PRODUCT: Final = "product"


@final
class Im2col(ConvAlgorithm):
    """R·S times the memory of the image, for one large matrix product."""

    name = "im2col"
    tags = frozenset({"cpu", "gemm"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        return unsupported_dtype(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _Im2colPlan(spec, resources)


@final
class _Im2colPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.columns = Columns(spec)
        self.columns.compile(spec)
        taps = math.prod(spec.w_shape[1:])
        # Only the second image on needs a place for its part of dW.
        parts = spec.direction == "backward_weights" and spec.n > 1
        part_shape = (spec.k // spec.groups if parts else 0, taps)
        elements = taps * spec.p * spec.q + math.prod(part_shape)
        self.workspace_bytes = resources.reserve(self.columns.nbytes + elements * spec.itemsize)
        self.matrix = np.empty((taps, spec.p * spec.q), spec.dtype)
        self.part = np.empty(part_shape, spec.dtype)

    def prepare(self, w: Array) -> PreparedConv:
        match self.spec.direction:
            case "forward":
                return _Forward(self, w.copy())
            case "backward_data":
                return _BackwardData(self, w.copy())
            case "backward_weights":
                return _BackwardWeights(self, w)


@final
class _Forward(StagedConv):
    def __init__(self, plan: _Im2colPlan, w: Array) -> None:
        self.plan = plan
        self.operations = plan.spec.direct_flops
        self.w = w

    def execute(self, x: Array, y: Array) -> None:
        self.execute_staged(x, y)

    def execute_staged(self, x: Array, y: Array) -> Stages:
        plan, G, watch = self.plan, self.plan.spec.groups, Stopwatch()
        images, outputs, filters = _by_group(x, G), _matrices(y, G), _filters(self.w, G)
        for n, g in np.ndindex(len(x), G):
            plan.columns.gather(images[n, g], plan.matrix, 0)
            watch.lap(GATHER)
            np.matmul(filters[g], plan.matrix, out=outputs[n, g])
            watch.lap(PRODUCT)
        return watch.stages


@final
class _BackwardData(StagedConv):
    def __init__(self, plan: _Im2colPlan, w: Array) -> None:
        self.plan = plan
        self.operations = plan.spec.direct_flops
        self.w = w

    def execute(self, x: Array, y: Array) -> None:
        self.execute_staged(x, y)

    def execute_staged(self, x: Array, y: Array) -> Stages:
        plan, G, watch = self.plan, self.plan.spec.groups, Stopwatch()
        gradients, images, filters = _matrices(x, G), _by_group(y, G), _filters(self.w, G)
        for n, g in np.ndindex(len(x), G):
            np.matmul(filters[g].T, gradients[n, g], out=plan.matrix)
            watch.lap(PRODUCT)
            plan.columns.scatter(plan.matrix, images[n, g])
            watch.lap("scatter columns")
        return watch.stages


@final
class _BackwardWeights(StagedConv):
    def __init__(self, plan: _Im2colPlan, dy: Array) -> None:
        self.plan = plan
        self.operations = plan.spec.direct_flops
        self.dy = dy

    def execute(self, x: Array, y: Array) -> None:
        self.execute_staged(x, y)

    def execute_staged(self, x: Array, y: Array) -> Stages:
        plan, G, watch = self.plan, self.plan.spec.groups, Stopwatch()
        images, gradients, filters = _by_group(x, G), _matrices(self.dy, G), _filters(y, G)
        for n, g in np.ndindex(len(x), G):
            plan.columns.gather(images[n, g], plan.matrix, 0)
            watch.lap(GATHER)
            np.matmul(gradients[n, g], plan.matrix.T, out=plan.part if n else filters[g])
            if n:
                filters[g] += plan.part
            watch.lap(PRODUCT)
        return watch.stages


def _by_group(x: Array, groups: int) -> Array:
    """x [N,C,H,W] as [N,G,C/G,H,W]."""
    N, C, H, W = x.shape
    return x.reshape(N, groups, C // groups, H, W)


def _matrices(y: Array, groups: int) -> Array:
    """y [N,K,P,Q] as [N,G,K/G,P·Q]."""
    N, K, P, Q = y.shape
    return y.reshape(N, groups, K // groups, P * Q)


def _filters(w: Array, groups: int) -> Array:
    """w [K,C/G,R,S] as [G,K/G,C/G·R·S]."""
    K, CG, R, S = w.shape
    return w.reshape(groups, K // groups, CG * R * S)
