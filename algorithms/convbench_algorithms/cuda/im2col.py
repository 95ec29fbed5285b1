"""The whole column matrix of an image, then cuBLAS: convolution as Caffe does it on a card.

Y_g [K/G, P·Q] = W_g [K/G, C/G·R·S] · X_g [C/G·R·S, P·Q], image after image.
"""

from __future__ import annotations

from typing import Final, final

from numpy import int32, int64

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
)
from convbench.spec import ConvSpec
from convbench_algorithms.cuda.device import REALS, CudaAlgorithm, DeviceArray, Kernel, current, unsupported_by_card
from convbench_algorithms.cuda.geometry import MOST_PLANES, Geometry, correlation_filter, unsupported_direction

THREADS: Final = 256


@final
class CudaIm2col(CudaAlgorithm):
    """R·S times the memory of the image, for one large matrix product of cuBLAS."""

    name = "cuda_im2col"
    tags = frozenset({"cuda", "gemm"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        return unsupported_direction(spec) or unsupported_by_card(spec.dtype)

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
        self.geometry = g = Geometry.of(spec)
        self.device = current()
        self.taps = g.c * g.r * g.s
        maps = g.rows.nbytes + g.cols.nbytes
        self.workspace_bytes = resources.reserve(self.taps * g.p * g.q * g.itemsize + maps)
        self.matrix = self.device.empty((g.groups, self.taps // g.groups, g.p * g.q), g.dtype)
        self.rows, self.cols = self.device.upload(g.rows), self.device.upload(g.cols)
        self.columns = self.device.compile(Kernel.of("gather.cu", "columns", REAL=REALS[g.dtype]))
        self.sizes = tuple(int32(size) for size in (g.h, g.w, g.r, g.s, g.p, g.q, *g.stride, *g.dilation))

    def prepare(self, w: Array) -> PreparedConv:
        g = self.geometry
        filters = correlation_filter(self.spec, w).reshape(g.groups, g.filters, self.taps // g.groups)
        return _Im2col(self, self.device.upload(filters))


@final
class _Im2col(PreparedConv):
    def __init__(self, plan: _Im2colPlan, filters: DeviceArray) -> None:
        self.plan = plan
        self.filters = filters

    def execute(self, x: DeviceArray, y: DeviceArray) -> None:
        plan, g = self.plan, self.plan.geometry
        outputs = y.reshape(g.n, g.groups, g.filters, g.p * g.q)
        for n in range(g.n):
            for first in range(0, plan.taps, MOST_PLANES):
                plan.columns(
                    (-(-g.p * g.q // THREADS), min(plan.taps - first, MOST_PLANES), 1),
                    (THREADS, 1, 1),
                    (x, plan.matrix, plan.rows, plan.cols, *plan.sizes, int64(n * g.c), int64(first), int64(plan.taps)),
                )
            plan.device.multiply(self.filters, plan.matrix, outputs[n])
