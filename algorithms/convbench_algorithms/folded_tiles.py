"""Overlap-save by in-cache FFTs of folded tiles: a spec bound to a grid of tiles.

One input channel a filter (a single channel, or depthwise): each tile goes in one breath from x through the product
of spectra to y, and never leaves its core's cache. Several: tiles are analysed, all channels of them, summed at
each frequency, and synthesised, a batch of tiles at a time.
"""

from __future__ import annotations

from typing import final

import numpy as np

from convbench.algorithm import Array, ConvPlan, PreparedConv, Resources
from convbench.boundary import OUTSIDE
from convbench.spec import ConvSpec
from convbench.staged import StagedConv, Stages, Stopwatch
from convbench_algorithms.aligned import aligned_zeros
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.fft_squares import ANALYSE, CONVOLVE, SYNTHESISE
from convbench_algorithms.fft_tiles import TileGrid, TileOrigins, is_depthwise
from convbench_algorithms.operations import fft_operations
from convbench_algorithms.planar_fft import kernels, pitch, tile_bytes, transform
from convbench_algorithms.spectral_sums import channel_sums
from convbench_algorithms.tile_choice import MOST_TILES
from convbench_algorithms.tile_copies import PaddedInput, extents, padded_input
from convbench_algorithms.tile_folds import half_turns, transform_tiles


