"""A matrix product over columns that are gathered as they are needed: im2col without its memory.

The tiling is that of Volkov & Demmel (SC 2008) and of CUTLASS: a tile of a block in shared memory, a tile of a thread
in registers, the next slices on their way while this one is multiplied (Chetlur et al., "cuDNN", arXiv:1410.0759).
"""

from __future__ import annotations

from typing import Final, NamedTuple, final

import numpy as np

from convbench.algorithm import Array, ConvPlan, ErrorModel, Resources, Unsupported, summation_error
from convbench.spec import ConvSpec
from convbench_algorithms.cuda.blocking import cheapest_blocking
from convbench_algorithms.cuda.device import TYPES, CudaAlgorithm, Kernel
from convbench_algorithms.cuda.gathered import COPY_BLOCK, GatheredPlan, PaddedCopy, Product, unsupported_gathering
from convbench_algorithms.cuda.geometry import Geometry, correlation_filter

THREADS: Final = 256
STAGES: Final = 4
"""Slices in shared memory: one that is multiplied, and those that are on their way."""
PRODUCTS_A_CYCLE: Final = 128
"""Multiply-adds of a multiprocessor."""
MOST_EDGES: Final = 32
"""Rows and columns of a filter whose being inside is kept in a word."""


class BlockTile(NamedTuple):
    """Filters × positions of a block, taps of a slice, and filters × positions of a thread."""

    filters: int
    positions: int
    taps: int
    thread_filters: int
    thread_positions: int
    efficiency: float

    def shared_bytes(self, itemsize: int) -> int:
        """All slices of either factor."""
        return STAGES * self.taps * (self.filters + self.positions) * itemsize


TILES: Final = (
    BlockTile(128, 128, 8, 8, 8, 1.0),
    BlockTile(64, 128, 8, 4, 8, 0.85),
    BlockTile(64, 64, 8, 4, 4, 0.7),
    BlockTile(32, 128, 8, 2, 8, 0.65),
)


@final
class CudaImplicitGemm(CudaAlgorithm):
    """The product of im2col, its columns made in shared memory; every geometry.

    x is read where it lies, unless its boundary is no zeros, it is spread, or its halves are to be floats: then it is
    copied first.
    """

    name = "cuda_implicit_gemm"
    tags = frozenset({"cuda", "gemm"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        return unsupported_gathering(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _ImplicitGemmPlan(spec, resources)


@final
class _ImplicitGemmPlan(GatheredPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        g = Geometry.of(spec)
        taps = g.channels * g.r * g.s
        blocking = cheapest_blocking(g, TILES, -(-taps // TILES[0].taps), TILES[0].taps, PRODUCTS_A_CYCLE)
        self.tile = tile = blocking.tile
        self.filter_shape = g.groups, blocking.slices * tile.taps, -(-g.filters // tile.filters) * tile.filters
        padding = _padding_in_place(g)
        top, left, *image = (0, 0, len(g.rows), len(g.cols)) if padding is None else (*padding, g.h, g.w)
        extents = dict(zip(("BM", "BN", "BK", "TM", "TN"), tile, strict=False))
        macros = TYPES[g.dtype] | extents | {"COPIED": int(padding is None), "SPLITS": blocking.splits}
        product = Product(
            kernel=Kernel.of("implicit_gemm.cu", "implicit_gemm", **macros),
            grid=blocking.grid(g),
            threads=THREADS,
            shared_bytes=tile.shared_bytes(g.computed_bytes),
            table=_taps(g, (image[0], image[1]), padding is not None, self.filter_shape[1] + STAGES * tile.taps),
            sizes=(
                *(g.n, g.c, *image, g.p, g.q, g.r, g.s, *g.stride, *g.dilation, -top, -left),
                *(g.channels, g.filters, self.filter_shape[2], blocking.slices, blocking.share),
            ),
            splits=blocking.splits,
            filter_bytes=int(np.prod(self.filter_shape)) * g.computed_bytes,
        )
        super().__init__(spec, resources, product, _planes(g) if padding is None else None)

    def filters(self, w: Array) -> Array:
        """[G, T, K/G], with zeros for the taps that fill the last slice and the filters that fill the last tile."""
        g = self.geometry
        laid_out = np.zeros(self.filter_shape, g.computed)
        taps = correlation_filter(self.spec, w).reshape(g.groups, g.filters, -1).swapaxes(1, 2)
        laid_out[:, : taps.shape[1], : g.filters] = taps
        return laid_out


def _padding_in_place(g: Geometry) -> tuple[int, int] | None:
    """Zeros above and before an image that is read where it lies; None where it has to be copied."""
    top, left = g.zeros_around
    if top is None or left is None or g.computed != g.dtype or g.r + g.s > MOST_EDGES:
        return None
    return top, left


def _taps(g: Geometry, image: tuple[int, int], in_place: bool, count: int) -> Array:
    """For each tap (c, r, s) its offset in the image and what of it has to lie inside: bit r, and bit R + s.

    Those that fill the last slice need all bits, and have no offset: where all are there, the position is inside.
    """
    c, r, s = np.ogrid[: g.channels, : g.r, : g.s]
    offsets = (c * image[0] + g.dilation[0] * r) * image[1] + g.dilation[1] * s
    needs = (1 << r) | (1 << (g.r + s)) if in_place else 0
    table = np.zeros((count, 2), np.uint32)
    table[:, 1] = 2**32 - 1
    table[: offsets.size, 0] = offsets.ravel()
    table[: offsets.size, 1] = np.broadcast_to(needs, offsets.shape).ravel()
    return table


def _planes(g: Geometry) -> PaddedCopy:
    """The planes of x one after the other, each with its padding."""
    rows, cols = len(g.rows), len(g.cols)
    lines = g.n * g.c * rows
    return PaddedCopy(
        shape=(lines, cols),
        dtype=g.computed,
        kernel=Kernel.of("padded.cu", "planes", **TYPES[g.dtype]),
        grid=(-(-lines // COPY_BLOCK[1]), -(-cols // COPY_BLOCK[0]), 1),
        shared_bytes=0,
        sizes=(g.h, g.w, rows, cols, lines),
    )
