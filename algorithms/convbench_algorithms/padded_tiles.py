"""A tile of padded x in cache: what a block of outputs reads, as dense rows.

Output column q reads padded column q·v + o through a tap at offset o. Column j of phase b is padded column j·v + b,
so the same column is column q + o // v of phase o % v: dense for any stride. The padding of whatever kind is copied
too, and kernels see neither it nor the strides of x, whose rows may lie at multiples of a cache's period.
"""

from __future__ import annotations

from typing import Any, Final

from numba import njit

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap
from convbench_algorithms.emitter import emitted

SHUFFLED_PHASES: Final = 8
"""Strides above this are exotic, and their shuffles many."""


@njit(nogil=True, cache=True)
def fill_edges(
    x: Array,
    n: int,
    c: int,
    row_map: IndexMap,
    first_row: int,
    rows: int,
    col_map: IndexMap,
    first_col: int,
    tile: Array,
    channel: int,
    margin: int,
    start: int,
    stop: int,
) -> None:
    """Columns start … stop of each phase in the tile's `channel`, element by element, through the maps of x's padding.

    The tile [C,rows,v,pitch] begins at padded row `first_row` and padded column `first_col`.
    """
    v = tile.shape[2]
    for j in range(start, stop):
        for b in range(v):
            at = first_col + j * v + b
            col = col_map[at] if at < len(col_map) else OUTSIDE  # what lies past the last, only dropped outputs read
            for i in range(rows):
                row = row_map[first_row + i]
                inside = row != OUTSIDE and col != OUTSIDE
                tile[channel, i, b, margin + j] = x[n, c, row, col] if inside else 0


def _fill_middle_plain(x, n, c, row_map, first_row, rows, first_x, tile, channel, start, count, phases) -> None:  # type: ignore[no-untyped-def]
    for i in range(rows):
        row = row_map[first_row + i]
        for b in range(phases):
            for j in range(count):
                tile[channel, i, b, start + j] = x[n, c, row, first_x + j * phases + b] if row >= 0 else 0


@emitted(_fill_middle_plain)
def fill_middle(e, x, n, c, row_map, first_row, rows, first_x, tile, channel, start, count, phases) -> None:  # type: ignore[no-untyped-def]
    """Columns start … start + count of each phase, of which none is padding: from column `first_x` of x on.

    `phases` is a constant, the extent of the tile [C,rows,v,pitch] along v.
    """
    whole = count // e.lanes * e.lanes
    rest = count - whole
    with e.loop(rows) as i:
        row = e.load_integer(row_map, first_row + i)
        targets = [tile.at(channel, i, b) + start for b in range(phases)]
        with e.when(row.compare(">=", 0)):
            source = x.at(n, c, row) + first_x
            if phases <= SHUFFLED_PHASES:
                with e.loop(whole, step=e.lanes) as j:
                    loaded = [e.load(source, j * phases + i * e.lanes) for i in range(phases)]
                    for b, target in enumerate(targets):
                        e.store(every_nth(e, loaded, b), target, j)
                with e.when(rest.compare(">", 0)):
                    left = [rest * phases - i * e.lanes for i in range(phases)]
                    loaded = [
                        e.load_masked(e.first_lanes(some), source, whole * phases + i * e.lanes)
                        for i, some in enumerate(left)
                    ]
                    for b, target in enumerate(targets):
                        e.store_masked(e.first_lanes(rest), every_nth(e, loaded, b), target, whole)
            else:
                one = e.first_lanes(e.integer(1))
                with e.loop(count) as j:
                    for b, target in enumerate(targets):
                        e.store_masked(one, e.broadcast(source, j * phases + b), target, j)
        with e.when(row.compare("<", 0)), e.loop(count, step=e.lanes) as j:
            for target in targets:
                e.store_masked(e.first_lanes(count - j), e.constant(0.0), target, j)


def every_nth(e: Any, loaded: list[Any], b: int) -> Any:
    """Every n-th element of n consecutive vectors, from the b-th on, as a vector."""
    v, n = len(loaded), e.lanes
    places = [lane * v + b for lane in range(n)]
    gathered = loaded[0]
    for i, vector in enumerate(loaded):
        if i == 0:
            lanes = [place if place < n else 0 for place in places]
        else:
            lanes = [n + place % n if place // n == i else lane for lane, place in enumerate(places)]
        gathered = e.shuffle(gathered, vector, lanes) if v > 1 else vector
    return gathered
