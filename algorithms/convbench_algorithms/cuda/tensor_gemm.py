"""The product over gathered columns on tensor cores: halves, float32 rounded to TF32, and float32 out of three such.

The warp's tiles and their words are those of PTX's `mma.sync`; three products for one are Ootomo & Yokota, "Recovering
single precision accuracy from Tensor Cores" (IJHPCA 36, 2022).
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import ClassVar, Final, NamedTuple, final

import numpy as np

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    Resources,
    Unsupported,
    once_stored,
    summation_error,
)
from convbench.spec import ConvSpec
from convbench_algorithms.cuda.blocking import cheapest_blocking
from convbench_algorithms.cuda.device import TYPES, CudaAlgorithm, Kernel
from convbench_algorithms.cuda.gathered import (
    COPY_BLOCK,
    VECTOR_BYTES,
    GatheredPlan,
    PaddedCopy,
    Product,
    unsupported_gathering,
)
from convbench_algorithms.cuda.geometry import Geometry, correlation_filter
from convbench_algorithms.cuda.tf32 import emulated_error, split_tf32, tf32_error

CHUNKS: Final = 8
"""Of VECTOR_BYTES: a slice of a filter or a position."""
STAGES: Final = 3
"""Slices in shared memory: one that is multiplied, and those that are on their way."""
LANES_OF_WARP: Final = 32
BYTES_A_CYCLE: Final = 2400
"""Of either factor's words, times those of the other: what `mma.sync` multiplies on a multiprocessor."""
TURNED_COLUMNS: Final = COPY_BLOCK[0]
"""That a block of the copy turns at a time."""


class WarpTile(NamedTuple):
    """Filters × positions of a block, and of each of its warps."""

    filters: int
    positions: int
    warp_filters: int
    warp_positions: int
    efficiency: float

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.filters // self.warp_filters * (self.positions // self.warp_positions) * LANES_OF_WARP

    @property
    def shared_bytes(self) -> int:
        """All slices of either factor."""
        return STAGES * CHUNKS * VECTOR_BYTES * (self.filters + self.positions)


TILES: Final = (
    WarpTile(128, 128, 64, 64, 1.0),
    WarpTile(64, 128, 32, 64, 0.8),
    WarpTile(64, 64, 32, 32, 0.6),
    WarpTile(32, 128, 32, 32, 0.5),
)


