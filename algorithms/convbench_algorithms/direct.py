"""Direct convolution, in registers: every stride, dilation, group, boundary and direction.

Four forms of the same sum, after what the shape allows an element of x to be used for while it is at hand:

    direct_bands      one channel from one, in wide images: blocks of rows × columns, straight from x
    direct_rows       the same in narrow ones, with few taps: an element of x for R rows of y, straight from x
    direct_tiles      one or a few output channels: blocks of rows × columns, from padded tiles in cache
    shift_gemm        many output channels: a packed product, from padded tiles in cache

The first three compile a kernel for the filter's size; problems that are too small for that take the last.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, final

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
from convbench_algorithms.direct_bands import BandPlan, suits_bands
from convbench_algorithms.direct_rows import RowsPlan, suits_rows
from convbench_algorithms.direct_tiles import TilePlan
from convbench_algorithms.folding import fold_into
from convbench_algorithms.phases import PhaseImages
from convbench_algorithms.shift_gemm import ShiftPlan
from convbench_algorithms.shifted_dots import dots_with_shifts

WORTH_COMPILING_FLOPS: Final = 400_000
"""Below, microseconds are all that a kernel of the problem's own could save."""
FEW_CHANNELS: Final = 4
"""Of output in a group: the sums of so many share the registers with rows."""


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
        if spec.direct_flops >= WORTH_COMPILING_FLOPS:
            if suits_bands(spec) and spec.k // spec.groups <= FEW_CHANNELS:
                return BandPlan(spec, resources)
            if suits_rows(spec):
                return RowsPlan(spec, resources)
            if spec.k // spec.groups <= FEW_CHANNELS:
                return TilePlan(spec, resources)
        return ShiftPlan(spec, resources)


@final
class _DotsPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
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
        self.operations = plan.spec.direct_flops
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
        self.operations = inner.operations

    def execute(self, x: Array, y: Array) -> None:
        self.inner.execute(x, self.plan.padded)
        fold_into(self.plan.padded, y, *self.plan.maps)
