"""The whole image in one FFT: the textbook's fast convolution."""

from __future__ import annotations

from typing import final

from convbench.algorithm import ConvPlan, ErrorModel, Resources, Unsupported
from convbench.spec import ConvSpec
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.fft_error import fft_error
from convbench_algorithms.fft_tiles import needed_extent, saving_grid, whole_extent
from convbench_algorithms.tiled_fft import TiledFftPlan, unsupported_by_fft


@final
class Fft(ForwardAlgorithm):
    """y = F⁻¹(Σ_c F(x_c) · conj F(w_c)), by real transforms of the padded image, one for each channel.

    Each input channel is transformed once, sums over channels are made in the frequency domain, and each
    output channel takes one inverse transform. Transforms as long as the padded image suffice: what wraps
    around falls on positions that are not outputs. All positions are computed; a stride keeps every u-th
    and v-th, so it saves no work. Images of a batch follow one another through the same workspace. The transforms
    are FFTW's.
    """

    name = "fft"
    tags = frozenset({"cpu", "fft"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """See `ForwardAlgorithm`."""
        return unsupported_by_fft(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ForwardAlgorithm`."""
        rows, cols = needed_extent(spec)
        return fft_error(spec, whole_extent(rows) * whole_extent(cols))

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ForwardAlgorithm`."""
        rows, cols = needed_extent(spec)
        return TiledFftPlan(spec, resources, saving_grid(spec, (whole_extent(rows), whole_extent(cols))))
