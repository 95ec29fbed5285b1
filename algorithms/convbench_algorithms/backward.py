"""The backward pass for the data, written as a forward pass, so that every forward algorithm has it.

dx = dy (spread by the stride, zeros between)  ⋆  w (channels swapped, spatially flipped),  stride 1

The gradient for the weights is another matter, since both its operands change from call to call: `TrainingAlgorithm`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import final

import numpy as np
from numba import njit, prange

from convbench.algorithm import Array, ConvAlgorithm, ConvPlan, ErrorModel, PreparedConv, Resources, Unsupported
from convbench.spec import ConvSpec, Pair
from convbench.staged import StagedConv, Stages, Stopwatch


class ForwardAlgorithm(ConvAlgorithm):
    """An algorithm that is written for the forward direction; backward_data comes from it for free."""

    @abstractmethod
    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """As `supports`, for a spec of direction forward."""

    @abstractmethod
    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """As `error_model`, for a spec of direction forward."""

    @abstractmethod
    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """As `plan`, for a spec of direction forward."""

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if spec.direction == "forward":
            return self.supports_forward(spec)
        if spec.direction == "backward_weights" and isinstance(self, TrainingAlgorithm):
            return self.supports_forward(replace(spec, direction="forward"))
        return unsupported_direction(spec) or self.supports_forward(backward_data_as_forward(spec))

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        if spec.direction == "backward_weights" and isinstance(self, TrainingAlgorithm):
            return self.weights_error_model(spec)
        forward = spec if spec.direction == "forward" else backward_data_as_forward(spec)
        return self.forward_error_model(forward)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        if spec.direction == "forward":
            return self.plan_forward(spec, resources)
        if spec.direction == "backward_weights" and isinstance(self, TrainingAlgorithm):
            return self.plan_weights(spec, resources)
        return _BackwardDataPlan(self, spec, resources)


class TrainingAlgorithm(ForwardAlgorithm):
    """A forward algorithm with a gradient for the weights of its own, wherever its forward pass is supported."""

    @abstractmethod
    def weights_error_model(self, spec: ConvSpec) -> ErrorModel:
        """As `error_model`, for a spec of direction backward_weights."""

    @abstractmethod
    def plan_weights(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """As `plan`, for a spec of direction backward_weights."""


def unsupported_direction(spec: ConvSpec) -> Unsupported | None:
    """The reason where `spec` is no forward pass, and cannot be written as one."""
    if spec.direction == "backward_weights":
        return Unsupported("both operands of backward_weights change from call to call; no filter to prepare")
    if spec.direction == "backward_data" and spec.boundary != "zero" and spec.padding != ((0, 0), (0, 0)):
        return Unsupported(f"the gradient of boundary={spec.boundary} is not a convolution; only that of zero is")
    return None


def backward_data_as_forward(spec: ConvSpec) -> ConvSpec:
    """The forward spec (stride 1) whose input is the spread dy and whose output is dx."""
    _, extent, padding = zip(*(spread_along(spec, axis) for axis in (0, 1)), strict=True)
    return ConvSpec(
        n=spec.n,
        c=spec.k,
        h=extent[0],
        w=extent[1],
        k=spec.c,
        r=spec.r,
        s=spec.s,
        padding=(padding[0], padding[1]),
        dilation=spec.dilation,
        groups=spec.groups,
        dtype=spec.dtype,
        filter=spec.filter,
    )


def spread_along(spec: ConvSpec, axis: int) -> tuple[int, int, Pair]:
    """Along one axis: the offset of dy[0] in the spread dy, the spread extent, its padding.

    dx[h] = Σ_r dy[(h + pad − d·r) / u]·w[r] wherever that divides: the spread dy needs F−1−pad zeros
    before it (F the filter's extent), and enough after it to make H outputs. Where the padding
    exceeds F−1 the first elements of dy reach no dx, and the spread dy is cut instead.
    """
    outputs = (spec.p, spec.q)[axis]
    length = (outputs - 1) * spec.stride[axis] + 1
    before = spec.filter_extent[axis] - 1 - spec.padding[axis][0]
    after = (spec.h, spec.w)[axis] + spec.filter_extent[axis] - 1 - length - before
    extent = length + min(before, 0) + min(after, 0)
    spare = max(1 - extent, 0)  # where no dy reaches any dx, a zero stands for them all
    return min(before, 0), extent + spare, (max(before, 0), max(after, 0) - spare)


def transposed_filter(spec: ConvSpec, w: Array) -> Array:
    """w [K,C/G,R,S] as the filter [C,K/G,R,S] of the backward pass: channels swapped, spatially flipped."""
    G = spec.groups
    swapped = w.reshape(G, spec.k // G, spec.c // G, spec.r, spec.s).swapaxes(1, 2)
    if not spec.flip:
        swapped = swapped[..., ::-1, ::-1]
    return np.ascontiguousarray(swapped).reshape(spec.c, spec.k // G, spec.r, spec.s)


@final
class _BackwardDataPlan(ConvPlan):
    def __init__(self, algorithm: ForwardAlgorithm, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        forward = backward_data_as_forward(spec)
        self.offset = (spread_along(spec, 0)[0], spread_along(spec, 1)[0])
        self.inner = algorithm.plan_forward(forward, resources)
        self.spread: Array | None = None
        self.workspace_bytes = self.inner.workspace_bytes
        # The shapes alone do not tell: a dy that is spread and then cut can have its own shape again.
        if spec.stride != (1, 1) or forward.x_shape != spec.y_shape:
            nbytes = int(np.prod(forward.x_shape)) * spec.itemsize
            self.workspace_bytes = resources.reserve(self.workspace_bytes + nbytes)
            self.spread = np.zeros(forward.x_shape, spec.dtype)
            _spread_into(np.empty(spec.y_shape, spec.dtype), self.spread, spec.stride, self.offset)

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        prepared = self.inner.prepare(transposed_filter(self.spec, w))
        if isinstance(prepared, Unsupported) or self.spread is None:
            return prepared
        return _SpreadThenForward(prepared, self.spread, self.spec.stride, self.offset)


@final
class _SpreadThenForward(StagedConv):
    def __init__(self, inner: PreparedConv, spread: Array, stride: Pair, offset: Pair) -> None:
        self.inner = inner
        self.operations = inner.operations
        self.spread = spread
        self.stride = stride
        self.offset = offset

    def execute(self, x: Array, y: Array) -> None:
        _spread_into(x, self.spread, self.stride, self.offset)
        self.inner.execute(self.spread, y)

    def execute_staged(self, x: Array, y: Array) -> Stages:
        watch = Stopwatch()
        _spread_into(x, self.spread, self.stride, self.offset)
        watch.lap("spread")
        if isinstance(self.inner, StagedConv):
            watch.count(self.inner.execute_staged(self.spread, y))
        else:
            self.inner.execute(self.spread, y)
            watch.lap("convolution")
        return watch.stages


@njit(parallel=True, nogil=True, cache=True)
def _spread_into(dy: Array, spread: Array, stride: Pair, offset: Pair) -> None:
    """Write dy [N,K,P,Q] at every u-th row and v-th column of `spread`, whose other elements stay zero."""
    N, K, P, Q = dy.shape
    _, _, H, W = spread.shape
    for nk in prange(N * K):
        for p in range(P):
            row = offset[0] + p * stride[0]
            if 0 <= row < H:
                for q in range(Q):
                    col = offset[1] + q * stride[1]
                    if 0 <= col < W:
                        spread[nk // K, nk % K, row, col] = dy[nk // K, nk % K, p, q]
