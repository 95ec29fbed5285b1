"""Which tiles cost least, for FFTs in a core's cache."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from convbench.algorithm import MiB, Resources
from convbench.boundary import OUTSIDE, index_maps
from convbench.spec import ConvSpec, Pair
from convbench_algorithms.fft_tiles import TileGrid, is_depthwise, needed_extent, saving_grid
from convbench_algorithms.planar_fft import axis_radices, tile_bytes

# Measured on a Zen 5 core, float32, for tiles of 64² to 1152 by 640. Only ratios matter to the choice.
POINT_NS: Final = 0.7
"""Of a complex point, gathered, multiplied, and scattered."""

PASS_NS: Final = 0.1
"""Of each pass, there and back. A radix of 16 along rows needs more registers than there are: it counts as two."""

DOUBLING_NS: Final = 0.07
"""More for each doubling of the tile beyond NEAR_BYTES."""

NEAR_BYTES: Final = 64 * 1024

TILE_NS: Final = 200
"""Of a tile, however small."""

MOST_TILES: Final = 16
"""In a batch: as often is a filter's spectrum used that has been loaded once."""

PRODUCT_NS: Final = 0.05
"""Of a point, for each channel and filter."""

LOAD_NS: Final = 0.15
"""Of a byte of the filters' spectra beyond FAR_BYTES, for each batch of tiles: it comes from memory."""

FAR_BYTES: Final = 16 * MiB


def folded_grid(spec: ConvSpec, resources: Resources) -> TileGrid:
    """Overlap-save's tiles [2L,N] that cost least; those that keep the workspace within the tile limit come first."""
    enough = wrapping_extents(spec)
    rows = [2 * half for half in lengths(-(-spec.filter_extent[0] // 2), -(-enough[0] // 2))]
    cols = list(lengths(spec.filter_extent[1], enough[1]))
    grids = (whole_axes(spec, saving_grid(spec, (M, N)), enough) for M in rows for N in cols)
    return min(grids, key=lambda grid: cost(spec, resources, grid))


def wrapping_extents(spec: ConvSpec) -> Pair:
    """The extents that hold all that the outputs see: zeros before the image may be those after it, wrapped around."""
    extents = []
    for axis, needed in enumerate(needed_extent(spec)):
        inside = np.flatnonzero(index_maps(spec)[axis][:needed] != OUTSIDE)
        first, last = (inside[0], inside[-1]) if len(inside) else (needed, -1)
        extents.append(max(last + 1, needed - first, spec.filter_extent[axis]))
    return extents[0], extents[1]


def whole_axes(spec: ConvSpec, grid: TileGrid, enough: Pair) -> TileGrid:
    """The grid with a single tile along axes where one of its extent is `enough` for all outputs."""
    counts, keep = list(grid.counts), list(grid.keep)
    for axis, (outputs, stride) in enumerate(zip((spec.p, spec.q), spec.stride, strict=True)):
        if grid.extent[axis] >= enough[axis]:
            counts[axis], keep[axis] = 1, (outputs - 1) * stride + 1
    return replace(grid, counts=(counts[0], counts[1]), keep=(keep[0], keep[1]))


def cost(spec: ConvSpec, resources: Resources, grid: TileGrid) -> tuple[float, float]:
    """(bytes beyond the tile limit, nanoseconds).

    Small tiles waste their overlap, large ones the cache, and both what sticks out of the image. Tiles are counted, and
    whole ones shared out to threads where there are no sums over channels.
    """
    folded = grid.extent[0] // 2, grid.extent[1]
    points = math.prod(folded)
    tile = tile_bytes(folded, spec.itemsize)
    columns, rows = axis_radices(folded, spec.itemsize)
    passes = len(columns) + len(rows) + rows.count(16)
    point_ns = POINT_NS + PASS_NS * passes + DOUBLING_NS * max(math.log2(tile / NEAR_BYTES), 0)
    through_ns = TILE_NS + points * point_ns * spec.itemsize / 4
    filters = spec.k * (spec.c // spec.groups)
    tiles = spec.n * grid.counts[0] * grid.counts[1]
    if is_depthwise(spec):
        space, total_ns = resources.threads, -(-tiles * spec.c // resources.threads) * through_ns
    else:
        space = spec.c + spec.k
        loads_ns = max(filters * tile - FAR_BYTES, 0) * LOAD_NS * -(-tiles // MOST_TILES)
        total_ns = space * tiles * through_ns / 2 + filters * tiles * points * PRODUCT_NS + loads_ns
    return max((filters + space) * tile - resources.tile_limit_bytes, 0), total_ns


def lengths(least: int, whole: int) -> Iterator[int]:
    """16·2ᵃ·3ᵇ·5ᶜ in order, from `least` on, up to the first that holds the `whole`."""
    length = 16
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1 and length >= least:
            yield length
            if length >= whole:
                return
        length += 16
