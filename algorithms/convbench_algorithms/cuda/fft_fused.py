"""FFTs of tiles inside shared memory: transform, product and inverse in one kernel, for filters of one channel.

Tiles that overlap are Stockham's overlap-save (1966); that a multiprocessor's own memory may hold a tile all the while
is what Vasilache et al. do for layers ("Fast convolutional nets with fbfft", 2014).
"""

from __future__ import annotations

from typing import Final, final

import numpy as np
from numpy import int32

from convbench.algorithm import Array, ConvPlan, ErrorModel, PreparedConv, Resources, Unsupported
from convbench.spec import ConvSpec, Pair
from convbench_algorithms.backward import unsupported_direction
from convbench_algorithms.cuda.device import (
    TYPES,
    CudaAlgorithm,
    DeviceArray,
    Kernel,
    Triple,
    current,
    unsupported_by_card,
)
from convbench_algorithms.cuda.geometry import MOST_PLANES, Geometry, correlation_filter
from convbench_algorithms.cuda.spectral import LONGEST, Tiling, needed_extent, padded_filters
from convbench_algorithms.fft_error import fft_error

FACTORS: Final[dict[int, Pair]] = {32: (8, 4), 64: (8, 8), 128: (16, 8)}
"""Of a tile's extent: the points of a thread in the two passes over a line."""

COSTS: Final = {32: 1.0, 64: 4.1, 128: 22.0}
"""Of a tile, as measured on an H200 (5.2, 21.5 and 115 ns)."""


@final
class CudaFftFused(CudaAlgorithm):
    """Tiles of 32, 64 or 128 points along each axis, whichever a model finds cheapest."""

    name = "cuda_fft_fused"
    tags = frozenset({"cuda", "fft"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if unsupported := unsupported_direction(spec) or unsupported_by_card(spec.dtype):
            return unsupported
        geometry = Geometry.of(spec)
        if geometry.channels > 1:
            return Unsupported(f"needs filters of one channel, not of {geometry.channels}: it does not sum spectra")
        if not extents(geometry):
            largest = max(_held(geometry)) // 2
            return Unsupported(f"needs a filter of at most {largest}×{largest}: half of a tile in shared memory")
        if geometry.k > MOST_PLANES:
            return Unsupported(f"needs at most {MOST_PLANES:,} channels")
        if max(needed_extent(geometry)) > LONGEST:
            return Unsupported(f"needs an image of at most {LONGEST:,} pixels along each axis")
        return None

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return fft_error(spec, max(FACTORS) ** 2)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _FusedPlan(spec, resources)


def shared_bytes(extent: int, geometry: Geometry) -> int:
    """Of a tile, whose rows lie one point more apart."""
    return extent * (extent + 1) * 2 * geometry.computed_bytes


def extents(geometry: Geometry) -> list[int]:
    """Of tiles that fit into a block's shared memory, and of whose points at least half along each axis are outputs."""
    seen = max((geometry.r - 1) * geometry.dilation[0], (geometry.s - 1) * geometry.dilation[1]) + 1
    return [extent for extent in _held(geometry) if 2 * seen <= extent]


def cheapest_extent(geometry: Geometry) -> int:
    """Of the tiles that y takes, all together; the smaller one where two cost the same."""
    return min(extents(geometry), key=lambda n: (COSTS[n] * Tiling.of(geometry, (n, n)).tiles, n))


def _held(geometry: Geometry) -> list[int]:
    return [extent for extent in FACTORS if shared_bytes(extent, geometry) <= current().most_shared_bytes]


@final
class _FusedPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.geometry = g = Geometry.of(spec)
        self.device = current()
        self.extent = n = cheapest_extent(g)
        self.tiling = Tiling.of(g, (n, n))
        kept = g.k * n * n * 2 * g.computed_bytes
        passing = g.k * n * n * g.computed_bytes  # the padded filters, while they are prepared
        self.workspace_bytes = resources.reserve(kept + passing + g.map_bytes)
        self.rows, self.cols = self.device.upload(g.rows), self.device.upload(g.cols)
        self.shared_bytes = shared_bytes(n, g)
        first, second = FACTORS[n]
        macros = {**TYPES[g.dtype], "FIRST": first, "SECOND": second}
        self.roots = np.exp(-2j * np.pi * np.arange(n) / n).astype(np.result_type(g.computed, "complex64"))
        self.cut = self.device.compile(Kernel.of("gather.cu", "tiles", **TYPES[g.dtype]))
        self.transform, self.convolve = (
            self.device.compile(Kernel.of("fft_fused.cu", entry, **macros), {"roots": self.roots})
            for entry in ("filter_spectrum", "convolve")
        )

    def prepare(self, w: Array) -> PreparedConv:
        """See `ConvPlan`."""
        g, n, device = self.geometry, self.extent, self.device
        padded = padded_filters(device, self.cut, g, correlation_filter(self.spec, w), (n, n))
        spectra = device.empty((g.k, n * n), str(self.roots.dtype))
        scale = np.dtype(g.computed).type(1 / n**2)
        self.transform((g.k, 1, 1), (4 * n, 1, 1), (padded, spectra, scale), self.shared_bytes)
        return _Fused(self, spectra)


@final
class _Fused(PreparedConv):
    def __init__(self, plan: _FusedPlan, spectra: DeviceArray) -> None:
        g, tiling = plan.geometry, plan.tiling
        tiles = g.n * tiling.tiles
        steps = tiling.fit[0] * g.stride[0], tiling.fit[1] * g.stride[1]
        sizes = (g.c, g.h, g.w, g.k, g.p, g.q, g.filters, *g.stride, *tiling.counts, *steps, *tiling.fit, tiles)
        self.plan = plan
        self.grid: Triple = (-(-tiles // 2), g.k, 1)
        self.arguments = (spectra, plan.rows, plan.cols, *map(int32, (*needed_extent(g), *sizes)))

    def execute(self, x: DeviceArray, y: DeviceArray) -> None:
        plan = self.plan
        plan.convolve(self.grid, (4 * plan.extent, 1, 1), (x, y, *self.arguments), plan.shared_bytes)
