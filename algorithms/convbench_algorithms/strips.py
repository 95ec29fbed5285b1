"""A strip of outputs, from top to bottom, through a window of rows: what one thread does at a time.

Rows enter the window a few at a time, padded as the boundary wants; the outputs that they complete are written, and
what the next outputs need of them moves up to the front. The window stays in the second-level cache, whatever the
image's size.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap
from convbench_algorithms.tap_sums import filter_columns, filter_rows, slide, transpose_rows

BATCH: Final = 16
"""Output rows between two moves of the window: a multiple of any vector's lanes, and few enough to write at once."""


@cache
def kernel(u: int, v: int) -> Any:
    """The convolution for a stride of u and v. The window holds rows that are filtered along W, in panels of lanes."""

    @njit(parallel=True, nogil=True, cache=True, error_model="numpy")
    def convolve(
        x: Array, y: Array, columns: Array, rows: Array, row_map: IndexMap, col_map: IndexMap,
        geometry: IndexMap, units: IndexMap, column_pairs: IndexMap, row_pairs: IndexMap,
        all_starts: IndexMap, all_lines: Array, windows: Array,
    ) -> None:  # fmt: skip
        left, C, H, W, stream = geometry[0], geometry[1], geometry[2], geometry[3], geometry[4]
        dh, dw = geometry[5], geometry[6]
        _, Cg, rank, R = columns.shape
        lanes = all_starts.shape[1]
        threads = len(windows)
        total = len(units)
        for thread in prange(threads):
            starts, lines, panels = all_starts[thread], all_lines[thread], windows[thread]
            for i in range(thread * total // threads, (thread + 1) * total // threads):
                n, k, p_first = units[i, 0], units[i, 1], units[i, 2]
                p_last, q_first, q_last = units[i, 3], units[i, 4], units[i, 5]
                width = q_last - q_first
                count = (width + lanes - 1) // lanes
                seen = (width - 1) * v + (rows.shape[3] - 1) * dw + 1
                for c in range(Cg):
                    channel = (n * C + k // (y.shape[1] // (C // Cg)) * Cg + c) * H
                    have = 0
                    for p in range(p_first, p_last, BATCH):
                        height = min(BATCH, p_last - p)
                        while have < (height - 1) * u + (R - 1) * dh + 1:
                            if _find_rows(row_map, p * u + have, channel, W, starts):
                                _fill_lines(x, starts, col_map, left, W, q_first * v, seen, lines)
                                for t in range(rank):
                                    filter_columns(
                                        lines, v, dw, rows[k, c, t], row_pairs[k, c, t], panels[t], have, count
                                    )
                            _clear_outside(row_map, p * u + have, panels, have, count)
                            have += lanes
                        for b in range(0, height, lanes):
                            for t in range(rank):
                                filter_rows(
                                    panels[t], b * u, u, dh, columns[k, c, t], column_pairs[k, c, t],
                                    y[n, k], p + b, q_first, height - b, width, int(c + t > 0), stream,
                                )  # fmt: skip
                        have = max(have - BATCH * u, 0)
                        for t in range(rank):
                            slide(panels[t], BATCH * u, have, count)

    return convolve


@njit(nogil=True, cache=True, error_model="numpy")
def _find_rows(row_map: IndexMap, top: int, channel: int, W: int, starts: IndexMap) -> bool:
    """Where the padded rows from `top` on begin in x, any row for those OUTSIDE; whether there is one that is not."""
    inside = False
    for lane in range(len(starts)):
        source = row_map[top + lane] if top + lane < len(row_map) else OUTSIDE
        inside |= source != OUTSIDE
        starts[lane] = (channel + max(source, 0)) * W
    return inside


@njit(nogil=True, cache=True, error_model="numpy")
def _clear_outside(row_map: IndexMap, top: int, panels: Array, have: int, count: int) -> None:
    """Zeros for the padded rows from `top` on that are OUTSIDE; panels [rank,panels,rows,lanes]."""
    for lane in range(panels.shape[3]):
        if top + lane >= len(row_map) or row_map[top + lane] == OUTSIDE:
            panels[:, :count, have + lane] = 0


@njit(nogil=True, cache=True, error_model="numpy")
def _fill_lines(
    x: Array, starts: IndexMap, col_map: IndexMap, left: int, W: int, first: int, count: int, lines: Array
) -> None:
    """lines[j] from the padded columns first … first + count − 1 of the rows of x that begin at `starts`."""
    inner = min(max(left - first, 0), count)
    outer = min(max(left + W - first, 0), count)
    starts += first + inner - left
    transpose_rows(x, starts, outer - inner, lines, inner)
    starts -= first + inner - left
    for j in range(count):
        if j < inner or j >= outer:
            source = col_map[first + j]
            for lane in range(len(starts)):
                lines[j, lane] = 0 if source == OUTSIDE else x[starts[lane] + source]
