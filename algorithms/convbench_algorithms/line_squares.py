"""Lines of vectors out of recursions and sums, laid down as rows: transposed for the other axis, or into y.

A line holds one position of many rows, or of many columns, side by side: [width], width = lanes·vectors. A panel
[rows,width] holds `width` columns of an image, row by row.
"""

from __future__ import annotations

from typing import Any

from convbench_algorithms.emitter import Emitter, Int, emitted, lanes_of
from convbench_algorithms.output_writes import write_vectors


def _turn_lines_plain(lines: Any, first: int, step: int, panels: Any, q: int, row: int, vectors: int) -> None:
    lanes = lanes_of(lines.itemsize)
    width = lanes * vectors
    for column in range(lanes):
        for i in range(width):
            panels[(q + column) // width, row + i, (q + column) % width] = lines[first + column * step, i]


@emitted(_turn_lines_plain)
def turn_lines(e: Emitter, lines: Any, first: Int, step: Int, panels: Any, q: Int, row: Int, vectors: int) -> None:
    """Column q + j of rows row + i of `panels` = lines[first + j·step, i], for j below lanes, and all i.

    lines [positions,width], panels [panels,rows,width]; q is a multiple of lanes, `vectors` a constant.
    """
    width = e.lanes * vectors
    source, target = lines.at(first), panels.at(q // width, row) + q % width
    pitch = lines.strides_bytes[0] * step
    for v in range(vectors):
        square = [e.load(source.plus_bytes(pitch * j), v * e.lanes) for j in range(e.lanes)]
        for lane, vector in enumerate(e.transpose(square)):
            e.store(vector, target, (v * e.lanes + lane) * width)


def _write_lines_plain(
    lines: Any,
    first: int,
    step: int,
    scale: Any,
    y: Any,
    p: int,
    q: int,
    height: int,
    width: int,
    add: int,
    stream: int,  # noqa: ARG001
    vectors: int,
) -> None:
    lanes = lanes_of(lines.itemsize)
    for b in range(min(height, lanes)):
        for column in range(min(width, lanes * vectors)):
            value = lines[first + b * step, column] * scale
            y[p + b, q + column] = value + (y[p + b, q + column] if add else 0)


@emitted(_write_lines_plain)
def write_lines(
    e: Emitter,
    lines: Any,
    first: Int,
    step: Int,
    scale: Any,
    y: Any,
    p: Int,
    q: Int,
    height: Int,
    width: Int,
    add: Int,
    stream: Int,
    vectors: int,
) -> None:
    """y[p + b, q + j] = scale·lines[first + b·step, j], added to y if `add`, for b below `height` and j below `width`.

    At most lanes rows and lanes·vectors columns. lines [positions,width], y [P,Q]. `stream` writes past the caches,
    for which y and its rows must be aligned to vectors. `vectors` is a constant.
    """
    source, factor = lines.at(first), e.splat(scale)
    pitch = lines.strides_bytes[0] * step
    for v in range(vectors):
        with e.when(width.compare(">", v * e.lanes)):
            sums = [e.load(source.plus_bytes(pitch * b), v * e.lanes) * factor for b in range(e.lanes)]
            places = [y.at(p + b, q + v * e.lanes) for b in range(e.lanes)]
            write_vectors(e, sums, places, height, width - v * e.lanes, add, stream)
