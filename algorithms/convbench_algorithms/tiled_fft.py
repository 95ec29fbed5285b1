"""Convolution by FFTs of tiles: the engine of whole-image FFT, overlap-save and overlap-add.

    gather a batch of tiles → FFT → sums over channels → inverse FFT → scatter into y

A crew of workers, one a thread, each with its own buffers and FFTW plans, takes the tiles batch by batch: a
batch stays in its core's cache from beginning to end, and no two threads meet before all tiles are done.
Where there are fewer tiles than threads, one worker takes them all and each step has all the threads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, final

import numpy as np

from convbench.algorithm import Array, ConvPlan, PreparedConv, Resources, Unsupported, unsupported_dtype
from convbench.spec import ConvSpec
from convbench.staged import StagedConv, Stages, Stopwatch
from convbench_algorithms.fft_tiles import (
    CACHE_BYTES,
    MOST_TILES,
    TileGrid,
    TileOrigins,
    filter_bytes,
    is_depthwise,
    tile_bytes,
)
from convbench_algorithms.fftw import aligned_zeros, plan_transform
from convbench_algorithms.operations import fft_operations
from convbench_algorithms.spectra import (
    channel_sums,
    depthwise_products,
    parallel_channel_sums,
    parallel_depthwise_products,
)
from convbench_algorithms.tile_copies import (
    PaddedInput,
    extents,
    gather,
    padded_input,
    parallel_gather,
    parallel_scatter,
    scatter,
)

GATHER: Final = "gather tiles"
FORWARD: Final = "forward transform"
PRODUCT: Final = "product"
INVERSE: Final = "inverse transform"
SCATTER: Final = "scatter tiles"


def unsupported_by_fft(spec: ConvSpec) -> Unsupported | None:
    """What no FFT here can do."""
    return unsupported_dtype(spec)


class Kernels(NamedTuple):
    """The compiled steps between the transforms."""

    gather: Any
    depthwise_products: Any
    channel_sums: Any
    scatter: Any


ONE_THREAD: Final = Kernels(gather, depthwise_products, channel_sums, scatter)
ALL_THREADS: Final = Kernels(parallel_gather, parallel_depthwise_products, parallel_channel_sums, parallel_scatter)


@final
class TiledFftPlan(ConvPlan):
    """A spec bound to a grid of tiles."""

    def __init__(self, spec: ConvSpec, resources: Resources, grid: TileGrid) -> None:
        self.spec = spec
        self.grid = grid
        self.phases = grid.phases(spec.n, resources.threads)
        self.tiles = spec.n * math.prod(grid.counts)
        crew = max(len(phase) for phase in self.phases)
        if crew < resources.threads:
            self.phases, crew = grid.phases(spec.n, 1), 1
        most = max(len(part) for phase in self.phases for part in phase)
        batch = tiles_in_batch(spec, resources, grid, crew, most)
        self.workspace_bytes = resources.reserve(
            filter_bytes(spec, grid.extent) + crew * batch * tile_bytes(spec, grid.extent)
        )
        padded = padded_input(spec, grid.reach)
        threads = resources.threads if crew == 1 else 1
        self.workers = [Worker(spec, grid, padded, batch, threads) for _ in range(crew)]
        self.pool = ThreadPoolExecutor(crew, "convbench-fft") if crew > 1 else None
        self.workers[0].compile(spec)

    def prepare(self, w: Array) -> PreparedConv:
        """See `ConvPlan`."""
        return TiledFft(self, self.workers[0].filter_spectra(self.spread_taps(w)))

    def spread_taps(self, w: Array) -> Array:
        """The filters [K,C/groups,M',N'] with their dilation's zeros, as overlap-save correlates or -add convolves."""
        if self.spec.flip != self.grid.adds:
            w = w[..., ::-1, ::-1]
        taps = np.zeros((*w.shape[:2], *self.spec.filter_extent), w.dtype)
        taps[..., :: self.spec.dilation[0], :: self.spec.dilation[1]] = w
        return taps


