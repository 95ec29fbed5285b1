"""A strided convolution as a sum of shifted images: padded x split into its u·v phases.

Output p reads padded row p·u + o_r through tap r. Row h of phase a is padded row h·u + a, so the
same row is row p + o_r // u of phase o_r % u: a constant shift of p, and likewise along W. With the
phase images flattened at a common pitch, each tap of each channel is one number, its shift:

    y[n,k, p·pitch + q] = Σ_t w[k,t] · image[n, g, shift_t + p·pitch + q]

Stride, dilation, flip and boundary live in the shifts and in the filling of the images; a kernel
sees none of them. Positions with q ≥ Q are computed along with the rest and dropped: one long loop
over rows runs faster than many short ones.
"""

from __future__ import annotations

import math
from typing import final

import numpy as np
from numba import njit, prange

from convbench.algorithm import Array, Resources
from convbench.boundary import OUTSIDE, IndexMap, index_maps
from convbench.spec import ConvSpec, Pair
from convbench_algorithms.taps import tap_offsets


@final
class PhaseImages:
    """The phase images [N,C,u,v,H″,W″] of a spec's x, and the shift of each tap.

    `shifts` [C/groups·R·S] are in elements, in the order of w's taps; `pitch` is W″. Where there is
    nothing to pad or split, x itself is the image and nothing is copied. Raises
    `WorkspaceTooLargeError` where the images do not fit.
    """

    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.groups = spec.groups
        self.left = spec.padding[1][0]
        self.stride = spec.stride
        self.rows, self.cols = index_maps(spec)
        height, self.pitch = (-(-len(m) // u) for m, u in zip((self.rows, self.cols), spec.stride, strict=True))
        shape = (spec.n, spec.c, *spec.stride, height, self.pitch)
        plane = math.prod(shape[2:])
        row_phase, col_phase = spec.stride[1] * height * self.pitch, height * self.pitch
        row_shift = _shift(tap_offsets(spec, 0), spec.stride[0], row_phase, self.pitch)
        col_shift = _shift(tap_offsets(spec, 1), spec.stride[1], col_phase, 1)
        channel_shift = np.arange(spec.c // spec.groups, dtype=np.int64) * plane
        self.shifts: IndexMap = (channel_shift[:, None, None] + row_shift[:, None] + col_shift).ravel()
        self.workspace_bytes = resources.reserve(self.shifts.nbytes)
        self.images: Array | None = None
        if spec.stride != (1, 1) or spec.padding != ((0, 0), (0, 0)):
            self.workspace_bytes = resources.reserve(self.workspace_bytes + math.prod(shape) * spec.itemsize)
            self.images = np.zeros(shape, spec.dtype)
            nothing = np.empty((0, *spec.x_shape[1:]), spec.dtype)
            _fill(nothing, self.images[:0], self.rows, self.cols, self.left, self.stride)  # compiles

    def of(self, x: Array) -> Array:
        """The images of x [N,C,H,W], flattened by group: [N, groups, C/groups·u·v·H″·W″]."""
        if self.images is None:
            return x.reshape(len(x), self.groups, -1)
        _fill(x, self.images, self.rows, self.cols, self.left, self.stride)
        return self.images.reshape(len(x), self.groups, -1)


def _shift(offsets: IndexMap, stride: int, phase: int, step: int) -> IndexMap:
    """offset o is element o // stride of phase o % stride."""
    shift: IndexMap = offsets % stride * phase + offsets // stride * step
    return shift


@njit(parallel=True, nogil=True, cache=True)
def _fill(x: Array, images: Array, rows: IndexMap, cols: IndexMap, left: int, stride: Pair) -> None:
    """Fill images [N,C,u,v,H″,W″] from x [N,C,H,W]; `left` is the padding at the left.

    Elements past the padded extent are left alone: only dropped outputs read them.
    """
    N, C, _, W = x.shape
    u, v = stride
    for nch in prange(N * C * len(rows)):
        n = nch // (C * len(rows))
        c = nch // len(rows) % C
        h = nch % len(rows)
        for b in range(v):
            target = images[n, c, h % u, b, h // u]
            width = (len(cols) - b + v - 1) // v
            if rows[h] == OUTSIDE:
                target[:width] = 0
                continue
            line = x[n, c, rows[h]]
            # The columns that lie inside x need no map: left ≤ j·v + b < left + W.
            first = min(max((left - b + v - 1) // v, 0), width)
            last = max(min((left + W - b + v - 1) // v, width), first)
            for j in range(first):
                col = cols[j * v + b]
                target[j] = 0 if col == OUTSIDE else line[col]
            if first < last:
                middle = target[first:last]
                source = line[first * v + b - left :]
                if v == 1:
                    for j in range(last - first):
                        middle[j] = source[j]
                else:
                    for j in range(last - first):
                        middle[j] = source[j * v]
            for j in range(last, width):
                col = cols[j * v + b]
                target[j] = 0 if col == OUTSIDE else line[col]
