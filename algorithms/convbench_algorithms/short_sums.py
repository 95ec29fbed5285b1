"""Both passes of a short separable filter at once: nothing lies between them but registers.

    along the row   h = Σ_s row[s] · x[i, q + s]            S vectors, each one element further
    down            y[i − r, q] += column[r] · h            R products, to R outputs that are under way

A vector's way down the image: each row of x is filtered once and joins R partial sums; the oldest of them is then
complete. So x is read once, y written once. Where both filters equal their mirror images, elements that share a weight
are added first, and a product serves the two outputs that share its weight: half the multiply-adds become additions,
to a machine that adds and multiplies side by side. The longer the filter, the dearer its S vectors: see `tap_sums`.
"""

from __future__ import annotations

from typing import Any, Final

from convbench_algorithms.emitter import REGISTERS, Emitter, Int, Pointer, Variable, Vector, emitted
from convbench_algorithms.output_writes import write_vectors

CACHE_LINE_BYTES: Final = 64
AHEAD_BYTES: Final = 512
"""How early x is asked for: rows of x are too far apart for the machine to foresee the next block's."""


def is_short(R: int, S: int) -> bool:
    """Whether this beats two passes, measured: while sums and weights stay in registers."""
    return max(R, S) <= 9 if REGISTERS == 32 else max(R, S) <= 7 and 2 * R + S + 3 <= 16


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
    x: Any,
    start: int,
    pitch: int,
    sources: Any,
    row: int,
    zeros: Any,  # noqa: ARG001
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
    mirrored: int,  # noqa: ARG001
) -> None:
    for b in range(height):
        for j in range(width):
            total = y[p + b, q + j] if add else x.dtype.type(0)
            for r in range(R):
                source = sources[row + b + r]
                if source >= 0:
                    along = x.dtype.type(0)
                    for s in range(S):
                        along += rows[s] * x[start + source * pitch + j + s]
                    total += columns[r] * along
            y[p + b, q + j] = total


@emitted(_filter_both_plain)
def filter_both(
    e: Emitter,
    x: Any,
    start: Int,
    pitch: Int,
    sources: Any,
    row: Int,
    zeros: Any,
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
    mirrored: int,
) -> None:
    """y[p + b, q + j] = Σ_r columns[r]·Σ_s rows[s]·line(b + r)[j + s], added to y if `add`.

    For b below `height` and j below `width`; line(i) begins at x[start + sources[row + i]·pitch], or is zeros where
    that source is negative. x is flat, sources [rows], columns [R], rows [S], y [P,Q], zeros [≥ 2·lanes + S]. Lines are
    read up to the next multiple of lanes above `width`, and S − 1 elements more. R, S and `mirrored`, whether columns
    and rows equal their mirror images, are constants. `stream` writes past the caches, for which the rows of y must be
    aligned to vectors.
    """
    along, down = (
        [e.broadcast(weights, t) for t in range((taps + 1) // 2 if mirrored else taps)]
        for weights, taps in ((rows, S), (columns, R))
    )
    weights = len(along) + len(down)
    cut = e.lanes * e.itemsize >= CACHE_LINE_BYTES and weights + R + S <= e.registers - 4
    together = 2 if 2 * R + S + weights <= e.registers - 4 else 1

    def sweep(column: Int, n: int, left: Int) -> None:
        partial = [[e.variable(e.constant(0.0)) for _ in range(R - 1)] for _ in range(n)]

        def next_row(i: Int) -> list[Vector]:
            source = e.load_integer(sources, row + i)
            place = x + (start + column + source * pitch)
            outside = e.builder.select(source.compare("<", 0), zeros.ir, place.ir)
            place = Pointer(e.builder, outside, x.scalar, x.itemsize)
            for v in range(n):
                e.prefetch(place.plus_bytes(AHEAD_BYTES), v * e.lanes)
            sums = [_along(e, vectors, along) for vectors in _shifted(e, place, n, S, cut=cut)]
            return [_down(e, h, down, sums_below) for h, sums_below in zip(sums, partial, strict=True)]

        with e.loop(R - 1, unroll=False) as r:
            next_row(r)
        with e.loop(height, unroll=False) as b:
            totals, target = next_row(b + (R - 1)), y.at(p + b, q + column)
            write_vectors(e, totals, [target + v * e.lanes for v in range(n)], e.integer(n), left, add, stream)

    whole = width // (together * e.lanes) * (together * e.lanes)
    with e.loop(whole, step=together * e.lanes) as column:
        sweep(column, together, e.integer(e.lanes))
    with e.loop(width, start=whole, step=e.lanes) as column:
        sweep(column, 1, width - column)


def _shifted(e: Emitter, place: Pointer, n: int, S: int, *, cut: bool) -> list[list[Vector]]:
    """For each of n vectors from `place` on those that begin 0 … S−1 elements further.

    Where a vector is as long as a cache line, any that is not aligned lies across two, and costs two loads: they may be
    `cut` out of their neighbours instead. The last of those ends where the last vector ends.
    """
    if not cut or S == 1:
        return [[e.load(place, v * e.lanes + s) for s in range(S)] for v in range(n)]
    whole = [e.load(place, v * e.lanes) for v in range(n)]
    last = e.load(place, (n - 1) * e.lanes + S - 1)
    shifted = []
    for v, vector in enumerate(whole):
        after, missing = (last, e.lanes - S + 1) if v == n - 1 else (whole[v + 1], 0)
        lanes = [[i if i < e.lanes else i + missing for i in range(s, s + e.lanes)] for s in range(S)]
        shifted.append([e.shuffle(vector, after, chosen) if s else vector for s, chosen in enumerate(lanes)])
    return shifted


def _along(e: Emitter, vectors: list[Vector], weights: list[Vector]) -> Vector:
    """Σ_s weights[s]·vectors[s]; mirror images are added first where there are but half as many weights."""
    S = len(vectors)
    terms = vectors
    if len(weights) < S:
        terms = [a + b for a, b in zip(vectors[: S // 2], reversed(vectors), strict=False)]
        terms += vectors[S // 2 : (S + 1) // 2]
    h: Vector = terms[-1] * weights[-1]
    for term, weight in zip(reversed(terms[:-1]), reversed(weights[:-1]), strict=True):
        h = e.fma(term, weight, h)
    return h


def _down(e: Emitter, h: Vector, weights: list[Vector], partial: list[Variable]) -> Vector:
    """The output that this row of x completes; partial[r] has seen rows 0 … r of its own."""
    R = len(partial) + 1
    before: list[Vector] = [total.get() for total in partial]
    if len(weights) < R:
        products = [h * weight for weight in weights]
        after = [products[0], *(total + products[min(r, R - 1 - r)] for r, total in enumerate(before, 1))]
    else:
        after = [h * weights[0], *(e.fma(h, w, total) for w, total in zip(weights[1:], before, strict=True))]
    for total, value in zip(partial, after[:-1], strict=True):
        total.set(value)
    return after[-1]
