"""Tile by tile with `dask.array.map_overlap`: what images larger than memory go through, from array to array."""

from __future__ import annotations

from typing import Final, final

from convbench.algorithm import Array, ConvAlgorithm, ConvPlan, ErrorModel, PreparedConv, Resources, Unsupported
from convbench.spec import ConvSpec
from convbench.tiles import Convolvers, TilesPlan, Tiling, at_once, overlapping, store, tile_extent, windows_of
from convbench.window import ArrayPixels
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.direct import Direct
from convbench_algorithms.fft_overlap_save import FftOverlapSave
from convbench_algorithms.peers.library import missing

DIRECT_TAPS: Final = 81
"""Up to 9 × 9, tiles are convolved directly; beyond, by FFTs."""


def tile_algorithm(spec: ConvSpec) -> ConvAlgorithm:
    """Who convolves each tile."""
    return Direct() if spec.r * spec.s <= DIRECT_TAPS else FftOverlapSave()


@final
class DaskOverlap(ForwardAlgorithm):
    """Each thread takes tiles of its own, which `direct` or `fft_overlap_save` convolves on one core.

    `convbench.convolve_large` does the same with any algorithm, from file to file. Tiles keep within the tile limit of
    the resources, three to a thread: x, y and what the algorithm needs.
    """

    name = "dask_overlap"
    tags = frozenset({"cpu", "tiled", "allocates"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """See `ForwardAlgorithm`."""
        return missing("dask", "dask", extra="large") or tile_algorithm(spec).supports(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ForwardAlgorithm`."""
        return tile_algorithm(spec).error_model(spec)

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ForwardAlgorithm`."""
        return _TilesPlan(spec, resources)


@final
class _TilesPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.tiling = Tiling.of(spec, tile_extent(spec, resources.tile_limit_bytes // resources.threads))
        self.threads = min(at_once(resources.threads), self.tiling.count)
        self.tiles = TilesPlan(tile_algorithm(spec), self.tiling, resources, threads=self.threads, tiles=self.threads)
        self.workspace_bytes = self.tiles.workspace_bytes

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        convolvers = self.tiles.prepare(w)
        if isinstance(convolvers, Unsupported):
            return convolvers
        return _TilesConv(self.tiling, convolvers, self.threads)


@final
class _TilesConv(PreparedConv):
    """dask wants a graph for each pair of arrays: some milliseconds, and a tenth of one for each tile."""

    def __init__(self, tiling: Tiling, convolvers: Convolvers, threads: int) -> None:
        self.tiling = tiling
        self.convolvers = convolvers
        self.operations = convolvers.operations
        self.threads = threads

    def execute(self, x: Array, y: Array) -> None:
        windows = windows_of(ArrayPixels(x), self.tiling)
        store(overlapping(windows, self.tiling, self.convolvers), y, self.threads)
