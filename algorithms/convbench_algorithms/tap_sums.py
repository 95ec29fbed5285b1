"""The two passes of a separable filter as one sum over vectors, for blocks that stay in registers.

    sum[b] = Σ_t w[t] · source[b·step + t·tap_step],    b = 0 … lanes−1, every term a whole vector

Down the columns the vectors lie along W, along the rows they lie along H: a square of lanes × lanes elements is
transposed in registers on its way into `lines` and on its way out of them. So neither pass ever loads a vector that is
not aligned, and both read their source in order:

    lines [column][lanes of H]              rows of x, transposed            → filter_columns →
    panels [panel][row][lanes of W]         the sums along the rows          → filter_rows → y
"""

from __future__ import annotations

from typing import Any, Final

from convbench_algorithms.emitter import I64, Emitter, Int, Pointer, Variable, Vector, emitted, lanes_of
from convbench_algorithms.output_writes import write_vectors

GROUP: Final = 4
"""Taps that are summed at a time."""


def _transpose_rows_plain(
    x: Any,
    start: int,
    pitch: int,
    sources: Any,
    row: int,
    zeros: Any,  # noqa: ARG001
    width: int,
    lines: Any,
    to: int,
) -> None:
    for lane in range(lanes_of(x.itemsize)):
        source = sources[row + lane]
        for column in range(width):
            lines[to + column, lane] = x[start + source * pitch + column] if source >= 0 else 0


@emitted(_transpose_rows_plain)
def transpose_rows(
    e: Emitter, x: Any, start: Int, pitch: Int, sources: Any, row: Int, zeros: Any, width: Int, lines: Any, to: Int
) -> None:
    """lines[to + j, i] = x[start + sources[row + i]·pitch + j] for j below `width`, or 0 where that source is negative.

    Up to the next multiple of lanes, lines[…] = 0. x is flat, sources [≥ row + lanes], zeros [≥ lanes], lines
    [columns,lanes].
    """
    with e.loop(width, step=e.lanes) as column:
        places = []
        for lane in range(e.lanes):
            source = e.load_integer(sources, row + lane)
            inside = x + (start + column + source * pitch)
            place = e.builder.select(source.compare("<", 0), zeros.ir, inside.ir)
            places.append(Pointer(e.builder, place, x.scalar, x.itemsize))
        left = width - column

        def turn(square: list[Vector], column: Int = column) -> None:
            for j, vector in enumerate(e.transpose(square)):
                e.store(vector, lines.at(column + to + j))

        with e.when(left.compare(">=", e.lanes)):
            turn([e.load(place) for place in places])
        with e.when(left.compare("<", e.lanes)):
            mask = e.first_lanes(left)
            turn([e.load_masked(mask, place) for place in places])


def _filter_columns_plain(
    lines: Any,
    step: int,
    tap_step: int,
    weights: Any,
    pairs: int,  # noqa: ARG001
    panels: Any,
    row: int,
    count: int,
) -> None:
    lanes = lanes_of(lines.itemsize)
    for panel in range(count):
        for column in range(lanes):
            for lane in range(lanes):
                total = lines.dtype.type(0)
                for t in range(len(weights)):
                    total += weights[t] * lines[(panel * lanes + column) * step + t * tap_step, lane]
                panels[panel, row + lane, column] = total


@emitted(_filter_columns_plain)
def filter_columns(
    e: Emitter, lines: Any, step: int, tap_step: Int, weights: Any, pairs: Int, panels: Any, row: Int, count: Int
) -> None:
    """panels[i, row + j, q] = Σ_t weights[t]·lines[(i·lanes + q)·step + t·tap_step, j] for i below `count`.

    lines [columns,lanes], weights [taps], panels [count …,rows,lanes]. `step` is a constant.
    """
    with e.loop(count) as panel:
        sums = _tap_sums(e, lines.at(panel * (e.lanes * step)), step, tap_step, weights, pairs)
        for lane, vector in enumerate(e.transpose(sums)):
            e.store(vector, panels.at(panel, row + lane))


