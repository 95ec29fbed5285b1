"""Tiles that overlap by the filter's extent less one, through cuFFT in batches that stay in the second-level cache."""

from __future__ import annotations

from itertools import product, takewhile
from typing import Final, final

from convbench.algorithm import ConvPlan, ErrorModel, MiB, Resources
from convbench.spec import ConvSpec
from convbench_algorithms.cuda.fft import whole_extent
from convbench_algorithms.cuda.geometry import Geometry
from convbench_algorithms.cuda.spectral import (
    SpectralAlgorithm,
    SpectralPlan,
    Tiling,
    needed_extent,
    smooth_lengths,
)
from convbench_algorithms.fft_error import fft_error

# The H100's data sheet and measurements of it; only ratios matter to the choice.
CACHE_BYTES: Final = 32 * MiB
"""Of the second-level cache, for a batch: it has 50 MiB."""
NEAR_BYTES_S: Final = 5.5e12
FAR_BYTES_S: Final = 3e12
LAUNCH_S: Final = 4e-6
PASSES: Final = 5
"""Through the memory that each point of a tile takes: cut, two axes of a transform, product, two axes back, crop."""
STEPS: Final = 5
"""Launches for a batch."""


@final
class CudaFftOverlapSave(SpectralAlgorithm):
    """Overlap-save with the tiles that a model of the card's memory finds cheapest."""

    name = "cuda_fft_overlap_save"
    tags = frozenset({"cuda", "fft"})

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        rows, cols = whole_extent(Geometry.of(spec))  # no tile is larger
        return fft_error(spec, rows * cols)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        geometry = Geometry.of(spec)
        tiling = cheapest_tiling(geometry, resources.tile_limit_bytes)
        return SpectralPlan(spec, resources, tiling, batch_of(geometry, tiling, resources.tile_limit_bytes))


def cheapest_tiling(geometry: Geometry, limit_bytes: int) -> Tiling:
    """Of all smooth extents; those whose workspace keeps the limit come first."""
    least = tuple(d * (taps - 1) + 1 for taps, d in zip((geometry.r, geometry.s), geometry.dilation, strict=True))
    heights, widths = (_candidates(*ends) for ends in zip(least, needed_extent(geometry), strict=True))
    return min(
        (Tiling.of(geometry, extent) for extent in product(heights, widths)),
        key=lambda t: cost(geometry, t, limit_bytes),
    )


def cost(geometry: Geometry, tiling: Tiling, limit_bytes: int) -> tuple[int, float]:
    """(bytes of workspace beyond the limit, seconds)."""
    g = geometry
    tile_bytes = (g.c + g.k) * tiling.nbytes(g.computed_bytes)
    filter_bytes = g.k * g.channels * 2 * tiling.frequencies * g.computed_bytes
    batch = batch_of(g, tiling, limit_bytes)
    tiles = g.n * tiling.tiles
    batches = -(-tiles // batch)
    near = batch * tile_bytes + filter_bytes <= CACHE_BYTES
    moved = PASSES * batches * batch * tile_bytes + batches * filter_bytes
    seconds = moved / (NEAR_BYTES_S if near else FAR_BYTES_S) + batches * STEPS * LAUNCH_S
    return max(batch * tile_bytes + filter_bytes - limit_bytes, 0), seconds


def batch_of(geometry: Geometry, tiling: Tiling, limit_bytes: int) -> int:
    """As many tiles as the cache and the limit hold, in batches of about the same size."""
    tile_bytes = (geometry.c + geometry.k) * tiling.nbytes(geometry.computed_bytes)
    most = max(min(CACHE_BYTES, limit_bytes) // tile_bytes, 1)
    tiles = geometry.n * tiling.tiles
    return -(-tiles // -(-tiles // most))


def _candidates(least: int, needed: int) -> list[int]:
    """Powers of two and three times such from twice the filter on, up to the first that takes the whole axis."""
    whole = next(smooth_lengths(needed))
    lengths = (base << power for power in range(3, 16) for base in (2, 3))
    return [*takewhile(lambda length: length < whole, (n for n in sorted(lengths) if n >= 2 * least)), whole]