def tiles_in_batch(spec: ConvSpec, resources: Resources, grid: TileGrid, crew: int, most: int) -> int:
    """As many as fit the cache; with several channels up to `MOST_TILES`, for the sake of the filters' spectra."""
    one = tile_bytes(spec, grid.extent)
    filters = filter_bytes(spec, grid.extent)
    budget = CACHE_BYTES if filters <= CACHE_BYTES else (resources.tile_limit_bytes - filters) // crew
    batch = max(1, min(budget // one, MOST_TILES, most))
    return -(-most // -(-most // batch))  # as many batches, evenly filled


@final
class TiledFft(StagedConv):
    """A plan with the spectra of its filters [K,C/groups,M·(N//2+1)]."""

    def __init__(self, plan: TiledFftPlan, filters: Array) -> None:
        self.plan = plan
        self.operations = fft_operations(plan.spec, plan.grid.extent, plan.tiles)
        self.filters = filters

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        plan = self.plan
        if plan.grid.adds:
            y.fill(0)
        for parts in plan.phases:
            if plan.pool is None or len(parts) == 1:
                plan.workers[0].convolve(x, self.filters, parts[0], y)
                continue
            pending = [
                plan.pool.submit(worker.convolve, x, self.filters, part, y)
                for worker, part in zip(plan.workers, parts, strict=False)
            ]
            for future in pending:
                future.result()

    def execute_staged(self, x: Array, y: Array) -> Stages:
        """See `StagedConv`."""
        plan, watch = self.plan, Stopwatch()
        if plan.grid.adds:
            y.fill(0)
            watch.lap("clear output")
        for parts in plan.phases:
            pairs = list(zip(plan.workers, parts, strict=False))
            run = map if plan.pool is None else plan.pool.map
            for stages in run(lambda pair: pair[0].convolve_staged(x, self.filters, pair[1], y), pairs):
                watch.count({name: spent_s / len(plan.workers) for name, spent_s in stages.items()})
        return watch.stages


@final
class Worker:
    """The buffers and FFTW plans for a batch of B tiles, and how to take tiles through them."""

    def __init__(self, spec: ConvSpec, grid: TileGrid, padded: PaddedInput, batch: int, threads: int) -> None:
        M, N = grid.extent
        F = N // 2 + 1
        self.grid = grid
        self.stride = extents(spec.stride)
        self.take, self.keep, self.lead = extents(grid.take), extents(grid.keep), extents(grid.lead)
        self.padded = padded
        self.batch = batch
        self.kernels = ALL_THREADS if threads > 1 else ONE_THREAD
        self.depthwise = is_depthwise(spec)

        # The inverse transforms write where the tiles were read from: one buffer less to keep in cache.
        real = aligned_zeros((batch * max(spec.c, spec.k), M, N), spec.dtype)
        self.real_x = real[: batch * spec.c].reshape(batch, spec.c, M, N)
        self.real_y = real[: batch * spec.k].reshape(batch, spec.k, M, N)
        spectra_x = aligned_zeros((batch, spec.c, M, F), spec.dtype, spectrum=True)
        spectra_y = spectra_x if self.depthwise else aligned_zeros((batch, spec.k, M, F), spec.dtype, spectrum=True)
        self.forward = plan_transform(self.real_x, spectra_x, threads=threads)
        self.inverse = plan_transform(spectra_y, self.real_y, threads=threads)
        self.spectra_x = spectra_x.reshape(batch, spec.c, M * F)
        self.spectra_y = spectra_y.reshape(batch, spec.k, M * F)

    def compile(self, spec: ConvSpec) -> None:
        """Have the kernels compiled, by calls that find nothing to do."""
        nothing = np.zeros((0, 3), np.int64)
        point = np.zeros((1, 1, 1, 1), spec.dtype)
        spectra = np.zeros((1, 1, 0), self.spectra_x.dtype)
        self.kernels.gather(point, nothing, *self.padded, self.take, self.real_x)
        if self.depthwise:
            self.kernels.depthwise_products(spectra, spectra)
        else:
            self.kernels.channel_sums(spectra, spectra, spectra)
        self.kernels.scatter(self.real_y, nothing, self.keep, self.lead, self.stride, self.grid.adds, point)

    def filter_spectra(self, taps: Array) -> Array:
        """The spectra [K,C/groups,M·F] that tiles are multiplied by, for filters laid out as [K,C/groups,M',N'].

        They carry the 1/(M·N) that FFTW's transforms leave out.
        """
        M, N = self.grid.extent
        planes = taps.reshape(-1, *taps.shape[2:])
        spectra = np.empty((len(planes), self.spectra_x.shape[2]), self.spectra_x.dtype)
        real = self.real_x.reshape(-1, M, N)
        transformed = self.spectra_x.reshape(-1, self.spectra_x.shape[2])
        for first in range(0, len(planes), len(real)):
            part = planes[first : first + len(real)]
            real.fill(0)
            real[: len(part), : part.shape[1], : part.shape[2]] = part
            self.forward.execute()
            np.divide(transformed[: len(part)], M * N, out=spectra[first : first + len(part)])
        if not self.grid.adds:
            np.conjugate(spectra, out=spectra)
        return spectra.reshape(*taps.shape[:2], -1)

    def convolve(self, x: Array, filters: Array, tiles: TileOrigins, y: Array) -> None:
        """Take the tiles [T,3] of x [N,C,H,W] through to y [N,K,P,Q], a batch at a time."""
        for _ in self._stages(x, filters, tiles, y):
            pass

    def convolve_staged(self, x: Array, filters: Array, tiles: TileOrigins, y: Array) -> Stages:
        """The same, and what each stage took."""
        watch = Stopwatch()
        for stage in self._stages(x, filters, tiles, y):
            watch.lap(stage)
        return watch.stages

    def _stages(self, x: Array, filters: Array, tiles: TileOrigins, y: Array) -> Iterator[str]:
        """The work of `convolve`, which stops at the end of each stage and tells its name."""
        grid, kernels = self.grid, self.kernels
        for first in range(0, len(tiles), self.batch):
            some = tiles[first : first + self.batch]
            kernels.gather(x, some, *self.padded, self.take, self.real_x)
            yield GATHER
            self.forward.execute()
            yield FORWARD
            if self.depthwise:
                kernels.depthwise_products(self.spectra_x, filters)
            else:
                kernels.channel_sums(self.spectra_x, filters, self.spectra_y)
            yield PRODUCT
            self.inverse.execute()
            yield INVERSE
            kernels.scatter(self.real_y, some, self.keep, self.lead, self.stride, grid.adds, y)
            yield SCATTER
