"""Direct convolution with many output channels: tiles of padded x, times the filter, by the packed product.

What one tap reads of a tile is the same memory for every tap, begun elsewhere: a matrix of C/groups·R·S rows for which
nothing is copied out. So a tile (`padded_tiles`) is multiplied as it lies (`product`), whatever the stride.
"""

from __future__ import annotations

import math
from typing import Final, final

import numpy as np
from numba import njit, prange

from convbench.algorithm import Array, ConvPlan, PreparedConv, Resources
from convbench.boundary import IndexMap, index_maps
from convbench.spec import ConvSpec
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.padded_tiles import even_share, fill_tile
from convbench_algorithms.product import multiply, pack, split, sums_length
from convbench_algorithms.thread_use import run_on, worthwhile_threads

TILE_BYTES: Final = 2**18
"""Of one thread's tile: a quarter of a usual second-level cache."""
TILE_COLUMNS: Final = 512
LONG_SUM: Final = 64
"""Terms from which on the transposes of the product with channels in the lanes are paid for."""


@final
class ChannelsPlan(ConvPlan):
    """One tile of padded x [C/groups,rows,v,pitch] a thread; threads share tiles, or else channels."""

    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.threads = threads = worthwhile_threads(spec, resources.threads)
        C, K, (u, v) = spec.c // spec.groups, spec.k // spec.groups, spec.stride
        limit = min(TILE_BYTES, resources.tile_limit_bytes // threads)
        self.columns = spec.q if spec.q <= 3 * TILE_COLUMNS // 2 else TILE_COLUMNS
        self.reach = (spec.s - 1) * spec.dilation[1] // v
        pitch = self.columns + self.reach
        rows = max((limit // (C * v * pitch * spec.itemsize) - spec.filter_extent[0]) // u + 1, 1)
        self.column_tiles = -(-spec.q // self.columns)
        lanes = lanes_of(spec.itemsize)
        self.wide = lanes <= K and C * spec.r * spec.s >= LONG_SUM
        images = spec.n * spec.groups * self.column_tiles
        self.row_tiles = -(-spec.p // rows)
        # Threads share tiles; where there is only one, its channels, for whose sake all of them then copy it.
        alone = images * self.row_tiles == 1
        self.chunks = min(threads, -(-K // (2 * lanes))) if alone else 1
        self.row_tiles = min(even_share(self.row_tiles, images * self.chunks, threads), spec.p)
        rows_in = (-(-spec.p // self.row_tiles) - 1) * u + spec.filter_extent[0]
        shape = (threads, C, rows_in, v, pitch)
        self.workspace_bytes = resources.reserve(
            (math.prod(shape) + threads * sums_length(spec.itemsize)) * spec.itemsize
        )
        self.tiles = np.zeros(shape, spec.dtype)
        self.sums = np.zeros((threads, sums_length(spec.itemsize)), spec.dtype)
        self.maps = index_maps(spec)
        self.starts = self._starts(rows_in, pitch)
        self.edges = np.array(split(K, self.chunks), dtype=np.int64)
        nothing = _ChannelsConv(self, np.zeros(spec.w_shape, spec.dtype))
        nothing.run(np.empty((0, *spec.x_shape[1:]), spec.dtype), np.empty((0, *spec.y_shape[1:]), spec.dtype))

    def _starts(self, rows_in: int, pitch: int) -> IndexMap:
        """Where in a tile each tap [C/groups·R·S] of output 0 lies."""
        spec = self.spec
        v = spec.stride[1]
        c = np.arange(spec.c // spec.groups) * (rows_in * v * pitch)
        r = np.arange(spec.r) * (spec.dilation[0] * v * pitch)
        o = np.arange(spec.s) * spec.dilation[1]
        starts: IndexMap = (c[:, None, None] + r[:, None] + (o % v * pitch + o // v)).ravel()
        return starts

    def prepare(self, w: Array) -> PreparedConv:
        """See `ConvPlan`."""
        return _ChannelsConv(self, w[..., ::-1, ::-1] if self.spec.flip else w)


@final
class _ChannelsConv(PreparedConv):
    def __init__(self, plan: ChannelsPlan, w: Array) -> None:
        self.plan = plan
        grouped = w.reshape(plan.spec.groups, -1, len(plan.starts))
        packed = [
            pack(filters[first:last], plan.wide)
            for filters in grouped
            for first, last in zip(plan.edges, plan.edges[1:], strict=False)
        ]
        self.places = np.cumsum([0, *(len(part) for part in packed)])
        self.w = np.concatenate(packed)

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        self.run(x, y)

    def run(self, x: Array, y: Array) -> None:
        """`execute`, on any number of images."""
        plan, spec = self.plan, self.plan.spec
        run_on(
            plan.threads, _multiply_tiles,
            x, self.w, self.places, plan.edges, plan.starts, *plan.maps, spec.padding[1][0], plan.tiles, plan.sums, y,
            spec.groups, plan.row_tiles, plan.column_tiles, plan.columns, plan.reach, spec.filter_extent[0],
            spec.stride[0], plan.wide,
        )  # fmt: skip


@njit(parallel=True, nogil=True, cache=True)
def _multiply_tiles(
    x: Array,
    w: Array,
    places: IndexMap,
    edges: IndexMap,
    starts: IndexMap,
    row_map: IndexMap,
    col_map: IndexMap,
    left: int,
    tiles: Array,
    sums: Array,
    y: Array,
    G: int,
    row_tiles: int,
    column_tiles: int,
    tile_columns: int,
    reach: int,
    extent: int,
    u: int,
    wide: bool,
) -> None:
    """Y [N,K,P,Q]; the filters of chunk i, channels edges[i] … of a group, are packed at places[g·chunks + i] of w."""
    N, K, P, Q = y.shape
    threads, C, _, v, pitch = tiles.shape
    chunks = len(edges) - 1
    units = N * G * row_tiles * column_tiles * chunks
    for thread in prange(threads):
        tile = tiles[thread]
        flat = tile.reshape(-1)
        for unit in range(units * thread // threads, units * (thread + 1) // threads):
            # Chunks vary slowest: a thread's weights stay in its cache from tile to tile.
            j = unit % row_tiles
            i = unit // row_tiles % column_tiles
            n = unit // (column_tiles * row_tiles) % N
            part = unit // (column_tiles * row_tiles * N)
            g, chunk = part // chunks, part % chunks
            p0, p1 = P * j // row_tiles, P * (j + 1) // row_tiles
            q0, q1 = i * tile_columns, min((i + 1) * tile_columns, Q)
            rows = (p1 - p0 - 1) * u + extent
            fill_tile(x, n, g * C, row_map, p0 * u, rows, col_map, left, q0, q1 - q0 + reach, 1, tile)
            first, last = g * (K // G) + edges[chunk], g * (K // G) + edges[chunk + 1]
            target = y[n, first:last, p0:p1, q0:q1]
            multiply(wide, w[places[part] :], flat, starts, u * v * pitch, target, sums[thread])
