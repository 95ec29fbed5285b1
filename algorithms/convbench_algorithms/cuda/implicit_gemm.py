"""A matrix product over columns that are gathered as they are needed: im2col without its memory.

The tiling is that of Volkov & Demmel (SC 2008) and of CUTLASS: a tile of a block in shared memory, a tile of a thread
in registers, the next slice loaded while this one is multiplied (Chetlur et al., "cuDNN", arXiv:1410.0759).
"""

from __future__ import annotations

from typing import Final, NamedTuple, final

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
    REALS,
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


class BlockTile(NamedTuple):
    """Filters × positions of a block, taps of a slice, and filters × positions of a thread."""

    filters: int
    positions: int
    taps: int
    thread_filters: int
    thread_positions: int

    def grid(self, geometry: Geometry) -> Triple:
        """Blocks along the positions, the filters, and the groups."""
        g = geometry
        return -(-g.n * g.p * g.q // self.positions), -(-g.filters // self.filters), g.groups

    def shared_bytes(self, itemsize: int) -> int:
        """Two slices of either factor."""
        return 2 * self.taps * (self.filters + self.positions) * itemsize


TILES: Final = (
    BlockTile(128, 128, 8, 8, 8),
    BlockTile(64, 128, 8, 4, 8),
    BlockTile(64, 64, 16, 4, 4),
    BlockTile(32, 128, 8, 2, 8),
)
"""Larger ones load less for each product."""


def block_tile(geometry: Geometry) -> BlockTile:
    """The largest that wastes little of the filters and fills the card, else the one with most blocks."""
    fitting = [tile for tile in TILES if -(-geometry.filters // tile.filters) * tile.filters <= 1.25 * geometry.filters]
    blocks = [(int(np.prod(tile.grid(geometry))), tile) for tile in fitting or TILES[-1:]]
    return next((tile for count, tile in blocks if count >= FULL_CARD), max(blocks)[1])


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
        return _ImplicitGemmPlan(spec, resources)


@final
class _ImplicitGemmPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.geometry = g = Geometry.of(spec)
        taps = np.zeros((g.channels, g.r, g.s, 4), np.int32)
        taps[..., 0] = np.arange(g.channels)[:, None, None]
        taps[..., 1] = (g.dilation[0] * np.arange(g.r))[:, None]
        taps[..., 2] = g.dilation[1] * np.arange(g.s)
        self.workspace_bytes = resources.reserve(taps.nbytes + g.map_bytes)
        self.device = device = current()
        self.taps = device.upload(taps)
        self.rows, self.cols = device.upload(g.rows), device.upload(g.cols)
        tile = block_tile(g)
        self.grid, self.shared_bytes = tile.grid(g), tile.shared_bytes(g.itemsize)
        extents = dict(zip(("BM", "BN", "BK", "TM", "TN"), tile, strict=True))
        self.function = device.compile(Kernel.of("implicit_gemm.cu", "implicit_gemm", REAL=REALS[g.dtype], **extents))
        sizes = (g.n, g.c, g.h, g.w, g.p, g.q, g.channels * g.r * g.s, g.channels, g.filters, *g.stride)
        self.sizes = tuple(map(int32, sizes))

    def prepare(self, w: Array) -> PreparedConv:
        g = self.geometry
        filters = correlation_filter(self.spec, w).reshape(g.groups, g.filters, g.channels * g.r * g.s)
        return _ImplicitGemm(self, self.device.upload(np.ascontiguousarray(filters.swapaxes(1, 2))))


@final
class _ImplicitGemm(PreparedConv):
    def __init__(self, plan: _ImplicitGemmPlan, filters: DeviceArray) -> None:
        self.plan = plan
        self.filters = filters

    def execute(self, x: DeviceArray, y: DeviceArray) -> None:
        plan = self.plan
        arguments = (x, self.filters, y, plan.taps, plan.rows, plan.cols, *plan.sizes)
        plan.function(plan.grid, (THREADS, 1, 1), arguments, plan.shared_bytes)