class TensorGemm(CudaAlgorithm):
    """`cuda_implicit_gemm` on tensor cores, from a copy of x with its channels last. Subclasses say of what."""

    tags: ClassVar[frozenset[str]] = frozenset({"cuda", "gemm", "tensor_cores"})
    dtype: ClassVar[str] = "float32"
    parts: ClassVar[int] = 1
    """Products on tensor cores for one."""

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if spec.dtype != self.dtype:
            return Unsupported(f"is a way to compute in {self.dtype}")
        return unsupported_gathering(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _TensorGemmPlan(spec, resources, self.parts)


@final
class _TensorGemmPlan(GatheredPlan):
    def __init__(self, spec: ConvSpec, resources: Resources, parts: int) -> None:
        g = Geometry.of(spec)
        self.rounded = parts == 1 and g.dtype == "float32"
        self.lanes = VECTOR_BYTES // g.itemsize
        rows, cols, chunks = len(g.rows), len(g.cols), -(-g.channels // self.lanes)
        self.order = _order(g.r * g.s, chunks)
        slices = -(-len(self.order) // CHUNKS)
        blocking = cheapest_blocking(g, TILES, slices, CHUNKS * VECTOR_BYTES, BYTES_A_CYCLE / parts)
        tile = blocking.tile
        self.filter_shape = g.groups, slices, -(-g.filters // tile.filters) * tile.filters, CHUNKS, self.lanes
        tap, chunk = self.order.T
        offsets = np.zeros((slices + 1) * CHUNKS, np.int32)
        offsets[: len(self.order)] = (
            g.dilation[0] * (tap // g.s) * cols + g.dilation[1] * (tap % g.s)
        ) * chunks + chunk
        extents = dict(zip(("BM", "BN", "WM", "WN"), tile, strict=False))
        product = Product(
            kernel=Kernel.of(
                "tensor_gemm.cu", "tensor_gemm", **TYPES[g.dtype], **extents, PARTS=parts, SPLITS=blocking.splits
            ),
            grid=blocking.grid(g),
            threads=tile.threads,
            shared_bytes=tile.shared_bytes,
            table=offsets,
            sizes=(
                g.n,
                g.p,
                g.q,
                rows,
                cols,
                chunks,
                *g.stride,
                g.filters,
                self.filter_shape[2],
                slices,
                blocking.share,
            ),
            splits=blocking.splits,
            filter_bytes=prod(self.filter_shape) * g.itemsize,
        )
        super().__init__(spec, resources, product, _channels_last(g, chunks, self.rounded))

    def filters(self, w: Array) -> Array:
        """[G, slices, K/G, chunks, lanes], in the order of the chunks of x, with zeros where something is filled up."""
        g, (groups, slices, wide, _, lanes) = self.geometry, self.filter_shape
        taps = correlation_filter(self.spec, w).reshape(groups, g.filters, g.channels, g.r * g.s)
        tap, chunk = self.order.T
        by_chunks = np.zeros((groups, wide, g.r * g.s, int(chunk.max()) + 1, lanes), g.dtype)
        by_chunks.reshape(groups, wide, g.r * g.s, -1)[:, : g.filters, :, : g.channels] = taps.swapaxes(2, 3)
        laid_out = np.zeros((groups, wide, slices * CHUNKS, lanes), g.dtype)
        laid_out[:, :, : len(self.order)] = by_chunks[:, :, tap, chunk]
        if self.rounded:
            laid_out = split_tf32(laid_out)[0]
        return laid_out.reshape(groups, wide, slices, CHUNKS, lanes).swapaxes(1, 2)


def _order(taps: int, chunks: int) -> Array:
    """The taps (of R·S) and chunks (of channels) of a sum, slice by slice: [[tap, chunk], ..].

    Taps follow each other for the same channels, as they read what lies beside: the first cache has it.
    """
    return np.array(
        [
            (tap, chunk)
            for first in range(0, chunks, CHUNKS)
            for tap in range(taps)
            for chunk in range(first, min(first + CHUNKS, chunks))
        ]
    )


def _channels_last(g: Geometry, chunks: int, rounded: bool) -> PaddedCopy:
    """[N, G, rows, columns, chunks], each of VECTOR_BYTES of channels."""
    rows, cols, lanes = len(g.rows), len(g.cols), VECTOR_BYTES // g.itemsize
    return PaddedCopy(
        shape=(g.n, g.groups, rows, cols, chunks * lanes),
        dtype=g.dtype,
        kernel=Kernel.of("padded.cu", "channels_last", **TYPES[g.dtype], ROUNDED=int(rounded)),
        grid=(g.n * rows * -(-cols // TURNED_COLUMNS), -(-chunks // CHUNKS), g.groups),
        shared_bytes=CHUNKS * lanes * (TURNED_COLUMNS + 1) * g.itemsize,
        sizes=(g.h, g.w, rows, cols, g.channels, chunks, g.groups),
    )


@final
class CudaImplicitGemmHalf(TensorGemm):
    """Products of halves, which are exact, and their sums in float32."""

    name: ClassVar[str] = "cuda_implicit_gemm_half"
    dtype = "float16"

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`: tensor cores cut their sums off rather than rounding them, by twice as much."""
        direct = summation_error(replace(spec, dtype="float32"))
        sums = ErrorModel("componentwise", 2 * direct.bound, f"twice {direct.source}, as tensor cores cut off")
        return once_stored(sums, spec.dtype)


@final
class CudaImplicitGemmTf32(TensorGemm):
    """Both factors rounded to TF32."""

    name: ClassVar[str] = "cuda_implicit_gemm_tf32"
    precision = "tf32"

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return tf32_error(spec)


@final
class CudaImplicitGemm3xTf32(TensorGemm):
    """What TF32 keeps of either factor, and what it leaves of one: float32's accuracy from three products."""

    name: ClassVar[str] = "cuda_implicit_gemm_3xtf32"
    precision = "emulated"
    parts = 3

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return emulated_error(spec)
