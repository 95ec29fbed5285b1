"""Winograd convolution on a card: transforms in registers, and a stack of cuBLAS products, one for each frequency.

V = Bᵀ d B   [F, C, T]      U = G w Gᵀ   [F, K, C/G]      M = U · V   [F, K, T]      y = Aᵀ M A

(Lavin & Gray, arXiv:1509.09308). Tiles go through in batches of bounded workspace.
"""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy import int32

from convbench.algorithm import Array, ConvPlan, ErrorModel, PreparedConv, Resources, Unsupported
from convbench.spec import ConvSpec
from convbench_algorithms.backward import unsupported_direction
from convbench_algorithms.cuda.device import TYPES, CudaAlgorithm, DeviceArray, Kernel, current, unsupported_by_card
from convbench_algorithms.cuda.geometry import MOST_PLANES, Geometry, correlation_filter
from convbench_algorithms.winograd_error import unsupported_by_winograd, winograd_error
from convbench_algorithms.winograd_transforms import Transform, square_transforms

THREADS: Final = 128


class CudaWinograd(CudaAlgorithm):
    """F(m, R) × F(m, S), for filters of up to 5×5, stride 1 and dilation 1."""

    tags = frozenset({"cuda", "winograd"})

    @property
    @abstractmethod
    def m(self) -> int:
        """Outputs of a tile along each axis."""

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if unsupported := unsupported_direction(spec) or unsupported_by_winograd(spec):
            return unsupported
        if max(spec.c, spec.k) > MOST_PLANES:
            return Unsupported(f"needs at most {MOST_PLANES:,} channels")
        return unsupported_by_card(spec.dtype)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return winograd_error(spec, self.transforms(spec))

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _WinogradPlan(spec, resources, self.transforms(spec))

    def transforms(self, spec: ConvSpec) -> tuple[Transform, Transform]:
        """F(m, R) and F(m, S); F(1, 1) along an axis of one tap."""
        return square_transforms(self.m, spec.r, spec.s)


@final
class CudaWinogradF2(CudaWinograd):
    """2×2 outputs a tile: the fewest digits lost."""

    name: ClassVar[str] = "cuda_winograd_f2"
    m: ClassVar[int] = 2


@final
class CudaWinogradF4(CudaWinograd):
    """4×4 outputs a tile: a quarter of the multiplications."""

    name: ClassVar[str] = "cuda_winograd_f4"
    m: ClassVar[int] = 4


def initialiser(matrix: Any) -> str:
    """A matrix of fractions as C++ initialises an array of it."""
    return "{" + ",".join("{" + ",".join(repr(float(Fraction(value))) for value in row) + "}" for row in matrix) + "}"


def batch_of(geometry: Geometry, frequencies: int, total: int, limit_bytes: int) -> int:
    """Tiles at a time: as many as the limit holds, in batches of about the same size."""
    most = limit_bytes // (frequencies * (geometry.c + geometry.k) * geometry.computed_bytes)
    return -(-total // -(-total // max(most, 1)))


@final
class _WinogradPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources, pair: tuple[Transform, Transform]) -> None:
        self.spec = spec
        self.geometry = g = Geometry.of(spec)
        self.pair = vertical, horizontal = pair
        self.counts = -(-g.p // vertical.m), -(-g.q // horizontal.m)
        self.total = g.n * self.counts[0] * self.counts[1]
        self.frequencies = F = vertical.alpha * horizontal.alpha
        self.batch = batch_of(g, F, self.total, resources.tile_limit_bytes)
        kept = F * g.k * g.channels * g.computed_bytes
        passing = F * (g.c + g.k) * self.batch * g.computed_bytes
        self.workspace_bytes = resources.reserve(kept + passing + g.map_bytes)
        self.device = device = current()
        self.images = device.empty((F, g.groups, g.channels, self.batch), g.computed)
        self.products = device.empty((F, g.groups, g.filters, self.batch), g.computed)
        self.rows, self.cols = device.upload(g.rows), device.upload(g.cols)
        macros = dict(TYPES[g.dtype])
        for axis, one in (("H", vertical), ("W", horizontal)):
            macros |= {f"M{axis}": str(one.m), f"A{axis}": str(one.alpha)}
            macros |= {f"BT_{axis}": initialiser(zip(*one.B, strict=True))}
            macros |= {f"AT_{axis}": initialiser(zip(*one.A, strict=True))}
        self.into = device.compile(Kernel.of("winograd.cu", "into_frequencies", **macros))
        self.back = device.compile(Kernel.of("winograd.cu", "back", **macros))

    def prepare(self, w: Array) -> PreparedConv:
        g, (vertical, horizontal) = self.geometry, self.pair
        G_h, G_w = vertical.arrays(np.float64)[1], horizontal.arrays(np.float64)[1]
        filters = correlation_filter(self.spec, w).astype(np.float64)
        U = np.einsum("ir,kcrs,js->ijkc", G_h, filters, G_w, optimize=True)
        shape = (self.frequencies, g.groups, g.filters, g.channels)
        return _Winograd(self, self.device.upload(np.ascontiguousarray(U, g.computed).reshape(shape)))


@final
class _Winograd(PreparedConv):
    def __init__(self, plan: _WinogradPlan, filters: DeviceArray) -> None:
        self.plan = plan
        self.filters = filters

    def execute(self, x: DeviceArray, y: DeviceArray) -> None:
        plan, g = self.plan, self.plan.geometry
        blocks = -(-plan.batch // THREADS)
        into = (len(g.rows), len(g.cols), g.h, g.w, g.c, *plan.counts)
        back = (g.k, g.p, g.q, *plan.counts)
        for begin in range(0, plan.total, plan.batch):
            where = int32(min(begin, plan.total - plan.batch)), int32(plan.batch)  # some tiles twice, at the end
            sizes = tuple(map(int32, into))
            plan.into((blocks, g.c, 1), (THREADS, 1, 1), (x, plan.images, plan.rows, plan.cols, *sizes, *where))
            plan.device.multiply(self.filters, plan.images, plan.products)
            plan.back((blocks, g.k, 1), (THREADS, 1, 1), (plan.products, y, *map(int32, back), *where))
