"""Filters of rank 1 in two passes that are one kernel: each pixel is read once and written once.

The ring of filtered rows is the "streaming" of stencil codes (Rawat et al., "Domain-specific optimization and
generation of high-performance GPU code for stencil computations", Proc. IEEE 106, 2018).
"""

from __future__ import annotations

from typing import Final, final

import numpy as np
from numpy import int32

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
)
from convbench.spec import ConvSpec
from convbench_algorithms.backward import unsupported_direction
from convbench_algorithms.cuda.device import (
    CONSTANT_BYTES,
    TYPES,
    CudaAlgorithm,
    DeviceArray,
    Function,
    Kernel,
    Triple,
    current,
    unsupported_by_card,
)
from convbench_algorithms.cuda.geometry import MOST_PLANES, Geometry, correlation_filter
from convbench_algorithms.rank import factored_error, factorise, family_rank

MOST_TAPS: Final = 63
"""Along an axis: the loops over taps are unrolled."""

WIDE: Final = 128
STEP: Final = 8
QUAD: Final = 4
FULL_CARD: Final = 1056
"""Blocks that keep eight on each of an H100's multiprocessors."""


@final
class CudaSeparable(CudaAlgorithm):
    """R + S multiplications an output; for filters of rank 1 that see one channel each."""

    name = "cuda_separable"
    tags = frozenset({"cuda", "separable"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if unsupported := unsupported_direction(spec):
            return unsupported
        g = Geometry.of(spec)
        if g.channels != 1:
            return Unsupported("sums over channels have no single pair of passes; it needs one channel a group")
        if g.stride != (1, 1) or g.dilation != (1, 1):
            return Unsupported("needs a stride and a dilation of 1")
        if max(g.r, g.s) > MOST_TAPS:
            return Unsupported(f"needs a filter of at most {MOST_TAPS}×{MOST_TAPS}: its loops are unrolled")
        if g.k * (g.r + g.s) * g.computed_bytes > CONSTANT_BYTES or g.n * g.k > MOST_PLANES:
            return Unsupported(
                f"needs filters of at most {CONSTANT_BYTES // 1024} KiB, and {MOST_PLANES:,} planes of y"
            )
        rank = family_rank(spec)
        if rank is not None and rank > 1:
            return Unsupported(f"filter={spec.filter} of {spec.r}×{spec.s} has rank {rank}; cuda_separable needs 1")
        return unsupported_by_card(spec.dtype)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return factored_error(spec, 1)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _SeparablePlan(spec, resources)


def strip_length(geometry: Geometry) -> int:
    """Rows of y that a block goes down: many, as it begins with R − 1 of the one above; but all cores first."""
    g = geometry
    strips = g.n * g.k * -(-g.q // WIDE)
    wanted = -(-FULL_CARD // strips)  # of each strip's rows, to fill the card
    return int(np.clip(-(-g.p // wanted), 4 * STEP, 512))


def shared_bytes(geometry: Geometry) -> int:
    """STEP rows of x, and the ring of filtered rows."""
    pitch = -(-(WIDE + geometry.s - 1) // QUAD) * QUAD
    return (STEP * pitch + (geometry.r - 1 + STEP) * WIDE) * geometry.computed_bytes


@final
class _SeparablePlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.geometry = g = Geometry.of(spec)
        self.device = current()
        self.workspace_bytes = resources.reserve(g.map_bytes)
        self.rows, self.cols = self.device.upload(g.rows), self.device.upload(g.cols)
        self.kernel = Kernel.of(
            "separable.cu",
            "separable",
            **TYPES[g.dtype],
            PLANES=g.k,
            R=g.r,
            S=g.s,
            WIDE=WIDE,
            STEP=STEP,
            LEFT=-1 if g.left is None else g.left,
        )
        length = strip_length(g)
        self.grid: Triple = (-(-g.q // WIDE), -(-g.p // length), g.n * g.k)
        sizes = (len(g.rows), len(g.cols), g.c, g.h, g.w, g.k, g.p, g.q, g.filters, length)
        self.sizes = tuple(map(int32, sizes))

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        if not np.isfinite(w).all():
            return Unsupported("the filter has values that are not finite, and so no rank")
        factors = factorise(correlation_filter(self.spec, w))
        if factors.rank > 1:
            return Unsupported(f"the filter has rank {factors.rank}; cuda_separable needs 1")
        taps = np.concatenate((factors.columns[:, 0, 0], factors.rows[:, 0, 0]), axis=1)
        return _Separable(self, self.device.compile(self.kernel, {"taps": np.ascontiguousarray(taps)}))


@final
class _Separable(PreparedConv):
    def __init__(self, plan: _SeparablePlan, function: Function) -> None:
        self.plan = plan
        self.function = function

    def execute(self, x: DeviceArray, y: DeviceArray) -> None:
        plan = self.plan
        arguments = (x, y, plan.rows, plan.cols, *plan.sizes)
        self.function(plan.grid, (WIDE, 1, 1), arguments, shared_bytes(plan.geometry))
