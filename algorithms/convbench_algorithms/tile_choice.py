"""The tiles that cost least, for FFTs in a core's cache."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from convbench.algorithm import MiB, Resources
from convbench.spec import ConvSpec
from convbench_algorithms.fft_tiles import TileGrid, is_depthwise, needed_extent, saving_grid
from convbench_algorithms.planar_fft import LINE_BYTES, pitch

CACHE_BYTES: Final = 1 * MiB
"""The second-level cache of a core, which a tile and a filter's spectrum share."""


def lengths(least: int, whole: int) -> Iterator[int]:
    """16·2ᵃ·{1,3,5} from `least` on, up to one that holds the `whole`."""
    shortest = min(_powers(whole))
    yield from sorted(
        {length for odd in (1, 3, 5) for length in _below(16 * odd, shortest) if length >= least} | {shortest}
    )


def _below(first: int, end: int) -> Iterator[int]:
    while first < end:
        yield first
        first *= 2


def _powers(least: int) -> Iterator[int]:
    for odd in (1, 3, 5):
        length = 16 * odd
        while length < least:
            length *= 2
        yield length


def pair_grid(spec: ConvSpec, resources: Resources) -> TileGrid:
    """Overlap-save's tiles [M,N] that cost least, in nanoseconds of one core; see `cost`."""
    wholes = needed_extent(spec)
    rows, cols = (list(lengths(spec.filter_extent[axis], wholes[axis])) for axis in (0, 1))
    return min((saving_grid(spec, (M, N)) for M in rows for N in cols), key=lambda grid: cost(spec, resources, grid))


def cost(spec: ConvSpec, resources: Resources, grid: TileGrid) -> tuple[float, float]:
    """(bytes beyond the tile limit, nanoseconds)."""
    M, N = grid.extent
    points = M * N
    tile = 2 * M * pitch(N, spec.itemsize) * spec.itemsize + LINE_BYTES
    filters = spec.k * (spec.c // spec.groups) * tile
    pairs = -(-spec.n * grid.counts[0] * grid.counts[1] // 2)
    point_ns = 0.6 + 0.05 * math.log2(points) + 0.9 * min(max(math.log2(2.5 * tile / CACHE_BYTES), 0), 1.5)
    if is_depthwise(spec):
        turns = -(-pairs * spec.c // resources.threads)
        return max(filters + resources.threads * tile - resources.tile_limit_bytes, 0), turns * points * point_ns
    channels = spec.c + spec.k
    transforms = pairs * channels * points * point_ns / 2
    products = pairs * spec.k * (spec.c // spec.groups) * points * 0.05
    loads = filters * 0.05 * -(-pairs // 16)
    return max(filters + channels * tile - resources.tile_limit_bytes, 0), transforms + products + loads
