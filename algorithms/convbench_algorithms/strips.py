"""A strip of outputs, from top to bottom, through a window of rows: what one thread does at a time.

Rows enter the window a few at a time, padded as the boundary wants; the outputs that they complete are written, and
what the next outputs need of them moves up to the front. The window stays in the second-level cache, whatever the
image's size.

Vectors of y are written to whole cache lines. Where a row does not begin with one, the first vector of it overlaps the
second, and both hold the same sums.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap
from convbench_algorithms.kernel_clock import lapped, now_ns
from convbench_algorithms.output_writes import alignment
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
        zeros: Array, all_lines: Array, windows: Array, clock: int, spent: Array,
    ) -> None:  # fmt: skip
        left, C, H, W = geometry[0], geometry[1], geometry[2], geometry[3]
        dh, dw = geometry[5], geometry[6]
        _, Cg, rank, R = columns.shape
        Q = y.shape[3]
        lanes = all_lines.shape[2]
        threads = len(windows)
        total = len(units)
        once = Cg * rank == 1  # what is added to may not be written twice
        shift, stream = alignment(y) if once else (0, False)
        for thread in prange(threads):
            lines, panels = all_lines[thread], windows[thread]
            at = now_ns(clock) if clock else 0
            for i in range(thread * total // threads, (thread + 1) * total // threads):
                n, k, p_first, p_last = units[i, 0], units[i, 1], units[i, 2], units[i, 3]
                q_first = units[i, 4] + (shift if units[i, 4] > 0 else 0)
                width = min(units[i, 5] + shift, Q) - q_first
                if width <= 0:
                    continue
                head = 0 if units[i, 4] > 0 else min(shift, width)
                ahead = 1 if head > 0 else 0  # panels before the one at column `head`
                count = (width - head + lanes - 1) // lanes
                seen = (width - 1) * v + (rows.shape[3] - 1) * dw + 1
                for c in range(Cg):
                    channel = (n * C + k // (y.shape[1] // (C // Cg)) * Cg + c) * H * W
                    have = 0
                    for p in range(p_first, p_last, BATCH):
                        height = min(BATCH, p_last - p)
                        while have < (height - 1) * u + (R - 1) * dh + 1:
                            fill_lines(
                                x, channel, row_map, p * u + have, zeros, col_map, left, W, q_first * v, seen, lines
                            )
                            if clock:
                                at = lapped(clock, at, spent[thread], 0)
                            for t in range(rank):
                                for part in range(1 - ahead, 2):
                                    filter_columns(
                                        lines[part * head * v :], v, dw, rows[k, c, t], row_pairs[k, c, t],
                                        panels[t, part * ahead :], have, count if part else ahead,
                                    )  # fmt: skip
                            have += lanes
                            if clock:
                                at = lapped(clock, at, spent[thread], 1)
                        for b in range(0, height, lanes):
                            for t in range(rank):
                                for part in range(1 - ahead, 2):
                                    filter_rows(
                                        panels[t, part * ahead :], b * u, u, dh, columns[k, c, t],
                                        column_pairs[k, c, t], y[n, k], p + b, q_first + part * head, height - b,
                                        width - head if part else min(lanes, width), int(c + t > 0),
                                        int(stream and part > 0),
                                    )  # fmt: skip
                        have = max(have - BATCH * u, 0)
                        for t in range(rank):
                            slide(panels[t], BATCH * u, have, ahead + count)
                        if clock:
                            at = lapped(clock, at, spent[thread], 2)

    return convolve


@njit(nogil=True, cache=True, error_model="numpy")
def fill_lines(
    x: Array, channel: int, row_map: IndexMap, top: int, zeros: Array, col_map: IndexMap,
    left: int, W: int, first: int, count: int, lines: Array,
) -> None:  # fmt: skip
    """lines[j] from the padded columns first … first + count − 1 of the padded rows from `top` on."""
    inner = min(max(left - first, 0), count)
    outer = max(min(left + W - first, count), inner)
    transpose_rows(x, channel + first + inner - left, W, row_map, top, zeros, outer - inner, lines, inner)
    for end in range(2):
        for j in range(outer if end else 0, count if end else inner):
            source = col_map[first + j]
            twin = source + left - first
            if source != OUTSIDE and inner <= twin < outer:
                for lane in range(lines.shape[1]):
                    lines[j, lane] = lines[twin, lane]
                continue
            for lane in range(lines.shape[1]):
                row = row_map[top + lane]
                lines[j, lane] = 0 if OUTSIDE in (source, row) else x[channel + row * W + source]
