"""The whole image in one FFT of cuFFT's, with padding, product and crop in kernels of their own."""

from __future__ import annotations

from typing import final

from convbench.algorithm import ConvPlan, ErrorModel, Resources
from convbench.spec import ConvSpec, Pair
from convbench_algorithms.cuda.geometry import Geometry
from convbench_algorithms.cuda.spectral import (
    SpectralAlgorithm,
    SpectralPlan,
    Tiling,
    needed_extent,
    smooth_lengths,
)
from convbench_algorithms.fft_error import fft_error


@final
class CudaFft(SpectralAlgorithm):
    """y = F⁻¹(Σ_c F(x_c) · conj F(w_c)); images of a batch go through together as far as the tile limit allows."""

    name = "cuda_fft"
    tags = frozenset({"cuda", "fft"})

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        rows, cols = whole_extent(Geometry.of(spec))
        return fft_error(spec, rows * cols)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        geometry = Geometry.of(spec)
        tiling = Tiling.of(geometry, whole_extent(geometry))
        image_bytes = (geometry.c + geometry.k) * tiling.nbytes(geometry.computed_bytes)
        return SpectralPlan(spec, resources, tiling, max(resources.tile_limit_bytes // image_bytes, 1))


def whole_extent(geometry: Geometry) -> Pair:
    """The extent of the transforms: what wraps around falls on positions that are no outputs."""
    rows, cols = (next(smooth_lengths(needed)) for needed in needed_extent(geometry))
    return rows, cols
