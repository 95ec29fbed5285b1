"""Direct convolution, blocked and vectorised: every stride, dilation, group, boundary and direction.

A convolution is a weighted sum of shifted images (`phases`), and the kernels sum them in cache-sized
strips (`shifted_sums`), threaded over images, strips and blocks of output channels. One compiled
kernel serves every filter size.
"""

from __future__ import annotations

import math
from dataclasses import replace
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
from convbench.boundary import index_maps
from convbench.spec import ConvSpec
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.direct_rows import RowsPlan, suits_rows
from convbench_algorithms.direct_tiles import TilePlan
from convbench_algorithms.folding import fold_into
from convbench_algorithms.phases import PhaseImages
from convbench_algorithms.shifted_sums import CHANNELS_AT_ONCE, dots_with_shifts, sum_of_shifts

STRIP_BYTES = 8192  # partial sums of one strip: a sixth of a usual first-level cache, which x's rows share
WORTH_COMPILING_FLOPS = 400_000  # below, microseconds are all that a kernel of the problem's own could save
VECTOR = 16  # strips are whole vectors of the widest machine, so that only the last has a tail


@final
class Direct(ForwardAlgorithm):
    """Sums of shifted images, on all threads."""

    name = "direct"
    tags = frozenset({"cpu", "direct"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        return self.supports_forward(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        if spec.direction == "backward_weights":
            return _DotsPlan(spec, resources)
        if spec.direction == "backward_data" and spec.boundary != "zero" and spec.padding != ((0, 0), (0, 0)):
            return _FoldPlan(self, spec, resources)
        return super().plan(spec, resources)

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """See `ForwardAlgorithm`."""
        return unsupported_dtype(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ForwardAlgorithm`."""
        return summation_error(spec)

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ForwardAlgorithm`."""
        if spec.direct_flops < WORTH_COMPILING_FLOPS:
            return _SumPlan(spec, resources)
        return (RowsPlan if suits_rows(spec) else TilePlan)(spec, resources)


@final
class _SumPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.phases = PhaseImages(spec, resources)
        shape = (resources.threads, CHANNELS_AT_ONCE, _strip(spec, self.phases.pitch, resources.threads))
        self.workspace_bytes = resources.reserve(self.phases.workspace_bytes + math.prod(shape) * spec.itemsize)
        self.sums = np.empty(shape, spec.dtype)
        nothing = np.empty((0, spec.groups, 0), spec.dtype)
        weights = np.empty((spec.k, 0), spec.dtype)
        sum_of_shifts(
            nothing, weights, self.phases.shifts[:0], 1, np.empty((0, *spec.y_shape[1:]), spec.dtype), self.sums
        )

    def prepare(self, w: Array) -> PreparedConv:
        return _SumConv(self, w.reshape(len(w), -1).copy())


def _strip(spec: ConvSpec, pitch: int, threads: int) -> int:
    """How many positions are summed at a time: what fits in cache, but a strip for every thread."""
    channels = spec.k // spec.groups
    at_once = CHANNELS_AT_ONCE if channels >= CHANNELS_AT_ONCE else 1
    length = (spec.p - 1) * pitch + spec.q
    for_cache = -(-length * at_once * spec.itemsize // STRIP_BYTES)
    for_threads = -(-threads * at_once // (spec.n * spec.k))
    return -(-length // (max(for_cache, for_threads) * VECTOR)) * VECTOR


@final
class _SumConv(PreparedConv):
    def __init__(self, plan: _SumPlan, w: Array) -> None:
        self.plan = plan
        self.w = w  # [K,C/groups·R·S]

    def execute(self, x: Array, y: Array) -> None:
        phases = self.plan.phases
        sum_of_shifts(phases.of(x), self.w, phases.shifts, phases.pitch, y, self.plan.sums)


@final
class _DotsPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.phases = PhaseImages(spec, resources)
        self.threads = resources.threads
        self.workspace_bytes = self.phases.workspace_bytes
        nothing = np.empty((0, spec.groups, 0), spec.dtype)
        no_channels = np.empty((0, 0, 0, 0), spec.dtype)
        dots_with_shifts(nothing, no_channels, self.phases.shifts, 1, np.empty((0, 0), spec.dtype), 1)  # compiles

    def prepare(self, w: Array) -> PreparedConv:
        return _DotsConv(self, w)


@final
class _DotsConv(PreparedConv):
    def __init__(self, plan: _DotsPlan, dy: Array) -> None:
        self.plan = plan
        self.dy = dy

    def execute(self, x: Array, y: Array) -> None:
        phases = self.plan.phases
        dots_with_shifts(phases.of(x), self.dy, phases.shifts, phases.pitch, y.reshape(len(y), -1), self.plan.threads)


@final
class _FoldPlan(ConvPlan):
    """The gradient for padding that copies x: that for the padded x, then folded back."""

    def __init__(self, algorithm: Direct, spec: ConvSpec, resources: Resources) -> None:
        H, W = spec.padded_extent
        self.inner = algorithm.plan(replace(spec, h=H, w=W, padding=((0, 0), (0, 0))), resources)
        self.maps = index_maps(spec)
        shape = (spec.n, spec.c, H, W)
        self.workspace_bytes = resources.reserve(self.inner.workspace_bytes + math.prod(shape) * spec.itemsize)
        self.padded = np.empty(shape, spec.dtype)
        fold_into(self.padded[:0], np.empty((0, *spec.x_shape[1:]), spec.dtype), *self.maps)  # compiles

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        inner = self.inner.prepare(w)
        return inner if isinstance(inner, Unsupported) else _FoldConv(self, inner)


@final
class _FoldConv(PreparedConv):
    def __init__(self, plan: _FoldPlan, inner: PreparedConv) -> None:
        self.plan = plan
        self.inner = inner

    def execute(self, x: Array, y: Array) -> None:
        self.inner.execute(x, self.plan.padded)
        fold_into(self.plan.padded, y, *self.plan.maps)
