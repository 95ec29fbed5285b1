"""Direct convolution tile by tile: each thread copies what a tile of outputs reads, then runs along its rows.

The copy (`padded_tiles`) stays in the second-level cache while all output channels of its group are computed from it
by the micro-kernel (`direct_strip`). Strides, padding and flips end here: the kernel gets offsets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, final

import numpy as np
from numba import njit, prange

from convbench.algorithm import Array, ConvPlan, PreparedConv, Resources
from convbench.boundary import IndexMap, index_maps
from convbench.spec import ConvSpec
from convbench_algorithms.aligned import aligned_zeros
from convbench_algorithms.direct_strip import strip_of_sums
from convbench_algorithms.emitter import REGISTERS, lanes_of
from convbench_algorithms.padded_tiles import even_share, fill_tile
from convbench_algorithms.thread_use import run_on, worthwhile_threads

TILE_BYTES: Final = 2**18
"""Of one thread's tile: a quarter of a usual second-level cache."""
TILE_COLUMNS: Final = 512
UNROLLED_TAPS: Final = 32
"""More rows of the filter than these are taken in groups, lest the kernel outgrow the instruction cache."""
PAST_CACHES_BYTES: Final = 2**24
"""An output of this size would only push x out of the last-level cache."""
FLAGS: Final = {"contract", "reassoc", "nsz", "arcp"}


