"""Which tiles to cut an image into for its FFTs: their geometry, and the cost model that picks their size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyfftw

from convbench.algorithm import MiB, Resources
from convbench.spec import ConvSpec, Pair

TileOrigins = npt.NDArray[np.int64]  # [tiles,3]: image, row and column in the padded input

CACHE_BYTES: Final = 1 * MiB
"""What a tile and its spectra should fit in: the second-level cache of a core."""

MOVES: Final = 40
"""Copying a point and passing it through memory cost as much as this many flops of its FFT (measured with FFTW)."""

SPILL: Final = 0.25
"""How much slower an FFT gets with each doubling of its data beyond the cache (FFTW: 1.2 at 512², 1.8 at 1024²)."""


LOAD: Final = 1
"""Loading a byte of the filters' spectra from memory costs as much as this many flops."""

MOST_TILES: Final = 16
"""Tiles in a batch, at most: as often is a filter's spectrum used that has been loaded once."""


@dataclass(frozen=True)
class TileGrid:
    """What each tile takes of the padded input and gives to the output; pairs are rows and columns.

    Tile (i, j) loads `take` elements from (i, j)·`step` on, zeros after them up to `extent`, and of its
    inverse transform the first `keep` elements are outputs, the first of them belonging to the position
    (i, j)·`step` − `lead` of the padded input. Where `adds`, outputs of neighbouring tiles are summed.
    """

    extent: Pair
    counts: Pair
    take: Pair
    step: Pair
    keep: Pair
    lead: Pair
    adds: bool

    @property
    def reach(self) -> Pair:
        """How far the last tile reads into the padded input and the zeros after it."""
        rows, cols = ((self.counts[axis] - 1) * self.step[axis] + self.take[axis] for axis in (0, 1))
        return rows, cols

    @property
    def colours(self) -> int:
        """Where outputs are added, every so many rows of tiles have no output in common; else 1."""
        return min(-(-self.keep[0] // self.step[0]), self.counts[0]) if self.adds else 1

    def phases(self, images: int, workers: int) -> list[list[TileOrigins]]:
        """The tiles of all images as [phase][worker]: within a phase no two workers share an output.

        Where outputs are added, a phase has the rows of tiles of one colour, and a row belongs to one
        worker. The sums have the same order, and so the same round-off, for any number of workers.
        """
        origins = np.empty((images, *self.counts, 3), np.int64)
        origins[..., 0] = np.arange(images)[:, None, None]
        origins[..., 1] = np.arange(self.counts[0])[:, None] * self.step[0]
        origins[..., 2] = np.arange(self.counts[1]) * self.step[1]
        phases = []
        for colour in range(self.colours):
            units = origins[:, colour :: self.colours].reshape(-1, self.counts[1] if self.adds else 1, 3)
            parts = np.array_split(units, min(workers, len(units)))
            phases.append([part.reshape(-1, 3) for part in parts])
        return phases

    def turns(self, images: int, workers: int) -> int:
        """How many tiles follow one another where `workers` share them as in `phases`."""
        rows, cols = self.counts
        if not self.adds:
            return -(-images * rows * cols // workers)
        return sum(-(-images * -(-(rows - c) // self.colours) // workers) for c in range(self.colours)) * cols


def saving_grid(spec: ConvSpec, extent: Pair) -> TileGrid:
    """Overlap-save: tiles overlap by the filter's extent less one, and keep the outputs that no wrap-around reaches."""
    (u, v), (rows, cols) = spec.stride, spec.filter_extent
    fit = (extent[0] - rows) // u + 1, (extent[1] - cols) // v + 1  # outputs of a tile
    return TileGrid(
        extent=extent,
        counts=(-(-spec.p // fit[0]), -(-spec.q // fit[1])),
        take=extent,
        step=(fit[0] * u, fit[1] * v),
        keep=((fit[0] - 1) * u + 1, (fit[1] - 1) * v + 1),
        lead=(0, 0),
        adds=False,
    )


def adding_grid(spec: ConvSpec, extent: Pair) -> TileGrid:
    """Overlap-add: tiles are disjoint, followed by zeros that their outputs run into, and those overlaps are added."""
    needed = needed_extent(spec)
    lead = spec.filter_extent[0] - 1, spec.filter_extent[1] - 1
    take = extent[0] - lead[0], extent[1] - lead[1]
    counts = -(-needed[0] // take[0]), -(-needed[1] // take[1])
    return TileGrid(extent=extent, counts=counts, take=take, step=take, keep=extent, lead=lead, adds=True)


def needed_extent(spec: ConvSpec) -> Pair:
    """What the outputs see of the padded input: (u·(P−1) + filter's extent, …); the stride may leave a rest."""
    rows, cols = ((p - 1) * u + f for p, u, f in zip((spec.p, spec.q), spec.stride, spec.filter_extent, strict=True))
    return rows, cols


def smooth_extents(least: int, whole: int) -> Iterator[int]:
    """Even FFT lengths from `least` on that FFTW likes (2ᵃ·{1,3,5}), and one that holds the `whole`."""
    single = whole_extent(whole)
    for odd in (1, 3, 5):
        length = 2 * odd
        while length < single:
            if length >= max(least, 8):
                yield length
            length *= 2
    yield single


def whole_extent(length: int) -> int:
    """The next even length that FFTW likes."""
    return 2 * int(pyfftw.next_fast_len(-(-length // 2)))


def tile_bytes(spec: ConvSpec, extent: Pair) -> int:
    """What one tile needs: [max(C,K),M,N] real, shared by input and output, [C,M,F] and [K,M,F] complex."""
    M, N = extent
    spectra = spec.c if is_depthwise(spec) else spec.c + spec.k
    return spec.itemsize * M * (max(spec.c, spec.k) * N + 2 * spectra * (N // 2 + 1))


def filter_bytes(spec: ConvSpec, extent: Pair) -> int:
    """What the spectra of the filters need: [K,C/groups,M,F] complex."""
    M, N = extent
    return 2 * spec.itemsize * spec.k * (spec.c // spec.groups) * M * (N // 2 + 1)


def is_depthwise(spec: ConvSpec) -> bool:
    """Whether each output channel sees just its own input channel, so that spectra can be multiplied in place."""
    return spec.c == spec.k == spec.groups


def cheapest_grid(
    spec: ConvSpec, resources: Resources, wholes: Pair, grid: Callable[[ConvSpec, Pair], TileGrid]
) -> TileGrid:
    """The `grid` whose tiles [M,N] cost least; tiles for `wholes` hold all in one.

    A tile of C input and K output channels costs, in flops,

        (C + K)·M·N·(2.5·log₂(M·N) + MOVES)·spill    real FFTs there and back, and moving each point
        + 4·K·(C/groups)·M·N                         complex multiply-adds at M·N/2 frequencies

    and the images cost that times the tiles that the busiest thread takes, and the loading of the filters'
    spectra for each batch of tiles, unless they stay in the cache. So small tiles waste their overlap
    with the filter's extent, large ones log₂, the cache, and threads, and both waste what sticks out of the
    image. Since the tiles are counted, no formula for the best length is needed (scipy's overlap-add has
    one, by Lambert's W). Tiles that keep the workspace within `resources.tile_limit_bytes` come first; if
    none do, those that exceed it least.
    """

    def rank(candidate: TileGrid) -> tuple[float, float]:
        M, N = candidate.extent
        filters = filter_bytes(spec, candidate.extent)
        workspace = resources.threads * tile_bytes(spec, (M, N)) + filters
        spill = 1 + SPILL * max(math.log2(2 * spec.itemsize * M * N / CACHE_BYTES), 0)
        transforms = (spec.c + spec.k) * M * N * (2.5 * math.log2(M * N) + MOVES) * spill
        products = 4 * spec.k * (spec.c // spec.groups) * M * N
        turns = candidate.turns(spec.n, resources.threads)
        loads = LOAD * filters * -(-turns // MOST_TILES) if filters > CACHE_BYTES else 0
        cost = turns * (transforms + products) + loads
        return max(workspace - resources.tile_limit_bytes, 0), cost

    rows, cols = (list(smooth_extents(spec.filter_extent[axis], wholes[axis])) for axis in (0, 1))
    return min((grid(spec, (M, N)) for M in rows for N in cols), key=rank)
