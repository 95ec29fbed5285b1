"""A matrix product over columns that are gathered as they are needed: im2col without its memory.

The tiling is that of Volkov & Demmel (SC 2008) and of CUTLASS: a tile of a block in shared memory, a tile of a thread
in registers, the next slice loaded while this one is multiplied (Chetlur et al., "cuDNN", arXiv:1410.0759).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final, NamedTuple, Protocol, TypeVar, final

import numpy as np
from numpy import int32

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
    Triple,
    current,
    unsupported_by_card,
)
from convbench_algorithms.cuda.geometry import MOST_PLANES, Geometry, correlation_filter

THREADS: Final = 256
FULL_CARD: Final = 264
"""Blocks of a launch that keep two on each of an H100's multiprocessors."""


class Tile(Protocol):
    """Of a block: some filters at some positions."""

    @property
    def filters(self) -> int:
        """Rows of w."""

    @property
    def positions(self) -> int:
        """Columns, through all images."""


class BlockTile(NamedTuple):
    """Filters × positions of a block, taps of a slice, and filters × positions of a thread."""

    filters: int
    positions: int
    taps: int
    thread_filters: int
    thread_positions: int

    def shared_bytes(self, itemsize: int) -> int:
        """Two slices of either factor."""
        return 2 * self.taps * (self.filters + self.positions) * itemsize


AnyTile = TypeVar("AnyTile", bound=Tile)

TILES: Final = (
    BlockTile(128, 128, 8, 8, 8),
    BlockTile(64, 128, 8, 4, 8),
    BlockTile(64, 64, 16, 4, 4),
    BlockTile(32, 128, 8, 2, 8),
)
"""Larger ones load less for each product."""


def grid_of(geometry: Geometry, tile: Tile) -> Triple:
    """Blocks along the positions, the filters, and the groups."""
    g = geometry
    return -(-g.n * g.p * g.q // tile.positions), -(-g.filters // tile.filters), g.groups


def block_tile(geometry: Geometry, tiles: Sequence[AnyTile]) -> AnyTile:
    """Of tiles from large to small, the first that wastes little of the filters and fills the card.

    Else the one with most blocks.
    """
    fitting = [tile for tile in tiles if -(-geometry.filters // tile.filters) * tile.filters <= 1.25 * geometry.filters]
    blocks = [(prod(grid_of(geometry, tile)), tile) for tile in fitting or tiles[-1:]]
    full = (tile for count, tile in blocks if count >= FULL_CARD)
    return next(full, max(blocks, key=lambda pair: pair[0])[1])


@final
class CudaImplicitGemm(CudaAlgorithm):
    """The product of im2col, its columns made in shared memory; every geometry, and no workspace to speak of."""

    name = "cuda_implicit_gemm"
    tags = frozenset({"cuda", "gemm"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if spec.groups > MOST_PLANES:
            return Unsupported(f"needs at most {MOST_PLANES:,} groups")
        return unsupported_direction(spec) or unsupported_by_card(spec.dtype)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        g = Geometry.of(spec)
        tile = block_tile(g, TILES)
        extents = dict(zip(("BM", "BN", "BK", "TM", "TN"), tile, strict=True))
        kernel = Kernel.of("implicit_gemm.cu", "implicit_gemm", **TYPES[g.dtype], **extents)
        return GemmPlan(spec, resources, kernel, grid_of(g, tile), tile.shared_bytes(g.computed_bytes))


class GemmPlan(ConvPlan):
    """Of any kernel that gathers its columns, `[K/G, T] · [T, N·P·Q]` for each group, with 256 threads a block."""

    def __init__(self, spec: ConvSpec, resources: Resources, kernel: Kernel, grid: Triple, shared_bytes: int) -> None:
        self.spec = spec
        self.geometry = g = Geometry.of(spec)
        self.grid, self.shared_bytes = grid, shared_bytes
        taps = np.zeros((g.channels, g.r, g.s, 4), np.int32)
        taps[..., 0] = np.arange(g.channels)[:, None, None]
        taps[..., 1] = (g.dilation[0] * np.arange(g.r))[:, None]
        taps[..., 2] = g.dilation[1] * np.arange(g.s)
        self.workspace_bytes = resources.reserve(taps.nbytes + g.map_bytes)
        self.device = device = current()
        self.taps = device.upload(taps)
        self.rows, self.cols = device.upload(g.rows), device.upload(g.cols)
        self.function = device.compile(kernel)
        sizes = (g.n, g.c, g.h, g.w, g.p, g.q, g.channels * g.r * g.s, g.channels, g.filters, *g.stride)
        self.sizes = tuple(map(int32, sizes))

    def prepare(self, w: Array) -> PreparedConv:
        """See `ConvPlan`."""
        g = self.geometry
        filters = correlation_filter(self.spec, w).reshape(g.groups, g.filters, g.channels * g.r * g.s)
        return _Gemm(self, self.device.upload(np.ascontiguousarray(filters.swapaxes(1, 2))))


@final
class _Gemm(PreparedConv):
    def __init__(self, plan: GemmPlan, filters: DeviceArray) -> None:
        self.plan = plan
        self.filters = filters

    def execute(self, x: DeviceArray, y: DeviceArray) -> None:
        plan = self.plan
        arguments = (x, self.filters, y, plan.taps, plan.rows, plan.cols, *plan.sizes)
        plan.function(plan.grid, (THREADS, 1, 1), arguments, plan.shared_bytes)
