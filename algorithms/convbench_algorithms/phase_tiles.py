"""Copying what a tile of outputs reads: the padded image, dealt into its phases, in vectors where v is 1, 2 or 4."""

from __future__ import annotations

from typing import Any

from numba import njit

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap
from convbench_algorithms.emitter import emitted
from convbench_algorithms.strided_copy import phases_of


def _fill_plain(
    x: Array,
    tile: Array,
    rows: IndexMap,
    cols: IndexMap,
    u: int,
    v: int,
    pitch: int,
    _inside: int,
) -> None:
    kept, across, length = tile.shape
    for a in range(kept):
        for h in range(a, len(rows), u):
            if (h // u + 1) * pitch <= length:
                for b in range(across):
                    for col in range(b, min(len(cols), pitch * v), v):
                        outside = rows[h] == OUTSIDE or cols[col] == OUTSIDE
                        tile[a, b, h // u * pitch + col // v] = 0 if outside else x[rows[h], cols[col]]


_fill_loops: Any = njit(nogil=True, cache=True)(_fill_plain)


@emitted(_fill_plain)
def _fill(
    e: Any,
    x: Any,
    tile: Any,
    rows: Any,
    cols: Any,
    u: Any,
    v: Any,
    pitch: Any,
    inside: Any,
) -> None:
    kept, across, length = tile.shape
    lines = length // pitch
    W = x.shape[1]
    one = e.first_lanes(e.integer(1))

    def vectors(step: int, j: Any) -> None:
        """Positions from j on of all lines, zeros outside x: what is masked stays the same from line to line."""
        # Column j·step of the tile is column inside + j·step of x.
        places = [inside + j * step + i * e.lanes for i in range(step)]
        masks = [e.lanes_between(0 - place, W - place) for place in places]
        wanted = e.first_lanes(pitch - j)
        with e.loop(kept) as a, e.loop(lines) as i:
            h = i * u + a
            with e.when(h.compare("<", rows.shape[0])):
                source = e.load_integer(rows, h)

                def store(phases: list[Any]) -> None:
                    for b, phase in enumerate(phases):
                        with e.when(across.compare(">", b)):
                            e.store_masked(wanted, phase, tile.at(a, b), i * pitch + j)

                with e.when(source.compare("==", OUTSIDE)):
                    store([e.constant(0.0)] * step)
                with e.when(source.compare("!=", OUTSIDE)):
                    pairs = zip(masks, places, strict=True)
                    store(phases_of(e, [e.load_masked(mask, x.at(source), place) for mask, place in pairs]))

    def border(begin: Any, end: Any, step: int) -> None:
        """Columns begin … end of all lines, outside x: those that are copies of columns inside."""
        with e.loop(end, start=begin) as col:
            source_col = e.load_integer(cols, col)
            wanted = e.builder.and_(source_col.compare("!=", OUTSIDE), (col % step).compare("<", across))
            with e.when(wanted), e.loop(kept) as a, e.loop(lines) as i:
                h = i * u + a
                with e.when(h.compare("<", rows.shape[0])):
                    source = e.load_integer(rows, h)
                    with e.when(source.compare("!=", OUTSIDE)):
                        value = e.load_masked(one, x.at(source), source_col)
                        e.store_masked(one, value, tile.at(a, col % step), i * pitch + col // step)

    for step in (1, 2, 4):
        with e.when(v.compare("==", step)):
            with e.loop(pitch, step=e.lanes) as j:
                vectors(step, j)
            width = (pitch * step).minimum(cols.shape[0])
            border(e.integer(0), width.minimum(0 - inside), step)
            border(0 - (inside - W).minimum(0), width, step)


@njit(nogil=True, cache=True)
def fill_tile(
    x: Array, tile: Array, rows: IndexMap, cols: IndexMap, left: int, u: int, v: int, pitch: int, p: int, q: int
) -> None:
    """Tile [C,a,b,lines·pitch]: what outputs from (p,q) on read of x [C,H,W], in its first a of u, b of v phases.

    `rows` and `cols` are the maps of the padded x, which begins `left` columns before x.
    """
    begin = q * v
    for c in range(len(x)):
        if v in (1, 2, 4):
            _fill(x[c], tile[c], rows[p * u :], cols[begin:], u, v, pitch, begin - left)
        else:
            _fill_loops(x[c], tile[c], rows[p * u :], cols[begin:], u, v, pitch, begin - left)
