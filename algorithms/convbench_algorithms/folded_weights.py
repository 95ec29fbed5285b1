"""backward_weights by in-cache FFTs of folded tiles: the gradient is a correlation of x with dy.

    dw[k,c,r,s] = Σ_n,p,q dy[n,k,p,q] · x[n,c,p·u + r·dh, q·v + s·dw]

Tiles of x, as overlap-save has them, meet the part of dy that their outputs are, with zeros after it and the stride's
zeros between; the products of their spectra are summed over all tiles and images before a single transform back for
each pair of channels, which keeps the few elements that are taps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import final

import numpy as np

from convbench.algorithm import Array, ConvPlan, PreparedConv, Resources
from convbench.boundary import OUTSIDE, IndexMap
from convbench.spec import ConvSpec
from convbench.staged import StagedConv, Stages, Stopwatch
from convbench_algorithms.aligned import aligned_zeros
from convbench_algorithms.fft_squares import ANALYSE, SYNTHESISE
from convbench_algorithms.fft_tiles import TileGrid
from convbench_algorithms.folded_tiles import with_blanks
from convbench_algorithms.operations import fft_operations
from convbench_algorithms.planar_fft import kernels, pitch, tile_bytes, transform
from convbench_algorithms.spectral_products import tile_sums
from convbench_algorithms.tile_choice import MOST_TILES, folded_grid
from convbench_algorithms.tile_copies import PaddedInput, extents, padded_input
from convbench_algorithms.tile_folds import half_turns, transform_tiles


@final
class FoldedWeightsPlan(ConvPlan):
    """A spec of direction backward_weights, bound to overlap-save's grid of tiles [2L,N] for its forward pass."""

    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.threads = resources.threads
        forward = replace(spec, direction="forward")
        self.grid = grid = folded_grid(forward, resources)
        self.padded = with_blanks(padded_input(forward, grid.reach))
        folded = grid.extent[0] // 2, grid.extent[1]
        axes = transform(folded, spec.dtype)
        one = tile_bytes(folded, spec.itemsize)
        self.used = 2 * folded[0] * pitch(folded[1], spec.itemsize)
        """Elements of a row that hold a tile; the others keep rows apart."""
        self.scale = 1 / (folded[0] * folded[1])
        pairs = spec.k * (spec.c // spec.groups)
        room = max(resources.tile_limit_bytes - pairs * one, 0) // ((spec.c + spec.k) * one)
        self.batch = max(1, min(room, MOST_TILES, spec.n * grid.counts[0]))
        rows = pairs + self.batch * (spec.c + spec.k)
        self.workspace_bytes = resources.reserve(rows * one)
        tiles = aligned_zeros((rows, one // spec.itemsize), spec.dtype)
        self.sums, self.of_x, self.of_dy = np.split(tiles, (pairs, pairs + self.batch * spec.c))
        turns = half_turns(folded[0], spec.dtype)
        passes = *axes.columns, *axes.rows
        keep, no_steps = extents(spec.filter_extent), extents((1, 1))
        self.analysing = extents(grid.extent), extents(grid.keep), no_steps, turns, *passes
        self.synthesising = extents(grid.extent), keep, extents(spec.dilation), turns, *passes
        self.kernels = {step: kernels(spec.dtype, step) for step in (ANALYSE, SYNTHESISE)}
        self.dy_rows = _cut(grid, spec, 0)
        self._compile()

    def prepare(self, dy: Array) -> PreparedConv:
        """Bind dy [N,K,P,Q]: its values are read by every call."""
        return FoldedWeights(self, dy)

    def columns_of_tiles(self) -> list[tuple[int, PaddedInput]]:
        """(j, dy as tiles of column j see it): their own outputs alone, at the stride's distances."""
        fit, v = (self.grid.keep[1] - 1) // self.spec.stride[1] + 1, self.spec.stride[1]
        found = []
        for j in range(self.grid.counts[1]):
            first, last = j * fit, min((j + 1) * fit, self.spec.q)
            cols = np.full(self.grid.extent[1], OUTSIDE, np.int64)
            cols[: (last - first) * v : v] = np.arange(first, last)
            # A tile begins at its column 0; where nothing lies between, that is column `first` of dy.
            plain = (-first, last - first) if v == 1 else (0, 0)
            found.append((j, PaddedInput(self.dy_rows, cols, np.array([*plain, v == 1], np.int64))))
        return found

    def origins(self, j: int) -> tuple[IndexMap, IndexMap]:
        """Where the tiles [T,3] of column j begin in the padded x, and in dy."""
        of_x = np.array([(n, i, j) for n in range(self.spec.n) for i in range(self.grid.counts[0])], np.int64)
        of_dy = of_x * (1, self.grid.extent[0], 0)
        return of_x * (1, *self.grid.step), of_dy

    def analyse(self, origins: IndexMap, tiles: Array, source: Array, padded: PaddedInput) -> None:
        """Set rows of tiles to the spectra of the source's tiles."""
        transform_tiles(
            self.threads, self.kernels[ANALYSE], ANALYSE, origins, tiles, source, *padded, tiles, source,
            *self.analysing,
        )  # fmt: skip

    def synthesise(self, dw: Array) -> None:
        """Write the taps of all sums to dw [1,K·C/groups,R,S]."""
        origin = np.zeros((1, 3), np.int64)
        transform_tiles(
            self.threads, self.kernels[SYNTHESISE], SYNTHESISE, origin, self.sums, dw, *self.padded, self.sums, dw,
            *self.synthesising,
        )  # fmt: skip

    def _compile(self) -> None:
        """No tiles: the kernels are compiled and compute nothing."""
        nothing = np.zeros((1, 1, 1, 1), self.spec.dtype)
        none = np.zeros((0, 3), np.int64)
        self.analyse(none, self.of_x, nothing, self.padded)
        tile_sums(self.threads, 0, 1, 1, 0, self.of_x, self.of_dy, self.sums[:1], 0)
        self.synthesise(nothing[:, :0])


def _cut(grid: TileGrid, spec: ConvSpec, axis: int) -> IndexMap:
    """Along an axis the tiles of dy end to end: where each has its outputs, at the stride's distances."""
    fit, step = (grid.keep[axis] - 1) // spec.stride[axis] + 1, spec.stride[axis]
    outputs = (spec.p, spec.q)[axis]
    index = np.full((grid.counts[axis], grid.extent[axis]), OUTSIDE, np.int64)
    for i in range(grid.counts[axis]):
        first, last = i * fit, min((i + 1) * fit, outputs)
        index[i, : (last - first) * step : step] = np.arange(first, last)
    return index.ravel()


@final
class FoldedWeights(StagedConv):
    """A plan and the dy that it reads."""

    def __init__(self, plan: FoldedWeightsPlan, dy: Array) -> None:
        self.plan = plan
        self.dy = dy
        spec = plan.spec
        tiles = spec.n * plan.grid.counts[0] * plan.grid.counts[1]
        self.operations = fft_operations(spec, plan.grid.extent, tiles)
        self.columns = [(*plan.origins(j), dy_map) for j, dy_map in plan.columns_of_tiles()]
        self.flipped = np.empty(spec.w_shape, spec.dtype) if spec.flip else None

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        self.execute_staged(x, y)

    def execute_staged(self, x: Array, y: Array) -> Stages:
        """See `StagedConv`."""
        plan, spec, watch = self.plan, self.plan.spec, Stopwatch()
        begun = 0
        for of_x, of_dy, dy_map in self.columns:
            for first in range(0, len(of_x), plan.batch):
                some = slice(first, first + plan.batch)
                plan.analyse(of_x[some], plan.of_x, x, plan.padded)
                plan.analyse(of_dy[some], plan.of_dy, self.dy, dy_map)
                watch.lap("forward transforms")
                tiles = len(of_x[some])
                tile_sums(plan.threads, tiles, spec.c, spec.k, plan.used // 2, plan.of_x, plan.of_dy, plan.sums, begun)
                watch.lap("product")
                begun = 1
        plan.sums[:, : plan.used] *= plan.scale
        into = y if self.flipped is None else self.flipped
        plan.synthesise(into.reshape(1, -1, spec.r, spec.s))
        if self.flipped is not None:
            y[...] = self.flipped[..., ::-1, ::-1]
        watch.lap("inverse transform")
        return watch.stages