@final
class FoldedTilesPlan(ConvPlan):
    """A spec bound to a grid of tiles [2L,N], where `planar_fft` can transform [L,N]."""

    def __init__(self, spec: ConvSpec, resources: Resources, grid: TileGrid) -> None:
        self.spec = spec
        self.grid = grid
        self.threads = resources.threads
        self.origins = np.concatenate(grid.phases(spec.n, 1)[0])
        self.padded = with_blanks(padded_input(spec, grid.reach))
        self.folded = grid.extent[0] // 2, grid.extent[1]
        axes = transform(self.folded, spec.dtype)
        self.fused = is_depthwise(spec)
        self.one_bytes = one = tile_bytes(self.folded, spec.itemsize)
        filters = spec.k * (spec.c // spec.groups) * one
        self.batch = 0 if self.fused else tiles_in_batch(spec, resources, one, len(self.origins))
        tiles = self.threads if self.fused else self.batch * (spec.c + spec.k)
        self.workspace_bytes = resources.reserve(filters + tiles * one)
        self.tiles = aligned_zeros((tiles, one // spec.itemsize), spec.dtype)
        pairs = map(extents, (grid.extent, grid.keep, spec.stride))
        self.settled = *pairs, half_turns(self.folded[0], spec.dtype), *axes.columns, *axes.rows
        steps = (ANALYSE, CONVOLVE) if self.fused else (ANALYSE, SYNTHESISE)
        self.kernels = {step: kernels(spec.dtype, step) for step in steps}
        nothing = np.zeros((1, 1, 1, 1), spec.dtype)
        self.run(ANALYSE, self.origins[:0], self.tiles, nothing, self.padded, self.tiles, nothing)  # compiles
        if not self.fused:
            no_filters = np.zeros((0, 1, 1, 2, lanes_of(spec.itemsize)), spec.dtype)
            channel_sums(self.threads, 0, 1, self.tiles, no_filters, self.tiles)

    def run(
        self, step: int, origins: TileOrigins, tiles: Array, x: Array, padded: PaddedInput, filters: Array, y: Array
    ) -> None:
        """`transform_tiles` with what this plan has settled."""
        transform_tiles(self.threads, self.kernels[step], step, origins, tiles, x, *padded, filters, y, *self.settled)

    def prepare(self, w: Array) -> PreparedConv:
        """See `ConvPlan`."""
        spectra = self.filter_spectra(w)
        return FusedTiles(self, spectra) if self.fused else SummedTiles(self, spectra)

    def filter_spectra(self, w: Array) -> Array:
        """The spectra of w [K,C/groups,R,S], conjugate since this is correlation, over the L·N of the transforms."""
        L, N = self.folded
        half = L * pitch(N, w.itemsize)
        taps, lanes = np.ascontiguousarray(w).reshape(1, -1, *w.shape[2:]), lanes_of(w.itemsize)
        planes = taps.shape[1]
        if self.fused:
            spectra = aligned_zeros((planes, self.one_bytes // w.itemsize), w.dtype)
            self._analyse_filters(taps, spectra)
            return spectra
        ordered = np.empty((half // lanes, *w.shape[:2], 2, lanes), w.dtype)
        by_plane = ordered.reshape(half // lanes, planes, 2, lanes)
        for first in range(0, planes, len(self.tiles)):
            some = taps[:, first : first + len(self.tiles)]
            self._analyse_filters(some, self.tiles)
            spectra = self.tiles[: some.shape[1], : 2 * half].reshape(-1, 2, half // lanes, lanes)
            by_plane[:, first : first + len(self.tiles)] = spectra.transpose(2, 0, 1, 3)
        return ordered

    def _analyse_filters(self, taps: Array, tiles: Array) -> None:
        """Set tiles to the spectra of taps [1,planes,R,S]."""
        L, N = self.folded
        half = L * pitch(N, taps.itemsize)
        self.run(ANALYSE, np.zeros((1, 3), np.int64), tiles, taps, self.filter_maps(), tiles, taps)
        tiles[:, :half] /= L * N
        tiles[:, half:] /= -L * N

    def filter_maps(self) -> PaddedInput:
        """Filters as padded images: where in a tile which tap stands, between the zeros of a dilation."""
        spec, maps = self.spec, []
        for axis, taps in enumerate((spec.r, spec.s)):
            index = np.full(self.grid.extent[axis], OUTSIDE, np.int64)
            order = np.arange(taps)[::-1] if spec.flip else np.arange(taps)
            index[: spec.filter_extent[axis] : spec.dilation[axis]] = order
            maps.append(index)
        return with_blanks(PaddedInput(maps[0], maps[1], extents((0, 0))))


@final
class FusedTiles(PreparedConv):
    """A plan with the spectra of its filters, one for each channel, as tiles."""

    def __init__(self, plan: FoldedTilesPlan, filters: Array) -> None:
        self.plan = plan
        self.operations = fft_operations(plan.spec, plan.grid.extent, len(plan.origins))
        self.filters = filters

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        plan = self.plan
        plan.run(CONVOLVE, plan.origins, plan.tiles, x, plan.padded, self.filters, y)


@final
class SummedTiles(StagedConv):
    """A plan with the spectra of its filters [F/lanes,K,C/groups,2,lanes]: in the order of the sums over channels."""

    def __init__(self, plan: FoldedTilesPlan, filters: Array) -> None:
        self.plan = plan
        self.operations = fft_operations(plan.spec, plan.grid.extent, len(plan.origins))
        self.filters = filters

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        self.execute_staged(x, y)

    def execute_staged(self, x: Array, y: Array) -> Stages:
        """See `StagedConv`: tiles are gathered as they are transformed, and scattered as they are transformed back."""
        plan, watch = self.plan, Stopwatch()
        C = x.shape[1]
        spectra, sums = plan.tiles[: plan.batch * C], plan.tiles[plan.batch * C :]
        for first in range(0, len(plan.origins), plan.batch):
            origins = plan.origins[first : first + plan.batch]
            plan.run(ANALYSE, origins, spectra, x, plan.padded, sums, y)
            watch.lap("forward transform")
            channel_sums(plan.threads, len(origins), C, spectra, self.filters, sums)
            watch.lap("product")
            plan.run(SYNTHESISE, origins, sums, x, plan.padded, spectra, y)
            watch.lap("inverse transform")
        return watch.stages


def tiles_in_batch(spec: ConvSpec, resources: Resources, one_bytes: int, tiles: int) -> int:
    """As many as the limit allows beside the filters, up to `MOST_TILES`, evenly filled."""
    channels = spec.c + spec.k
    budget = resources.tile_limit_bytes - spec.k * (spec.c // spec.groups) * one_bytes
    most = min(max(budget // (channels * one_bytes), 1), MOST_TILES, tiles)
    return -(-tiles // -(-tiles // most))


def with_blanks(padded: PaddedInput) -> PaddedInput:
    """`plain` followed by whether all columns before and after it are zeros."""
    first, last = padded.plain
    blank = bool((padded.cols[:first] == OUTSIDE).all() and (padded.cols[last:] == OUTSIDE).all())
    return padded._replace(plain=np.array([first, last, blank]))
