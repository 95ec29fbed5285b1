"""A 1×1 convolution is a matrix product: Y_g [K/G, H·W] = W_g [K/G, C/G] · X_g [C/G, H·W], on x where it lies."""

from __future__ import annotations

from typing import final

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
from convbench_algorithms.cuda.device import CudaAlgorithm, Device, DeviceArray, current, unsupported_by_card
from convbench_algorithms.cuda.geometry import Geometry, correlation_filter


@final
class CudaGemm1x1(CudaAlgorithm):
    """One stack of cuBLAS products; nothing is copied."""

    name = "cuda_gemm1x1"
    tags = frozenset({"cuda", "gemm"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if (spec.r, spec.s) != (1, 1):
            return Unsupported("needs a 1×1 filter")
        if spec.stride != (1, 1):
            return Unsupported("needs a stride of 1: x is multiplied where it lies")
        if spec.padding != ((0, 0), (0, 0)):
            return Unsupported("needs no padding: x is multiplied where it lies")
        return unsupported_direction(spec) or unsupported_by_card(spec.dtype)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _Gemm1x1Plan(spec, resources)


@final
class _Gemm1x1Plan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.geometry = g = Geometry.of(spec)
        self.workspace_bytes = resources.reserve(g.k * g.channels * g.itemsize)  # the filter, on the card
        self.device = current()

    def prepare(self, w: Array) -> PreparedConv:
        g = self.geometry
        filters = correlation_filter(self.spec, w).reshape(g.groups, g.filters, g.channels)
        return _Gemm1x1(g, self.device, self.device.upload(filters))


@final
class _Gemm1x1(PreparedConv):
    def __init__(self, geometry: Geometry, device: Device, filters: DeviceArray) -> None:
        self.geometry = geometry
        self.device = device
        self.filters = filters

    def execute(self, x: DeviceArray, y: DeviceArray) -> None:
        g = self.geometry
        images = x.reshape(g.n, g.groups, g.channels, g.h * g.w)
        self.device.multiply(self.filters, images, y.reshape(g.n, g.groups, g.filters, g.h * g.w))
