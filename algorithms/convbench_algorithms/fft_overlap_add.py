"""Overlap-add: FFTs of disjoint tiles, whose outputs overlap by the filter's extent and are added up."""

from __future__ import annotations

from typing import final

from convbench.algorithm import ConvPlan, ErrorModel, Resources, Unsupported
from convbench.spec import ConvSpec
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.fft_error import fft_error
from convbench_algorithms.fft_tiles import adding_grid, cheapest_grid, needed_extent, whole_extent
from convbench_algorithms.tiled_fft import TiledFftPlan, unsupported_by_fft


@final
class FftOverlapAdd(ForwardAlgorithm):
    """Tiles of [M−R+1,N−S+1] inputs, with zeros up to [M,N], give [M,N] outputs each, added into y.

    Stockham, "High-speed convolution and correlation" (AFIPS 1966). The workspace depends on the tile,
    not on the image. All positions are computed; a stride keeps every u-th and v-th. The transforms are FFTW's.
    """

    name = "fft_overlap_add"
    tags = frozenset({"cpu", "fft", "tiled"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """See `ForwardAlgorithm`."""
        return unsupported_by_fft(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ForwardAlgorithm`; for the largest tile that there is, the whole image with its outputs."""
        rows, cols = _with_outputs(spec)
        return fft_error(spec, whole_extent(rows) * whole_extent(cols))

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ForwardAlgorithm`."""
        return TiledFftPlan(spec, resources, cheapest_grid(spec, resources, _with_outputs(spec), adding_grid))


def _with_outputs(spec: ConvSpec) -> tuple[int, int]:
    rows, cols = needed_extent(spec)
    return rows + spec.filter_extent[0] - 1, cols + spec.filter_extent[1] - 1
