"""Which tiles cost least, for FFTs in a core's cache."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from convbench.algorithm import MiB, Resources
from convbench.spec import ConvSpec
from convbench_algorithms.fft_tiles import TileGrid, is_depthwise, needed_extent, saving_grid
from convbench_algorithms.planar_fft import tile_bytes

# Measured on a Zen 5 core, float32, for tiles of 32² to 640². Only ratios matter to the choice.
POINT_NS: Final = 1.6
"""Of a complex point, gathered, transformed, multiplied, transformed back, and scattered, in the first-level cache."""

SPILL_NS: Final = 0.4
"""More for each of the first two doublings of the tile beyond SPILL_BYTES: passes then stream from the second level."""

SPILL_BYTES: Final = 128 * 1024
HUGE_BYTES: Final = 1 * MiB
"""Each doubling of the tile beyond this, the second level, costs SPILL_NS too."""

LONG_COLUMNS: Final = 448
"""More points than the first-level cache holds of as many columns as a vector has lanes: SPILL_NS again."""

TILE_NS: Final = 500
"""Of a pair, however small."""

MOST_PAIRS: Final = 16
"""In a batch: as often is a filter's spectrum used that has been loaded once."""

PRODUCT_NS: Final = 0.05
"""Of a point, for each channel and filter."""

LOAD_NS: Final = 0.15
"""Of a byte of the filters' spectra beyond FAR_BYTES, for each batch of pairs: it comes from memory."""

FAR_BYTES: Final = 16 * MiB


def pair_grid(spec: ConvSpec, resources: Resources) -> TileGrid:
    """Overlap-save's tiles that cost least; those that keep the workspace within the tile limit come first."""
    wholes = needed_extent(spec)
    rows, cols = (list(lengths(spec.filter_extent[axis], wholes[axis])) for axis in (0, 1))
    return min((saving_grid(spec, (M, N)) for M in rows for N in cols), key=lambda grid: cost(spec, resources, grid))


def cost(spec: ConvSpec, resources: Resources, grid: TileGrid) -> tuple[float, float]:
    """(bytes beyond the tile limit, nanoseconds).

    Small tiles waste their overlap, large ones the cache, and both what sticks out of the image. Pairs are counted, and
    whole ones shared out to threads where there are no sums over channels.
    """
    M, N = grid.extent
    tile = tile_bytes(grid.extent, spec.itemsize)
    doublings = min(max(math.log2(tile / SPILL_BYTES), 0), 2) + (M * spec.itemsize > LONG_COLUMNS * 4)
    doublings += max(math.log2(tile / HUGE_BYTES), 0)
    through_ns = TILE_NS + M * N * (POINT_NS + SPILL_NS * doublings) * spec.itemsize / 4
    filters = spec.k * (spec.c // spec.groups)
    pairs = -(-spec.n * grid.counts[0] * grid.counts[1] // 2)
    if is_depthwise(spec):
        tiles, total_ns = resources.threads, -(-pairs * spec.c // resources.threads) * through_ns
    else:
        tiles = spec.c + spec.k
        loads_ns = max(filters * tile - FAR_BYTES, 0) * LOAD_NS * -(-pairs // MOST_PAIRS)
        total_ns = tiles * pairs * through_ns / 2 + filters * pairs * M * N * PRODUCT_NS + loads_ns
    return max((filters + tiles) * tile - resources.tile_limit_bytes, 0), total_ns


def lengths(least: int, whole: int) -> Iterator[int]:
    """16·2ᵃ·{1,3,5} in order, from `least` on, up to the first that holds the `whole`."""
    power = 16
    while True:
        for quarters in (4, 5, 6):
            length = power * quarters // 4
            if length % 16 == 0 and length >= least:
                yield length
                if length >= whole:
                    return
        power *= 2
