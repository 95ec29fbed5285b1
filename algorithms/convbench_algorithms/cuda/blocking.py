"""How a product of a convolution is shared out among the blocks of a launch: tiles of y, and parts of the sums.

Few large tiles leave multiprocessors without work, or the last ones alone with it. Splitting the sums over taps makes
more blocks, whose partial sums are then written, read and added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from convbench_algorithms.cuda.device import MULTIPROCESSORS
from convbench_algorithms.cuda.geometry import Geometry

ALONE: Final = 0.25
"""Of a block's time is added where it is the only one on its multiprocessor: nobody fills the gaps of its loads."""
BYTES_A_CYCLE: Final = 2500
"""Of memory, read or written."""
LAUNCH_CYCLES: Final = 4000
"""Of the second launch, which adds the parts."""
MOST_SPLITS: Final = 32
LEAST_SLICES: Final = 8
"""Of a part: the first ones wait for memory."""


class Tile(Protocol):
    """Of a block: some filters at some positions, a slice of taps at a time."""

    @property
    def filters(self) -> int:
        """Rows of w."""

    @property
    def positions(self) -> int:
        """Columns, through all images."""

    @property
    def efficiency(self) -> float:
        """Beside the largest tile: smaller ones load more for each product."""


AnyTile = TypeVar("AnyTile", bound=Tile)


@dataclass(frozen=True)
class Blocking(Generic[AnyTile]):
    """A tile, the parts that the sums are split into, and slices of taps: all, and those of a part."""

    tile: AnyTile
    splits: int
    slices: int
    share: int

    def grid(self, geometry: Geometry) -> tuple[int, int, int]:
        """Blocks: those of filters within those of positions, groups, parts."""
        across, down = blocks_of(geometry, self.tile)
        return across * down, geometry.groups, self.splits


def blocks_of(geometry: Geometry, tile: Tile) -> tuple[int, int]:
    """Along the positions and along the filters of a group."""
    g = geometry
    return -(-g.n * g.p * g.q // tile.positions), -(-g.filters // tile.filters)


def split(tile: AnyTile, slices: int, splits: int) -> Blocking[AnyTile]:
    """Into at most so many parts, none of them empty."""
    share = -(-slices // splits)
    return Blocking(tile, -(-slices // share), slices, share)


def cheapest_blocking(
    geometry: Geometry, tiles: Sequence[AnyTile], slices: int, slice_taps: int, products_a_cycle: float
) -> Blocking[AnyTile]:
    """The one of the least expected time, on multiprocessors that do so many multiply-adds a cycle."""
    every = (blocking for tile in tiles for blocking in _splits(tile, slices))
    return min(every, key=lambda blocking: _cycles(geometry, blocking, slice_taps / products_a_cycle))


def _splits(tile: AnyTile, slices: int) -> Iterator[Blocking[AnyTile]]:
    for splits in range(1, max(min(MOST_SPLITS, slices // LEAST_SLICES), 1) + 1):
        yield split(tile, slices, splits)


def _cycles(geometry: Geometry, blocking: Blocking[AnyTile], slice_cycles: float) -> float:
    """Two blocks share a multiprocessor; an odd last one is alone."""
    g, tile = geometry, blocking.tile
    across, down = blocks_of(g, tile)
    rounds = -(-across * down * g.groups * blocking.splits // MULTIPROCESSORS)
    block = tile.filters * tile.positions * blocking.share * slice_cycles / tile.efficiency
    cycles = (rounds + ALONE * (rounds % 2)) * block
    if blocking.splits > 1:
        moved = g.n * g.k * g.p * g.q * (2 * blocking.splits * g.computed_bytes + g.itemsize)
        cycles += LAUNCH_CYCLES + moved / BYTES_A_CYCLE
    return cycles