@final
@dataclass(frozen=True)
class Block:
    """What the kernel is compiled for: the sums in registers, and the rows of the filter in one step."""

    channels: int
    rows: int
    vectors: int
    taps: int

    @staticmethod
    def of(spec: ConvSpec) -> Block:
        """Three quarters of the registers hold sums: the fewest columns of the filter's R·S loads an output."""
        channels = spec.k // spec.groups
        sums = (REGISTERS or 16) * 3 // 4
        rows = max(sums // (3 * channels), 1)
        vectors = max(min(sums // (channels * rows), spec.q // lanes_of(spec.itemsize)), 1)
        rows = -(-spec.p // -(-spec.p // rows))  # as few bands, but of equal heights
        taps = max(size for size in range(1, min(spec.r, UNROLLED_TAPS) + 1) if spec.r % size == 0)
        return Block(channels, rows, vectors, taps)


@final
class TilePlan(ConvPlan):
    """Tiles of `tile_rows` × `tile_columns` outputs, and one tile of padded x [C/groups,rows,v,pitch] a thread."""

    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.threads = threads = worthwhile_threads(spec, resources.threads)
        self.block = Block.of(spec)
        lanes = lanes_of(spec.itemsize)
        v, (dilation, column_dilation) = spec.stride[1], spec.dilation
        limit = min(TILE_BYTES, resources.tile_limit_bytes // threads)
        columns = spec.q if spec.q <= 3 * TILE_COLUMNS // 2 else TILE_COLUMNS
        self.reach = (spec.s - 1) * column_dilation // v
        widest = columns + lanes * (columns < spec.q)
        # An odd number of vectors: rows that all begin at the same place of a cache's period would evict each other.
        pitch = (-(-(widest + self.reach) // lanes) + 2 | 1) * lanes
        row_bytes = spec.c // spec.groups * v * pitch * spec.itemsize
        rows = max((limit // row_bytes - spec.filter_extent[0]) // spec.stride[0] + 1, self.block.rows)
        self.column_tiles = -(-spec.q // columns)
        tiles = even_share(-(-spec.p // rows), spec.n * spec.groups * self.column_tiles, threads)
        self.row_tiles = min(tiles, spec.p // self.block.rows)
        self.columns = columns
        rows = -(-spec.p // self.row_tiles)
        rows_in = (rows - 1) * spec.stride[0] + spec.filter_extent[0]
        shape = (threads, spec.c // spec.groups, rows_in, v, pitch)
        self.workspace_bytes = resources.reserve(math.prod(shape) * spec.itemsize + 64 * threads)
        self.tiles = aligned_zeros(shape, spec.dtype)
        self.maps = index_maps(spec)
        self.offsets = self._offsets(rows_in, pitch)
        self.past_caches = math.prod(spec.y_shape) * spec.itemsize >= PAST_CACHES_BYTES and spec.q % lanes == 0
        self.kernel = tiles_kernel(
            self.block.channels, self.block.rows, self.block.vectors, self.block.taps, spec.stride[0], dilation
        )
        nothing = _TileConv(self, np.zeros(spec.w_shape, spec.dtype))
        nothing.run(
            np.empty((0, *spec.x_shape[1:]), spec.dtype), np.empty((0, *spec.y_shape[1:]), spec.dtype)
        )  # compiles

    def _offsets(self, rows_in: int, pitch: int) -> IndexMap:
        """Of each step [C/groups·R/taps·S], in elements of a tile."""
        spec = self.spec
        v, (dilation, column_dilation) = spec.stride[1], spec.dilation
        c = np.arange(spec.c // spec.groups) * (rows_in * v * pitch)
        r = np.arange(0, spec.r, self.block.taps) * (dilation * v * pitch)
        o = np.arange(spec.s) * column_dilation
        s = o % v * pitch + o // v
        offsets: IndexMap = (c[:, None, None] + r[:, None] + s).ravel()
        return offsets

    def prepare(self, w: Array) -> PreparedConv:
        """See `ConvPlan`."""
        return _TileConv(self, w[..., ::-1, ::-1] if self.spec.flip else w)


@final
class _TileConv(PreparedConv):
    def __init__(self, plan: TilePlan, w: Array) -> None:
        self.plan = plan
        self.operations = plan.spec.direct_flops
        spec, block = plan.spec, plan.block
        grouped = w.reshape(spec.groups, block.channels, -1, spec.r // block.taps, block.taps, spec.s)
        # [G,channels,C/G,R/taps,taps,S] as [G,C/G·R/taps·S,taps,channels]
        steps = grouped.transpose(0, 2, 3, 5, 4, 1)
        shape = (spec.groups, len(plan.offsets), block.taps, block.channels)
        self.w = np.ascontiguousarray(steps).reshape(shape)

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        self.run(x, y)

    def run(self, x: Array, y: Array) -> None:
        """`execute`, on any number of images."""
        plan, spec = self.plan, self.plan.spec
        run_on(
            plan.threads, plan.kernel,
            x, self.w, plan.offsets, *plan.maps, spec.padding[1][0], plan.tiles, y,
            plan.row_tiles, plan.column_tiles, plan.columns, plan.reach, spec.filter_extent[0], plan.past_caches,
        )  # fmt: skip


@cache
def tiles_kernel(channels: int, rows: int, vectors: int, taps: int, stride: int, dilation: int) -> Any:
    """The compiled kernel of one block, vertical stride and vertical dilation."""

    @njit(parallel=True, nogil=True, cache=True, fastmath=FLAGS)
    def kernel(
        x: Array,
        w: Array,
        offsets: IndexMap,
        row_map: IndexMap,
        col_map: IndexMap,
        left: int,
        tiles: Array,
        y: Array,
        row_tiles: int,
        column_tiles: int,
        tile_columns: int,
        reach: int,
        extent: int,
        past_caches: bool,
    ) -> None:
        """Y [N,G·channels,P,Q]; w [G,T,taps,channels]."""
        N, _, P, Q = y.shape
        G = len(w)
        threads, C, _, v, pitch = tiles.shape
        row_step = v * pitch
        lanes = lanes_of(y.itemsize)
        # Where y is written past the caches, tiles begin where its vectors are aligned; but not the first.
        shift = y.ctypes.data // y.itemsize % lanes if past_caches else 0
        units = N * G * row_tiles * column_tiles
        for thread in prange(threads):
            tile = tiles[thread]
            flat = tile.reshape(-1)
            for unit in range(units * thread // threads, units * (thread + 1) // threads):
                i = unit % column_tiles
                j = unit // column_tiles % row_tiles
                g = unit // (column_tiles * row_tiles) % G
                n = unit // (column_tiles * row_tiles * G)
                p0, p1 = P * j // row_tiles, P * (j + 1) // row_tiles
                q0 = max(i * tile_columns - shift, 0)
                q1 = min((i + 1) * tile_columns - shift, Q) if i + 1 < column_tiles else Q
                first_row, tile_rows = p0 * stride, (p1 - p0 - 1) * stride + extent
                margin = fill_tile(
                    x, n, g * C, row_map, first_row, tile_rows, col_map, left, q0, q1 - q0 + reach, lanes, tile
                )
                for band in range(p0, p1, rows):
                    p = min(band, p1 - rows)
                    strip_of_sums(
                        flat, (p - p0) * stride * row_step + margin, row_step, offsets, w, g,
                        y, n, g * channels, p, q0, q1 - q0, past_caches and (i > 0 or shift == 0),
                        channels, rows, vectors, taps, stride, dilation,
                    )  # fmt: skip

    return kernel
