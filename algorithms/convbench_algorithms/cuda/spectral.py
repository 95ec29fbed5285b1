"""Convolution in the frequency domain: tiles of x are cut, transformed, multiplied, transformed back, and cropped.

One tile may be the whole image (`fft`), or there are many (`fft_overlap_save`). Tiles go through in batches of bounded
workspace: what a batch holds should stay in the card's second-level cache from one step to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy import int32

from convbench.algorithm import Array, ConvPlan, PreparedConv, Resources, Unsupported
from convbench.boundary import OUTSIDE
from convbench.spec import ConvSpec, Pair
from convbench_algorithms.backward import unsupported_direction
from convbench_algorithms.cuda.device import (
    TYPES,
    CudaAlgorithm,
    Device,
    DeviceArray,
    Function,
    Kernel,
    Triple,
    current,
    unsupported_by_card,
)
from convbench_algorithms.cuda.geometry import MOST_PLANES, Geometry, correlation_filter

MOST_THREADS: Final = 256
WARP: Final = 32
FREQUENCIES: Final = 128
"""Of a block in `multiply`."""

LONG: Final = 512
"""Of a transform, from which on it has to be a multiple of 32."""

LONGEST: Final = 2**15
"""Of a transform along an axis: positions in a tile are counted in 32 bits."""


class SpectralAlgorithm(CudaAlgorithm):
    """What all that go through FFTs support."""

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if unsupported := unsupported_direction(spec):
            return unsupported
        if max(spec.k, spec.c) > MOST_PLANES:
            return Unsupported(f"needs at most {MOST_PLANES:,} channels")
        if max(spec.p * spec.stride[0], spec.q * spec.stride[1], spec.h, spec.w) > LONGEST:
            return Unsupported(f"needs an image of at most {LONGEST:,} pixels along each axis")
        return unsupported_by_card(spec.dtype)


@dataclass(frozen=True)
class Tiling:
    """Tiles of `extent` [M,N], of whose outputs the first `fit` are right: as many as no wrap-around reaches."""

    extent: Pair
    fit: Pair
    counts: Pair

    @classmethod
    def of(cls, geometry: Geometry, extent: Pair) -> Tiling:
        """The one that covers y [P,Q]."""
        g = geometry
        rows = min((extent[0] - g.dilation[0] * (g.r - 1) - 1) // g.stride[0] + 1, g.p)
        cols = min((extent[1] - g.dilation[1] * (g.s - 1) - 1) // g.stride[1] + 1, g.q)
        return cls(extent, (rows, cols), (-(-g.p // rows), -(-g.q // cols)))

    @property
    def tiles(self) -> int:
        """Of an image."""
        return self.counts[0] * self.counts[1]

    @property
    def frequencies(self) -> int:
        """Of a tile: its transform is symmetric."""
        return self.extent[0] * (self.extent[1] // 2 + 1)

    def nbytes(self, real_bytes: int) -> int:
        """Of a plane of one tile and its spectrum."""
        return (self.extent[0] * self.extent[1] + 2 * self.frequencies) * real_bytes


def row_block(extent: int) -> Triple:
    """Threads for a row of tiles, or for a part of one, none of which is much shorter than the others."""
    parts = -(-extent // MOST_THREADS)
    return -(-extent // parts // WARP) * WARP, 1, 1


def needed_extent(geometry: Geometry) -> Pair:
    """What y sees of the padded image, along each axis."""
    g = geometry
    rows = (g.p - 1) * g.stride[0] + g.dilation[0] * (g.r - 1) + 1
    return rows, (g.q - 1) * g.stride[1] + g.dilation[1] * (g.s - 1) + 1


def smooth_lengths(least: int) -> Iterator[int]:
    """Even numbers 2ᵃ·3ᵇ·5ᶜ·7ᵈ from `least` on, which cuFFT has kernels for; long ones are multiples of 32.

    On an H200 4200² (2³·3·5²·7) took 744 µs and 4320² (2⁵·3³·5) 701; of 11, 4224² took 674, but of 13, 4160² 797.
    """
    step = 2 if least < LONG else 32
    length = -(-least // step) * step
    while True:
        rest = length
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            yield length
        length += step


def spread_map(taps: int, dilation: int) -> Array:
    """Positions of a dilated filter's taps, and `OUTSIDE` between them."""
    found = np.full((taps - 1) * dilation + 1, OUTSIDE, np.int32)
    found[::dilation] = np.arange(taps)
    return found


