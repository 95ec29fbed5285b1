"""A summed-area table [rows + 1, ≥ columns + 1] in float64: a row more of it, and what it says of a row of windows."""

from __future__ import annotations

from typing import Any

from numba import njit

from convbench.algorithm import Array
from convbench_algorithms.emitter import Emitter, Int, emitted


def _add_row_plain(table: Any, row: int, line: Any, columns: int) -> None:
    total = 0.0
    for column in range(columns):
        total += line[0, column]
        table[row + 1, column + 1] = table[row, column + 1] + total


@emitted(_add_row_plain)
def add_row(e: Emitter, table: Any, row: Int, line: Any, columns: Int) -> None:
    """table[row + 1, j + 1] = table[row, j + 1] + Σ line[0, i] over i ≤ j, for j below `columns`.

    Up to the next multiple of lanes, table[row + 1] holds anything behind that. table is of float64, line [1,≥ columns]
    of any; both have room for a vector behind their columns. The first row and column of the table are left alone.
    """
    above, below = table.at(row) + 1, table.at(row + 1) + 1
    zeros = e.constant(0.0)
    so_far = e.variable(zeros)
    with e.loop(columns, step=e.lanes) as column:
        sums = e.load_widened(line, column)
        shift = 1
        while shift < e.lanes:  # each lane takes what the one `shift` below it has summed
            lanes_below = [e.lanes + lane - shift if lane >= shift else 0 for lane in range(e.lanes)]
            sums = sums + e.shuffle(zeros, sums, lanes_below)
            shift *= 2
        e.store(e.load(above, column) + (sums + so_far.get()), below, column)
        so_far.set(so_far.get() + e.shuffle(sums, sums, [e.lanes - 1] * e.lanes))


@njit(nogil=True, cache=True, error_model="numpy")
def look_up(table: Array, row: int, R: int, S: int, v: int, scale: Any, y: Array, add: int) -> None:
    """y[q] = scale·(the sum over R rows from `row` on, S columns from q·v on), added to what y holds if `add`."""
    above, below = table[row], table[row + R]
    if v == 1 and not add:
        for q in range(len(y)):
            y[q] = scale * ((below[q + S] - below[q]) - (above[q + S] - above[q]))
        return
    for q in range(len(y)):
        left, right = q * v, q * v + S
        total = scale * ((below[right] - below[left]) - (above[right] - above[left]))
        y[q] = y[q] + total if add else total
