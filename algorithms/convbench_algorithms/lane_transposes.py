"""Rows of numbers into the lanes of vectors, and back: channels first into channels last, a vector at a time.

A square of `lanes` × `lanes` numbers is exchanged in registers, in log₂(lanes) rounds of shuffles.
"""

from __future__ import annotations

from typing import Any

from convbench.algorithm import Array
from convbench_algorithms.emitter import emitted, lanes_of


def _rows_to_lanes_plain(rows: Array, vectors: Array, count: int, width: int) -> None:
    lanes = lanes_of(rows.itemsize)
    for j in range(width):
        for i in range(lanes):
            vectors[j * lanes + i] = rows[min(i, count - 1), j]


@emitted(_rows_to_lanes_plain)
def rows_to_lanes(e: Any, rows: Any, vectors: Any, count: Any, width: Any) -> None:
    """vectors[j·lanes + i] = rows[i, j] for j < `width`; lanes from `count` on repeat the last row.

    rows [≥count,≥width], each contiguous; vectors 1-D, written up to a whole number of squares.
    """
    places = [rows.at((count - 1).minimum(i)) for i in range(e.lanes)]
    whole = width // e.lanes * e.lanes
    with e.loop(whole, step=e.lanes) as j:
        _spread(e, [e.load(place, j) for place in places], vectors, j)
    with e.when(whole.compare("<", width)):
        mask = e.first_lanes(width - whole)
        _spread(e, [e.load_masked(mask, place, whole) for place in places], vectors, whole)


def _spread(e: Any, square: list[Any], vectors: Any, j: Any) -> None:
    for i, column in enumerate(e.transpose(square)):
        e.store(column, vectors, (j + i) * e.lanes)


def _lanes_to_rows_plain(vectors: Array, rows: Array, count: int, width: int) -> None:
    lanes = lanes_of(rows.itemsize)
    for i in range(count):
        for j in range(width):
            rows[i, j] = vectors[j * lanes + i]


@emitted(_lanes_to_rows_plain)
def lanes_to_rows(e: Any, vectors: Any, rows: Any, count: Any, width: Any) -> None:
    """rows[i, j] = vectors[j·lanes + i] for i < `count` ≤ lanes, j < `width`: the inverse of `rows_to_lanes`.

    vectors 1-D, read up to a whole number of squares.
    """
    whole = width // e.lanes * e.lanes
    with e.loop(whole, step=e.lanes) as j:
        for i, row in enumerate(_collected(e, vectors, j)):
            with e.when(count.compare(">", i)):
                e.store(row, rows.at(i), j)
    with e.when(whole.compare("<", width)):
        mask = e.first_lanes(width - whole)
        for i, row in enumerate(_collected(e, vectors, whole)):
            with e.when(count.compare(">", i)):
                e.store_masked(mask, row, rows.at(i), whole)


def _collected(e: Any, vectors: Any, j: Any) -> list[Any]:
    square: list[Any] = e.transpose([e.load(vectors, (j + i) * e.lanes) for i in range(e.lanes)])
    return square
