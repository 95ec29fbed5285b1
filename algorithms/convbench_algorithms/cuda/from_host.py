"""Algorithms of the card for who has x in the host's memory, and wants y there: transfers and waiting included."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from convbench.algorithm import Array, ConvAlgorithm, ConvPlan, ErrorModel, PreparedConv, Resources, Unsupported
from convbench.spec import ConvSpec
from convbench_algorithms.cuda.device import Device, current
from convbench_algorithms.cuda.direct import CudaDirect
from convbench_algorithms.cuda.fft_fused import CudaFftFused
from convbench_algorithms.cuda.implicit_gemm import CudaImplicitGemm


class FromHost(ConvAlgorithm):
    """Another algorithm, timed by the host's clock from array to array. Subclasses say which."""

    device = "cuda"
    tags: ClassVar[frozenset[str]] = frozenset({"cuda", "transfers", "allocates"})
    inner: ClassVar[ConvAlgorithm]

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        return self.inner.supports(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return self.inner.error_model(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _FromHostPlan(self.inner.plan(spec, resources), spec)


@final
class CudaDirectFromHost(FromHost):
    """`cuda_direct`, with both transfers."""

    name: ClassVar[str] = "cuda_direct_from_host"
    inner = CudaDirect()


@final
class CudaFftFusedFromHost(FromHost):
    """`cuda_fft_fused`, with both transfers."""

    name: ClassVar[str] = "cuda_fft_fused_from_host"
    inner = CudaFftFused()


@final
class CudaImplicitGemmFromHost(FromHost):
    """`cuda_implicit_gemm`, with both transfers."""

    name: ClassVar[str] = "cuda_implicit_gemm_from_host"
    inner = CudaImplicitGemm()


@final
class _FromHostPlan(ConvPlan):
    def __init__(self, inner: ConvPlan, spec: ConvSpec) -> None:
        self.inner = inner
        self.device = current()
        self.y = self.device.empty(spec.output_shape, spec.dtype)
        self.workspace_bytes = inner.workspace_bytes + int(np.prod(spec.output_shape)) * self.y.dtype.itemsize

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        inner = self.inner.prepare(w)
        return inner if isinstance(inner, Unsupported) else _FromHost(inner, self)


@final
class _FromHost(PreparedConv):
    def __init__(self, inner: PreparedConv, plan: _FromHostPlan) -> None:
        self.inner = inner
        self.plan = plan

    def execute(self, x: Array, y: Array) -> None:
        device: Device = self.plan.device
        self.inner.execute(device.upload(x), self.plan.y)
        np.copyto(y, device.download(self.plan.y))
