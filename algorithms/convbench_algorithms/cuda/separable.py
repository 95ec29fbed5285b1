"""Filters of rank 1 in two passes that are one kernel: each pixel is read once and written once; see `stream`."""

from __future__ import annotations

from typing import Final, final

import numpy as np

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
    CudaAlgorithm,
    unsupported_by_card,
)
from convbench_algorithms.cuda.geometry import MOST_PLANES, Geometry, correlation_filter
from convbench_algorithms.cuda.stream import StreamPlan
from convbench_algorithms.rank import factored_error, factorise, family_rank

MOST_TAPS: Final = 31
"""Along an axis: a thread has a sum for each in its registers."""


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
            return Unsupported(f"needs a filter of at most {MOST_TAPS}×{MOST_TAPS}: registers hold its sums")
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


@final
class _SeparablePlan(StreamPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        super().__init__(spec, resources, factored=True)

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        if not np.isfinite(w).all():
            return Unsupported("the filter has values that are not finite, and so no rank")
        factors = factorise(correlation_filter(self.spec, w))
        if factors.rank > 1:
            return Unsupported(f"the filter has rank {factors.rank}; cuda_separable needs 1")
        taps = np.concatenate((factors.columns[:, 0, 0], factors.rows[:, 0, 0]), axis=1)
        return self.bound(np.ascontiguousarray(taps))
