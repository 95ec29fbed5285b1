"""im2col and its transpose, col2im: the patches of an image as the columns of a matrix.

Column p·Q + q holds what output (p,q) reads: columns[(c·R + r)·S + s, p·Q + q] = x[c, rows[p,r], cols[q,s]].
With w as a matrix [K,C·R·S], convolution is one matrix product: Chellapilla, Puri & Simard, "High Performance
Convolutional Neural Networks for Document Processing" (2006), the form that Caffe made common.
"""

from __future__ import annotations

from typing import final

import numpy as np
from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap
from convbench.spec import ConvSpec
from convbench_algorithms.strided_copy import copy_strided
from convbench_algorithms.taps import source_table, tap_offsets


@final
class Columns:
    """Gathers, or for backward_data scatters, the columns of one image and one group of a spec."""

    def __init__(self, spec: ConvSpec) -> None:
        self.rows = source_table(spec, 0)  # [P,R]
        self.cols = source_table(spec, 1)  # [Q,S]
        # Tap s of output q reads padded column q·v + o_s, inside x where left ≤ q·v + o_s < left + W.
        left, v = spec.padding[1][0], spec.stride[1]
        ends = np.array([[left], [left + spec.w]]) - tap_offsets(spec, 1)
        self.inside: IndexMap = np.sort(np.clip(-(-ends // v), 0, spec.q), axis=0)  # [2,S]
        self.stride = v
        self.nbytes = self.rows.nbytes + self.cols.nbytes + self.inside.nbytes

    def compile(self, spec: ConvSpec) -> None:
        """Compile what `spec` needs of `gather` and `scatter`."""
        nothing = np.empty((0, *spec.x_shape[2:]), spec.dtype)
        if spec.direction == "backward_data":
            self.scatter(np.empty((0, 0), spec.dtype), nothing)
        else:
            self.gather(nothing, np.empty((0, 0), spec.dtype), 0)

    def gather(self, x: Array, columns: Array, start: int) -> None:
        """Fill columns [C·R·S, L] with those of outputs start … start+L, from x [C,H,W]."""
        _gather(x, columns, start, self.rows, self.cols, self.inside, self.stride)

    def scatter(self, columns: Array, x: Array) -> None:
        """Set x [C,H,W] to what columns [C·R·S, P·Q] add up to in each element: gather's transpose."""
        _scatter(columns, x, self.rows, self.cols, self.inside, self.stride)


@njit(parallel=True, nogil=True, cache=True)
def _gather(
    x: Array, columns: Array, start: int, rows: IndexMap, cols: IndexMap, inside: IndexMap, stride: int
) -> None:
    for t in prange(len(columns)):
        _gather_tap(x, columns[t], t, start, rows, cols, inside, stride)


@njit(nogil=True, cache=True)
def gather_alone(
    x: Array, columns: Array, start: int, rows: IndexMap, cols: IndexMap, inside: IndexMap, stride: int
) -> None:
    """As `Columns.gather`, on the calling thread: for callers that are one of many."""
    for t in range(len(columns)):
        _gather_tap(x, columns[t], t, start, rows, cols, inside, stride)


@njit(nogil=True, cache=True)
def _gather_tap(
    x: Array, column: Array, t: int, start: int, rows: IndexMap, cols: IndexMap, inside: IndexMap, stride: int
) -> None:
    """Fill `column` [L] with what outputs start … start+L read through tap t = (c·R + r)·S + s."""
    R = rows.shape[1]
    Q, S = cols.shape
    W = x.shape[2]
    c, r, s = t // (R * S), t // S % R, t % S
    plane = x[c].ravel()
    end = start + len(column)
    for p in range(start // Q, (end + Q - 1) // Q):
        begin = max(start - p * Q, 0)
        stop = min(end - p * Q, Q)
        at = p * Q - start
        row = rows[p, r]
        if row == OUTSIDE:
            for q in range(begin, stop):
                column[at + q] = 0
            continue
        first = min(max(inside[0, s], begin), stop)
        last = max(min(inside[1, s], stop), first)
        for q in range(begin, first):
            column[at + q] = 0 if cols[q, s] == OUTSIDE else plane[row * W + cols[q, s]]
        if first < last:
            copy_strided(plane[row * W + cols[first, s] :], column[at + first :], last - first, stride)
        for q in range(last, stop):
            column[at + q] = 0 if cols[q, s] == OUTSIDE else plane[row * W + cols[q, s]]


@njit(parallel=True, nogil=True, cache=True)
def _scatter(columns: Array, x: Array, rows: IndexMap, cols: IndexMap, inside: IndexMap, stride: int) -> None:
    P, R = rows.shape
    Q, S = cols.shape
    for c in prange(len(x)):
        x[c] = 0
        for r in range(R):
            for s in range(S):
                first, last = inside[0, s], inside[1, s]
                for p in range(P):
                    if rows[p, r] == OUTSIDE:
                        continue
                    source = columns[(c * R + r) * S + s, p * Q : p * Q + Q]
                    line = x[c, rows[p, r]]
                    for q in range(first):
                        if cols[q, s] != OUTSIDE:
                            line[cols[q, s]] += source[q]
                    for q in range(first, last):
                        line[cols[first, s] + (q - first) * stride] += source[q]
                    for q in range(last, Q):
                        if cols[q, s] != OUTSIDE:
                            line[cols[q, s]] += source[q]
