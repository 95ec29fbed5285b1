"""A 1×1 convolution is a matrix product: Y_g [K/G, P·Q] = W_g [K/G, C/G] · X_g [C/G, H·W].

x is used where it lies; only a stride or padding makes a copy of the elements that are read.
"""

from __future__ import annotations

import math
from typing import final

import numpy as np

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
    unsupported_dtype,
)
from convbench.spec import ConvSpec
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.columns import Columns


@final
class Gemm1x1(ForwardAlgorithm):
    """One BLAS product for each image and group."""

    name = "gemm1x1"
    tags = frozenset({"cpu", "gemm"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """See `ForwardAlgorithm`."""
        if (spec.r, spec.s) != (1, 1):
            return Unsupported("needs a 1×1 filter")
        return unsupported_dtype(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ForwardAlgorithm`."""
        return summation_error(spec)

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ForwardAlgorithm`."""
        return _ProductPlan(spec, resources)


@final
class _ProductPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.groups = spec.groups
        self.workspace_bytes = 0
        self.columns: Columns | None = None
        if spec.stride != (1, 1) or spec.padding != ((0, 0), (0, 0)):
            # With one tap, the columns are the elements that are read, once each.
            self.columns = Columns(spec)
            shape = (spec.c // spec.groups, spec.p * spec.q)
            self.workspace_bytes = resources.reserve(self.columns.nbytes + math.prod(shape) * spec.itemsize)
            self.matrix = np.empty(shape, spec.dtype)

    def prepare(self, w: Array) -> PreparedConv:
        return _ProductConv(self, w.reshape(self.groups, len(w) // self.groups, -1).copy())


@final
class _ProductConv(PreparedConv):
    def __init__(self, plan: _ProductPlan, w: Array) -> None:
        self.plan = plan
        self.w = w  # [G,K/G,C/G]

    def execute(self, x: Array, y: Array) -> None:
        N, C, H, W = x.shape
        _, K, P, Q = y.shape
        G = self.plan.groups
        images = x.reshape(N, G, C // G, H, W)
        outputs = y.reshape(N, G, K // G, P * Q)
        for n, g in np.ndindex(N, G):
            if self.plan.columns is None:
                matrix = images[n, g].reshape(C // G, H * W)
            else:
                matrix = self.plan.matrix
                self.plan.columns.gather(images[n, g], matrix, 0)
            np.matmul(self.w[g], matrix, out=outputs[n, g])
