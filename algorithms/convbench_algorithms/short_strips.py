"""Separable filters of few taps: bands of rows straight from x to y, see `short_sums`.

Only what the padding touches takes a detour: the columns at the left and right end are padded into a small window, and
filtered from there.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap
from convbench_algorithms.compilation_cache import named
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.output_writes import alignment
from convbench_algorithms.short_sums import copy, filter_both

LONG_ROW_BYTES: Final = 2**14
EDGE: Final = 4
"""Vectors along W that the window holds."""
ZEROS: Final = 64
"""More elements than `filter_both` reads of a line."""


def band_rows(R: int, S: int, row_bytes: int) -> int:
    """Output rows at a time, as measured.

    Few, for their rows of x to stay in the first-level cache from one block to the next, and fewer where rows are so
    long that they share its sets; but R − 1 rows more are filtered along W, which for longer filters costs more.
    """
    if max(R, S) > 7:
        return 64
    return 16 if row_bytes >= LONG_ROW_BYTES else 32


@cache
def short_kernel(R: int, S: int) -> Any:
    """The convolution with filters of R and S taps, stride and dilation 1, in bands that `units` name."""

    def block_filter(
        x: Array, start: int, pitch: int, sources: IndexMap, row: int, zeros: Array, columns: Array, rows: Array,
        y: Array, p: int, q: int, height: int, width: int, add: int, stream: int, mirrored: int,
    ) -> None:  # fmt: skip
        if mirrored:
            filter_both(
                x, start, pitch, sources, row, zeros, columns, rows, y, p, q, height, width, add, stream, R, S, 1
            )
        else:
            filter_both(
                x, start, pitch, sources, row, zeros, columns, rows, y, p, q, height, width, add, stream, R, S, 0
            )

    filter_block = njit(nogil=True, cache=True, error_model="numpy")(named(block_filter, R, S))

    @njit(parallel=True, nogil=True, cache=True, error_model="numpy")
    def convolve(
        x: Array, y: Array, columns: Array, rows: Array, row_map: IndexMap, col_map: IndexMap,
        geometry: IndexMap, units: IndexMap, own_rows: IndexMap, zeros: Array, windows: Array,
    ) -> None:  # fmt: skip
        left, C, H, W, mirrored = geometry[0], geometry[1], geometry[2], geometry[3], geometry[4]
        _, Cg, rank, _ = columns.shape
        Q = y.shape[3]
        threads, seen, pitch = windows.shape
        band = seen - R + 1
        total = len(units)
        lanes = lanes_of(x.itemsize)
        none = int(np.int64(0))  # a literal would be compiled as a constant, and the block once more
        head, stream = alignment(y)
        stream &= Cg * rank == 1
        first = min(max(left - head + lanes - 1, 0) // lanes * lanes + head, Q)
        last = first + max(left + W - S + 1 - first, 0) // lanes * lanes
        for thread in prange(threads):
            window = windows[thread]
            flat = window.reshape(-1)
            for i in range(thread * total // threads, (thread + 1) * total // threads):
                n, k = units[i, 0], units[i, 1]
                for p in range(units[i, 2], units[i, 3], band):
                    height = min(band, units[i, 3] - p)
                    for c in range(Cg):
                        channel = (n * C + k // (y.shape[1] // (C // Cg)) * Cg + c) * H * W
                        for t in range(rank):
                            filter_block(
                                x, channel + first - left, W, row_map, p, zeros, columns[k, c, t], rows[k, c, t],
                                y[n, k], p, first, height, last - first, int(c + t > 0), int(stream), mirrored,
                            )  # fmt: skip
                        for end in range(2):
                            stop = Q if end else first
                            for q in range(last if end else 0, stop, EDGE * lanes):
                                width = min(EDGE * lanes, stop - q)
                                pad(x, channel, W, row_map, p, height + R - 1, col_map, left, q, width + S - 1, window)
                                for t in range(rank):
                                    filter_block(
                                        flat, none, pitch, own_rows, none, zeros, columns[k, c, t], rows[k, c, t],
                                        y[n, k], p, q, height, width, int(c + t > 0), none, mirrored,
                                    )  # fmt: skip

    return convolve


@njit(nogil=True, cache=True, error_model="numpy")
def pad(
    x: Array, channel: int, W: int, row_map: IndexMap, top: int, height: int,
    col_map: IndexMap, left: int, first: int, count: int, window: Array,
) -> None:  # fmt: skip
    """window[i, j] = the padded image at top + i and first + j, for i below `height` and j below `count`."""
    inner = min(max(left - first, 0), count)
    outer = max(min(left + W - first, count), inner)
    for i in range(height):
        row, source = window[i], row_map[top + i]
        if source == OUTSIDE:
            row[:count] = 0
            continue
        line = channel + source * W
        copy(x, line + first + inner - left, row, inner, outer - inner)
        for j in range(inner):
            row[j] = 0 if col_map[first + j] == OUTSIDE else x[line + col_map[first + j]]
        for j in range(outer, count):
            row[j] = 0 if col_map[first + j] == OUTSIDE else x[line + col_map[first + j]]
