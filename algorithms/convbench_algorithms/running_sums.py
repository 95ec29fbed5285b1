"""The sum over a window that slides along a line, in three additions whatever the window holds, and without drift.

A sum that runs on, one element in and one out, keeps the rounding errors of all that has gone through it. Here lines
are cut into blocks as long as the window, which then covers the end of one block and the beginning of the next:

    sums[b + j] = Σ lines[b + j … b + T − 1]  +  Σ lines[b + T … b + T + j − 1],   0 ≤ j < T

so that every sum holds its own elements and nothing else: van Herk, "A Fast Algorithm for Local Minimum and Maximum
Filters on Rectangular and Octagonal Kernels" (1992), and Gil & Werman, "Computing 2-D Min, Median, and Max Filters"
(1993), who need it as there is no subtraction of maxima.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from numba import njit

from convbench.algorithm import Array
from convbench_algorithms.compilation_cache import named
from convbench_algorithms.emitter import Emitter, Int, emitted, lanes_of


def _block_plain(
    lines: Any, first: int, step: int, count: int, taps: int, ends: Any, sums: Any, vectors: int
) -> None:  # fmt: skip
    for lane in range(lanes_of(lines.itemsize) * vectors):
        total = lines.dtype.type(0)
        for t in range(taps - 1, -1, -1):
            total += lines[first + t * step, lane]
            ends[t, lane] = total
        total = lines.dtype.type(0)
        for j in range(count):
            if j > 0:
                total += lines[first + (taps - 1 + j) * step, lane]
            sums[first + j * step, lane] = ends[j, lane] + total


@emitted(_block_plain)
def block_of_sums(
    e: Emitter, lines: Any, first: Int, step: Int, count: Int, taps: Int, ends: Any, sums: Any, vectors: int
) -> None:  # fmt: skip
    """sums[first + j·step] = Σ_t lines[first + (j + t)·step], t below `taps`, for j below `count`, 1 … `taps`.

    lines, sums [positions,width], ends [≥ taps,width], width = lanes·vectors; `vectors` is a constant.
    """
    totals = [e.variable(e.constant(0.0)) for _ in range(vectors)]
    with e.loop(taps) as i:
        t = taps - 1 - i
        line, end = lines.at(first + t * step), ends.at(t)
        for v, total in enumerate(totals):
            total.set(total.get() + e.load(line, v * e.lanes))
            e.store(total.get(), end, v * e.lanes)
    for v, total in enumerate(totals):
        e.store(total.get(), sums.at(first), v * e.lanes)
        total.set(e.constant(0.0))
    with e.loop(count, start=1) as j:
        line, end, target = lines.at(first + (taps - 1 + j) * step), ends.at(j), sums.at(first + j * step)
        for v, total in enumerate(totals):
            total.set(total.get() + e.load(line, v * e.lanes))
            e.store(total.get() + e.load(end, v * e.lanes), target, v * e.lanes)


@cache
def along_lines(vectors: int) -> Any:
    """sums[i] = Σ_t lines[i + t·dilation], for `two_passes.kernel`: `work` holds a block's ends, and `_` nothing."""

    def sums_along_lines(
        lines: Array, outputs: int, taps: int, dilation: int, _: Array, work: Array, sums: Array
    ) -> None:
        for phase in range(min(dilation, outputs)):
            count = (outputs - phase + dilation - 1) // dilation
            for b in range(0, count, taps):
                some = min(taps, count - b)
                block_of_sums(lines, phase + b * dilation, dilation, some, taps, work, sums, vectors)

    return njit(nogil=True, cache=True, error_model="numpy")(named(sums_along_lines, vectors))
