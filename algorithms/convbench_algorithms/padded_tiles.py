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

SHUFFLED_PHASES: Final = 4
"""Strides above this are exotic."""


def even_share(parts: int, images: int, threads: int) -> int:
    """At least so many parts of each image that every thread gets as many."""
    return next(more for more in range(parts, parts + threads) if more * images % threads == 0)


@njit(nogil=True, cache=True)
def fill_tile(
    x: Array,
    n: int,
    first_channel: int,
    row_map: IndexMap,
    first_row: int,
    rows: int,
    col_map: IndexMap,
    left: int,
    q: int,
    width: int,
    alignment: int,
    tile: Array,
) -> int:
    """Fill the first `rows` rows of the tile [C,·,v,pitch] from image n of x [N,·,H,W], from `first_channel` on.

    They begin at padded row `first_row` and at the padded column of output column q, and reach for `width` columns of
    each phase; `left` is x's padding there. Gives where in a phase they begin: so that what is inside x lies aligned.
    """
    C, _, v, _ = tile.shape
    W = x.shape[3]
    # Groups of v columns that lie inside x need no map: left ≤ (q + j)·v and (q + j + 1)·v ≤ left + W.
    start = min(max((left + v - 1) // v - q, 0), width)
    stop = max(min((left + W) // v - q, width), start)
    margin: int = -start % alignment
    for c in range(C):
        k = first_channel + c
        fill_edges(x, n, k, row_map, first_row, rows, col_map, q * v, tile, c, margin, 0, start)
        fill_edges(x, n, k, row_map, first_row, rows, col_map, q * v, tile, c, margin, stop, width)
        fill_middle(x, n, k, row_map, first_row, rows, (q + start) * v - left, tile, c, margin + start, stop - start)
    return margin


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


def _fill_middle_plain(  # type: ignore[no-untyped-def]
    x, n, c, row_map, first_row, rows, first_x, tile, channel, start, count
) -> None:
    v = tile.shape[2]
    for i in range(rows):
        row = row_map[first_row + i]
        for b in range(v):
            for j in range(count):
                tile[channel, i, b, start + j] = x[n, c, row, first_x + j * v + b] if row >= 0 else 0


@emitted(_fill_middle_plain)
def fill_middle(  # type: ignore[no-untyped-def]
    e, x, n, c, row_map, first_row, rows, first_x, tile, channel, start, count
) -> None:
    """Columns start … start + count of each phase in the tile [C,rows,v,pitch], none of them padding.

    They begin with column `first_x` of x.
    """
    with e.loop(rows) as i:
        row, target = e.load_integer(row_map, first_row + i), tile.at(channel, i) + start
        v, pitch = tile.shape[2], tile.shape[3]
        with e.when(row.compare(">=", 0)):
            source = x.at(n, c, row) + first_x
            for phases in range(1, SHUFFLED_PHASES + 1):
                with e.when(v.compare("==", phases)):
                    _split(e, source, [target + pitch * b for b in range(phases)], count)
            with e.when(v.compare(">", SHUFFLED_PHASES)), e.loop(v) as b, e.loop(count) as j:
                e.store_masked(e.first_lanes(e.integer(1)), e.broadcast(source, j * v + b), target + pitch * b, j)
        with e.when(row.compare("<", 0)), e.loop(v) as b, e.loop(count, step=e.lanes) as j:
            e.store_masked(e.first_lanes(count - j), e.constant(0.0), target + pitch * b, j)


def _split(e: Any, source: Any, targets: list[Any], count: Any) -> None:
    """targets[b][j] = source[j·v + b] for j < count: v vectors at a time."""
    v = len(targets)
    whole = count // e.lanes * e.lanes
    with e.loop(whole, step=e.lanes) as j:
        loaded = [e.load(source, j * v + i * e.lanes) for i in range(v)]
        for b, target in enumerate(targets):
            e.store(every_nth(e, loaded, b), target, j)
    rest = count - whole
    with e.when(rest.compare(">", 0)):
        masks = [e.first_lanes(rest * v - i * e.lanes) for i in range(v)]
        loaded = [e.load_masked(mask, source, whole * v + i * e.lanes) for i, mask in enumerate(masks)]
        for b, target in enumerate(targets):
            e.store_masked(e.first_lanes(rest), every_nth(e, loaded, b), target, whole)


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
