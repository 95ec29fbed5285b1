"""The whole column matrix of an image, then cuBLAS: convolution as Caffe does it on a card.

Y_g [K/G, P·Q] = W_g [K/G, C/G·R·S] · X_g [C/G·R·S, P·Q], image after image.
"""

from __future__ import annotations

from typing import ClassVar, Final, final

import numpy as np
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
from convbench_algorithms.backward import unsupported_direction
from convbench_algorithms.cuda.device import (
    TYPES,
    CudaAlgorithm,
    DeviceArray,
    Kernel,
    current,
    unsupported_by_card,
)
from convbench_algorithms.cuda.geometry import MOST_PLANES, Geometry, correlation_filter
from convbench_algorithms.cuda.tf32 import emulated_error, split_tf32, tf32_error

THREADS: Final = 256


class ByColumns(CudaAlgorithm):
    """R·S times the memory of the image, for one large matrix product of cuBLAS. Subclasses say how that multiplies."""

    tags: ClassVar[frozenset[str]] = frozenset({"cuda", "gemm"})
    tf32: ClassVar[bool] = False
    """Whether the factors are rounded to TF32, for the tensor cores."""
    parts: ClassVar[int] = 1
    """Of the sum over taps: 3 where both factors are split into what TF32 keeps and the rest."""

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if self.tf32 and spec.dtype != "float32":
            return Unsupported("TF32 is a way to compute in float32")
        return unsupported_direction(spec) or unsupported_by_card(spec.dtype)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _ColumnsPlan(spec, resources, self.parts, self.tf32)


@final
class CudaIm2col(ByColumns):
    """In full precision."""

    name = "cuda_im2col"

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return summation_error(spec)


@final
class CudaIm2colTf32(ByColumns):
    """On tensor cores, both factors rounded to TF32."""

    name = "cuda_im2col_tf32"
    precision = "tf32"
    tf32 = True

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return tf32_error(spec)


@final
class CudaIm2col3xTf32(ByColumns):
    """On tensor cores, with float32's accuracy from three products in TF32.

    With a = a₁ + a₂ and b = b₁ + b₂, where a₁ and b₁ are in TF32, ab ≈ a₁b₁ + a₁b₂ + a₂b₁ (Ootomo & Yokota, "Recovering
    single precision accuracy from Tensor Cores", IJHPCA 36, 2022): one product of [w₁ w₁ w₂] and [x₁ x₂ x₁].
    """

    name = "cuda_im2col_3xtf32"
    precision = "emulated"
    tf32 = True
    parts = 3

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return emulated_error(spec)


@final
class _ColumnsPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources, parts: int, tf32: bool) -> None:
        self.spec = spec
        self.parts = parts
        self.tf32 = tf32
        self.geometry = g = Geometry.of(spec)
        self.device = current()
        self.taps = g.c * g.r * g.s
        self.workspace_bytes = resources.reserve(parts * self.taps * g.p * g.q * g.itemsize + g.map_bytes)
        self.matrix = self.device.empty((g.groups, parts * self.taps // g.groups, g.p * g.q), g.dtype)
        self.rows, self.cols = self.device.upload(g.rows), self.device.upload(g.cols)
        self.columns = self.device.compile(Kernel.of("gather.cu", "columns", **TYPES[g.dtype], PARTS=parts))
        self.sizes = tuple(map(int32, (g.h, g.w, g.r, g.s, g.p, g.q, *g.stride, *g.dilation, g.channels)))

    def prepare(self, w: Array) -> PreparedConv:
        g = self.geometry
        filters = correlation_filter(self.spec, w).reshape(g.groups, g.filters, self.taps // g.groups)
        if self.parts == 3:
            near, rest = split_tf32(filters)
            filters = np.concatenate((near, near, rest), axis=2)
        return _Columns(self, self.device.upload(filters))


@final
class _Columns(PreparedConv):
    def __init__(self, plan: _ColumnsPlan, filters: DeviceArray) -> None:
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
            plan.device.multiply(self.filters, plan.matrix, outputs[n], tf32=plan.tf32)