def padded_filters(device: Device, cut: Function, geometry: Geometry, w: Array, extent: Pair) -> DeviceArray:
    """Each filter dilated, at the beginning of a tile: w [K,C/G,R,S] as [K·C/G,M,N], by the kernel `tiles`."""
    g, (M, N), block = geometry, extent, row_block(extent[1])
    maps = [spread_map(taps, d) for taps, d in zip((g.r, g.s), g.dilation, strict=True)]
    filters, rows, cols = (device.upload(array) for array in (w, *maps))
    padded = device.empty((g.k * g.channels, M, N), g.computed)
    sizes = (*map(len, maps), g.r, g.s, g.channels, M, N, 1, 1, 0, 0)
    for first in range(0, g.k, MOST_PLANES):
        grid: Triple = (M * -(-N // block[0]), g.channels, min(MOST_PLANES, g.k - first))
        cut(grid, block, (filters, padded, rows, cols, *map(int32, sizes), int32(first)))
    return padded


@final
class SpectralPlan(ConvPlan):
    """Tiles of one extent, `batch` of them at a time."""

    def __init__(self, spec: ConvSpec, resources: Resources, tiling: Tiling, batch: int) -> None:
        self.spec = spec
        self.geometry = g = Geometry.of(spec)
        self.tiling = tiling
        self.total = g.n * tiling.tiles
        self.batch = min(batch, self.total, MOST_PLANES)
        self.device = device = current()
        M, N = tiling.extent
        shape = (M, N // 2 + 1)
        planes = self.batch * (g.c + g.k)
        kept = g.k * g.channels * 2 * tiling.frequencies * g.computed_bytes
        passing = g.k * g.channels * M * N * g.computed_bytes  # the padded filters, while they are prepared
        self.workspace_bytes = resources.reserve(
            planes * tiling.nbytes(g.computed_bytes) + kept + passing + g.map_bytes
        )

        def spectra(planes: int) -> DeviceArray:
            return device.empty((planes, *shape), "complex128" if g.computed == "float64" else "complex64")

        self.kept_spectra = spectra
        self.x_tiles, self.x_spectra = device.empty((self.batch * g.c, M, N), g.computed), spectra(self.batch * g.c)
        self.y_tiles, self.y_spectra = device.empty((self.batch * g.k, M, N), g.computed), spectra(self.batch * g.k)
        self.x_fft = device.real_fft(self.batch * g.c, tiling.extent, g.computed)
        self.y_fft = device.real_fft(self.batch * g.k, tiling.extent, g.computed)
        self.workspace_bytes = resources.reserve(
            self.workspace_bytes + self.x_fft.workspace_bytes + self.y_fft.workspace_bytes
        )
        self.rows, self.cols = device.upload(g.rows), device.upload(g.cols)
        types = TYPES[g.dtype]
        self.filters = next(f for f in (4, 2, 1) if g.filters % f == 0)
        self.cut = device.compile(Kernel.of("gather.cu", "tiles", **types))
        self.multiply = device.compile(Kernel.of("spectral.cu", "multiply", **types, FILTERS=self.filters))
        self.crop = device.compile(Kernel.of("spectral.cu", "crop", **types, FILTERS=self.filters))

    def prepare(self, w: Array) -> PreparedConv:
        """See `ConvPlan`."""
        g, device = self.geometry, self.device
        M, N = self.tiling.extent
        spectra = self.kept_spectra(g.k * g.channels)
        padded = padded_filters(device, self.cut, g, correlation_filter(self.spec, w), (M, N))
        device.real_fft(g.k * g.channels, (M, N), g.computed).forward(padded, spectra)
        return _Spectral(self, spectra)


@final
class _Spectral(PreparedConv):
    def __init__(self, plan: SpectralPlan, spectra: DeviceArray) -> None:
        self.plan = plan
        self.spectra = spectra

    def execute(self, x: DeviceArray, y: DeviceArray) -> None:
        plan, g, tiling = self.plan, self.plan.geometry, self.plan.tiling
        (M, N), (down, across), fit = tiling.extent, tiling.counts, tiling.fit
        step = fit[0] * g.stride[0], fit[1] * g.stride[1]
        cut_block, crop_block = row_block(N), row_block(fit[1])
        cut = (len(g.rows), len(g.cols), g.h, g.w, g.c, M, N, down, across, *step)
        product = (tiling.frequencies, g.c, g.k, g.channels, g.filters)
        crop = (g.k, g.p, g.q, M, N, *g.stride, down, across, *fit)
        scale = np.dtype(g.computed).type(1 / (M * N))
        for begin in range(0, plan.total, plan.batch):
            first = int32(min(begin, plan.total - plan.batch))  # the last batch does some tiles again
            plan.cut(
                (M * -(-N // cut_block[0]), g.c, plan.batch),
                cut_block,
                (x, plan.x_tiles, plan.rows, plan.cols, *map(int32, cut), first),
            )
            plan.x_fft.forward(plan.x_tiles, plan.x_spectra)
            plan.multiply(
                (-(-tiling.frequencies // FREQUENCIES), g.k // plan.filters, plan.batch),
                (FREQUENCIES, 1, 1),
                (plan.x_spectra, self.spectra, plan.y_spectra, *map(int32, product)),
            )
            plan.y_fft.inverse(plan.y_spectra, plan.y_tiles)
            plan.crop(
                (fit[0] * -(-fit[1] // crop_block[0]), g.k, plan.batch),
                crop_block,
                (plan.y_tiles, y, scale, *map(int32, crop), first),
            )