def _filter_rows_plain(
    panels: Any,
    row: int,
    step: int,
    tap_step: int,
    weights: Any,
    pairs: int,  # noqa: ARG001
    y: Any,
    p: int,
    q: int,
    height: int,
    width: int,
    add: int,
    stream: int,  # noqa: ARG001
) -> None:
    lanes = lanes_of(panels.itemsize)
    for b in range(min(height, lanes)):
        for column in range(width):
            total = y[p + b, q + column] if add else panels.dtype.type(0)
            for t in range(len(weights)):
                total += weights[t] * panels[column // lanes, row + b * step + t * tap_step, column % lanes]
            y[p + b, q + column] = total


@emitted(_filter_rows_plain)
def filter_rows(
    e: Emitter,
    panels: Any,
    row: Int,
    step: int,
    tap_step: Int,
    weights: Any,
    pairs: Int,
    y: Any,
    p: Int,
    q: Int,
    height: Int,
    width: Int,
    add: Int,
    stream: Int,
) -> None:
    """y[p + b, q + j] = Σ_t weights[t]·panels[j / lanes, row + b·step + t·tap_step, j % lanes], added to y if `add`.

    For b below `height` (at most lanes) and j below `width`. panels [panels,rows,lanes], weights [taps], y [P,Q].
    `step` is a constant. `stream` writes past the caches, for which the rows of y must be aligned to vectors.
    """
    with e.loop(width, step=e.lanes) as column:
        sums = _tap_sums(e, panels.at(column // e.lanes, row), step, tap_step, weights, pairs)
        places = [y.at(p + b, q + column) for b in range(e.lanes)]
        write_vectors(e, sums, places, height, width - column, add, stream)


def _tap_sums(e: Emitter, source: Pointer, step: int, tap_step: Int, weights: Any, pairs: Int) -> list[Vector]:
    """Σ_t weights[t]·source[(b·step + t·tap_step)·lanes], for b = 0 … lanes−1.

    Where both steps are 1, a vector that was loaded serves several taps: GROUP of them are summed at a time. The first
    and the last `pairs` weights are mirror images: their vectors are added first, which leaves one multiply-add for two
    taps, to a machine that adds and multiplies side by side.
    """
    sums = [e.variable(e.constant(0.0)) for _ in range(e.lanes)]
    taps = weights.shape[0]
    first: Int | int = 0
    if step == 1:
        part = min(e.lanes, e.registers // 4)
        for low in range(0, e.lanes, part):
            with e.loop(pairs, step=GROUP) as t:
                mirror = source + (taps - GROUP - t) * e.lanes
                _add_pairs(e, sums[low : low + part], source + t * e.lanes, mirror, weights, t, low)
        adjoining = Int(e.builder, e.builder.zext(tap_step.compare("==", 1), I64))
        single = taps - pairs * 2
        first = pairs + single // GROUP * GROUP * adjoining
        with e.loop(first, start=pairs, step=GROUP) as t:
            _add_group(e, sums, source + t * e.lanes, weights, t)
    with e.loop(taps - pairs, start=first) as t:
        weight, place = e.broadcast(weights, t), source + t * tap_step * e.lanes
        for b, total in enumerate(sums):
            total.set(e.fma(e.load(place, b * step * e.lanes), weight, total.get()))
    return [total.get() for total in sums]


def _add_group(e: Emitter, sums: list[Variable], place: Pointer, weights: Any, t: Int) -> None:
    """GROUP taps from t on: the vector at b + j serves output b through tap t + j."""
    group = [e.broadcast(weights, t + j) for j in range(GROUP)]
    totals = [total.get() for total in sums]
    for i in range(len(sums) + GROUP - 1):
        vector = e.load(place, i * e.lanes)
        for j in range(GROUP):
            if 0 <= i - j < len(sums):
                totals[i - j] = e.fma(vector, group[j], totals[i - j])
    for total, value in zip(sums, totals, strict=True):
        total.set(value)


def _add_pairs(e: Emitter, sums: list[Variable], left: Pointer, right: Pointer, weights: Any, t: Int, low: int) -> None:
    """GROUP taps from t on and their mirror images, the last of which is at `right`, for outputs from `low` on."""
    vectors = range(low, low + len(sums) + GROUP - 1)
    lefts, rights = ([e.load(place, i * e.lanes) for i in vectors] for place in (left, right))
    totals = [total.get() for total in sums]
    for j in range(GROUP):
        weight = e.broadcast(weights, t + j)
        for b in range(len(sums)):
            totals[b] = e.fma(lefts[b + j] + rights[b + GROUP - 1 - j], weight, totals[b])
    for total, value in zip(sums, totals, strict=True):
        total.set(value)


def _slide_plain(panels: Any, drop: int, rows: int, count: int) -> None:
    for panel in range(count):
        for row in range(rows):
            panels[panel, row, :] = panels[panel, row + drop, :]


@emitted(_slide_plain)
def slide(e: Emitter, panels: Any, drop: Int, rows: Int, count: Int) -> None:
    """panels[i, j] = panels[i, j + drop] for i below `count`, j below `rows`."""
    with e.loop(count) as panel, e.loop(rows) as row:
        e.store(e.load(panels.at(panel, row + drop)), panels.at(panel, row))
