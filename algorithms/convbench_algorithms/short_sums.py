"""Both passes of a short separable filter at once: nothing lies between them but registers.

    along the row   h = Σ_s row[s] · x[i, q + s]            S vectors, each one element further
    down            y[i − r, q] += column[r] · h            R multiply-adds, to R outputs that are under way

A vector's way down the image: each row of x is filtered once and joins R partial sums; the oldest of them is then
complete. The longer the filter, the dearer its S loads: see `tap_sums` for those.
"""

from __future__ import annotations

from typing import Any, Final

from convbench_algorithms.emitter import REGISTERS, Emitter, Int, Pointer, Variable, Vector, emitted
from convbench_algorithms.output_writes import write_vectors

CACHE_LINE_BYTES: Final = 64


def is_short(R: int, S: int) -> bool:
    """Whether this beats two passes: up to 7 taps, measured, while sums and weights stay in registers."""
    registers = 2 * R + S + 3
    return max(R, S) <= 7 and registers <= max(REGISTERS, 16)


def _copy_plain(source: Any, start: int, target: Any, to: int, count: int) -> None:
    for i in range(count):
        target[to + i] = source[start + i]


@emitted(_copy_plain)
def copy(e: Emitter, source: Any, start: Int, target: Any, to: Int, count: Int) -> None:
    """target[to + i] = source[start + i] for i below `count`, both flat: without the set-up of an array assignment."""
    whole = count // e.lanes * e.lanes
    with e.loop(whole, step=e.lanes) as i:
        e.store(e.load(source, start + i), target, to + i)
    mask = e.first_lanes(count - whole)
    e.store_masked(mask, e.load_masked(mask, source, start + whole), target, to + whole)


def _filter_both_plain(
    lines: Any,
    row: int,
    columns: Any,
    rows: Any,
    y: Any,
    p: int,
    q: int,
    height: int,
    width: int,
    add: int,
    stream: int,  # noqa: ARG001
    R: int,
    S: int,
) -> None:
    for b in range(height):
        for j in range(width):
            total = y[p + b, q + j] if add else lines.dtype.type(0)
            for r in range(R):
                along = lines.dtype.type(0)
                for s in range(S):
                    along += rows[s] * lines[row + b + r, j + s]
                total += columns[r] * along
            y[p + b, q + j] = total


@emitted(_filter_both_plain)
def filter_both(
    e: Emitter,
    lines: Any,
    row: Int,
    columns: Any,
    rows: Any,
    y: Any,
    p: Int,
    q: Int,
    height: Int,
    width: Int,
    add: Int,
    stream: Int,
    R: int,
    S: int,
) -> None:
    """y[p + b, q + j] = Σ_r columns[r]·Σ_s rows[s]·lines[row + b + r, j + s], added to y if `add`.

    For b below `height` and j below `width`. lines [rows,columns], columns [R], rows [S], y [P,Q]; R and S are
    constants. `stream` writes past the caches, for which the rows of y must be aligned to vectors.
    """
    down = [e.broadcast(columns, r) for r in range(R)]
    along = [e.broadcast(rows, s) for s in range(S)]
    with e.loop(width, step=e.lanes) as column:
        partial = [e.variable(e.constant(0.0)) for _ in range(R - 1)]
        with e.loop(R - 1) as r:
            _next_row(e, _shifted(e, lines.at(row + r, column), S), along, down, partial)
        with e.loop(height) as b:
            total = _next_row(e, _shifted(e, lines.at(row + b + (R - 1), column), S), along, down, partial)
            write_vectors(e, [total], [y.at(p + b, q + column)], e.integer(1), width - column, add, stream)


def _shifted(e: Emitter, place: Pointer, S: int) -> list[Vector]:
    """The vectors that begin 0 … S−1 elements past an aligned `place`.

    Where a vector is as long as a cache line, any that is not aligned lies across two, and costs two loads: there they
    are cut out of aligned neighbours.
    """
    if e.lanes * e.itemsize < CACHE_LINE_BYTES:
        return [e.load(place, s) for s in range(S)]
    whole = [e.load(place, v * e.lanes) for v in range((S - 2) // e.lanes + 2)]
    return [
        e.shuffle(whole[v], whole[v + 1], range(shift, shift + e.lanes)) if shift else whole[v]
        for v, shift in (divmod(s, e.lanes) for s in range(S))
    ]


def _next_row(
    e: Emitter, vectors: list[Vector], along: list[Vector], down: list[Vector], partial: list[Variable]
) -> Vector:
    """The output that this row of x completes; partial[r] has seen rows 0 … r of its own."""
    h = vectors[0] * along[0]
    for vector, weight in zip(vectors[1:], along[1:], strict=True):
        h = e.fma(vector, weight, h)
    before = [total.get() for total in partial]
    after = [h * down[0], *(e.fma(h, w, total) for w, total in zip(down[1:], before, strict=True))]
    for total, value in zip(partial, after[:-1], strict=True):
        total.set(value)
    return after[-1]
