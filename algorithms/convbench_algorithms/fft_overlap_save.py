"""Overlap-save: FFTs of overlapping tiles, of which each keeps the outputs that wrap-around does not reach."""

from __future__ import annotations

from typing import final

from convbench.algorithm import ConvPlan, ErrorModel, Resources, Unsupported
from convbench.spec import ConvSpec
from convbench_algorithms.backward import TrainingAlgorithm
from convbench_algorithms.fft_error import fft_error, fft_weights_error
from convbench_algorithms.fft_tiles import needed_extent, whole_extent
from convbench_algorithms.folded_tiles import FoldedTilesPlan
from convbench_algorithms.folded_weights import FoldedWeightsPlan
from convbench_algorithms.tile_choice import folded_grid
from convbench_algorithms.tiled_fft import unsupported_by_fft


@final
class FftOverlapSave(TrainingAlgorithm):
    """Tiles of [M,N] inputs give [M−R+1,N−S+1] outputs each, written straight into y.

    Stockham, "High-speed convolution and correlation" (AFIPS 1966). The FFT is our own (`planar_fft`), of tiles
    folded into half as many complex numbers (`tile_folds`), in a core's cache. The workspace depends on the tile, not
    on the image. All positions are computed; a stride keeps every u-th and v-th. The gradient for the weights sums the
    products of all tiles' spectra before one transform back (`folded_weights`).
    """

    name = "fft_overlap_save"
    tags = frozenset({"cpu", "fft", "tiled"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """See `ForwardAlgorithm`."""
        return unsupported_by_fft(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ForwardAlgorithm`; for the largest tile that there is, the whole image."""
        rows, cols = needed_extent(spec)
        return fft_error(spec, whole_extent(rows) * whole_extent(cols))

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ForwardAlgorithm`."""
        return FoldedTilesPlan(spec, resources, folded_grid(spec, resources))

    def weights_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `TrainingAlgorithm`."""
        rows, cols = needed_extent(spec)
        return fft_weights_error(spec, whole_extent(rows) * whole_extent(cols))

    def plan_weights(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `TrainingAlgorithm`."""
        return FoldedWeightsPlan(spec, resources)
