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
    _first: int,
    _last: int,
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
    first: Any,
    last: Any,
) -> None:
    kept, across, length = tile.shape
    one = e.first_lanes(e.integer(1))
    whole = first + (last - first) // e.lanes * e.lanes
    tail = e.first_lanes(last - whole)

    def border(line: Any, target: Any, step: int, begin: Any, end: Any) -> None:
        with e.loop(end, start=begin) as j:
            for b in range(step):
                col = j * step + b
                with e.when(across.compare(">", b)), e.when(col.compare("<", cols.shape[0])):
                    source = e.load_integer(cols, col)
                    with e.when(source.compare("==", OUTSIDE)):
                        e.store_masked(one, e.constant(0.0), target(b), j)
                    with e.when(source.compare("!=", OUTSIDE)):
                        e.store_masked(one, e.load_masked(one, line, source), target(b), j)

    def middle(line: Any, target: Any, step: int, rest: list[Any]) -> None:
        def store(vectors: list[Any], j: Any, mask: Any) -> None:
            for b, phase in enumerate(phases_of(e, vectors)):
                with e.when(across.compare(">", b)):
                    if mask is None:
                        e.store(phase, target(b), j)
                    else:
                        e.store_masked(mask, phase, target(b), j)

        # Column j·step of the tile is column inside + j·step of x.
        with e.loop(whole, start=first, step=e.lanes) as j:
            store([e.load(line, inside + j * step + i * e.lanes) for i in range(step)], j, None)
        with e.when(whole.compare("<", last)):
            place = inside + whole * step
            store([e.load_masked(mask, line, place + i * e.lanes) for i, mask in enumerate(rest)], whole, tail)

    for step in (1, 2, 4):
        rest = [e.first_lanes((last - whole) * step - i * e.lanes) for i in range(step)]
        with e.when(v.compare("==", step)), e.loop(kept) as a, e.loop(length // pitch) as i:
            h = i * u + a
            with e.when(h.compare("<", rows.shape[0])):

                def target(b: int, a: Any = a, i: Any = i) -> Any:
                    return tile.at(a, b) + i * pitch

                source = e.load_integer(rows, h)
                with e.when(source.compare("==", OUTSIDE)), e.loop(pitch) as j:
                    for b in range(step):
                        with e.when(across.compare(">", b)):
                            e.store_masked(one, e.constant(0.0), target(b), j)
                with e.when(source.compare("!=", OUTSIDE)):
                    line = x.at(source)
                    border(line, target, step, e.integer(0), first)
                    middle(line, target, step, rest)
                    border(line, target, step, last, pitch)


@njit(nogil=True, cache=True)
def fill_tile(
    x: Array, tile: Array, rows: IndexMap, cols: IndexMap, left: int, u: int, v: int, pitch: int, p: int, q: int
) -> None:
    """Tile [C,a,b,lines·pitch]: what outputs from (p,q) on read of x [C,H,W], in its first a of u, b of v phases.

    `rows` and `cols` are the maps of the padded x, which begins `left` columns before x.
    """
    C, _, W = x.shape
    begin = q * v
    # Whole groups of v columns that lie in x need no map.
    first = min(max((left - begin + v - 1) // v, 0), pitch)
    last = max(min((left + W - begin) // v, pitch), first)
    for c in range(C):
        if v in (1, 2, 4):
            _fill(x[c], tile[c], rows[p * u :], cols[begin:], u, v, pitch, begin - left, first, last)
        else:
            _fill_loops(x[c], tile[c], rows[p * u :], cols[begin:], u, v, pitch, begin - left, first, last)
