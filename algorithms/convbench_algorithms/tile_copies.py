"""Copying tiles of the padded input into FFT buffers, and their outputs out of them into y."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap, index_maps
from convbench.spec import ConvSpec, Pair
from convbench_algorithms.fft_tiles import TileOrigins

Extents = npt.NDArray[np.int64]  # a pair [2]; kernels take it as an array, since prange's body cannot hold a tuple


def extents(pair: Pair) -> Extents:
    """A pair as kernels take it."""
    return np.array(pair, np.int64)


class PaddedInput(NamedTuple):
    """The padded input as maps to source indices; its columns plain[0] … plain[1]−1 are those of x, in order."""

    rows: IndexMap
    cols: IndexMap
    plain: Extents


def padded_input(spec: ConvSpec, reach: Pair) -> PaddedInput:
    """Maps that cover `reach`, with zeros for whatever no output sees.

    A stride may step over elements. A direct sum never meets them, but a transform would spread their
    round-off over all outputs, however large they are.
    """
    rows, cols = (_seen(spec, axis, index, reach[axis]) for axis, index in enumerate(index_maps(spec)))
    left, right = spec.padding[1][0], spec.padding[1][0] + spec.w
    plain = bool((cols[left:right] != OUTSIDE).all())
    return PaddedInput(rows, cols, extents((left, right) if plain else (0, 0)))


def _seen(spec: ConvSpec, axis: int, index: IndexMap, extent: int) -> IndexMap:
    outputs, taps = (spec.p, spec.q)[axis], (spec.r, spec.s)[axis]
    seen = np.arange(outputs)[:, None] * spec.stride[axis] + np.arange(taps) * spec.dilation[axis]
    visible = np.full(max(extent, len(index)), OUTSIDE, np.int64)
    visible[seen] = index[seen]
    return visible


@njit(nogil=True, cache=True)
def _gather_line(
    line: int, x: Array, tiles: TileOrigins, rows: IndexMap, cols: IndexMap, plain: Extents, take: Extents, real: Array
) -> None:
    _, C, M, _ = real.shape
    b = line // (C * M)
    c = line // M % C
    row = line % M
    target = real[b, c, row]
    source = rows[tiles[b, 1] + row] if row < take[0] else OUTSIDE
    if source == OUTSIDE:
        target[:] = 0
        return
    values = x[tiles[b, 0], c, source]
    col0 = tiles[b, 2]
    first = min(max(plain[0] - col0, 0), take[1])
    last = min(max(plain[1] - col0, first), take[1])
    for col in range(first):
        target[col] = 0 if cols[col0 + col] == OUTSIDE else values[cols[col0 + col]]
    inside = values[col0 - plain[0] + first : col0 - plain[0] + last]
    for col in range(len(inside)):
        target[first + col] = inside[col]
    for col in range(last, take[1]):
        target[col] = 0 if cols[col0 + col] == OUTSIDE else values[cols[col0 + col]]
    target[take[1] :] = 0


@njit(nogil=True, cache=True)
def _scatter_line(
    line: int, real: Array, tiles: TileOrigins, keep: Extents, lead: Extents, stride: Extents, adds: bool, y: Array
) -> None:
    _, K, P, Q = y.shape
    u, v = stride[0], stride[1]
    b = line // (K * keep[0])
    k = line // keep[0] % K
    row = line % keep[0]
    position = tiles[b, 1] - lead[0] + row
    if position < 0 or position % u or position // u >= P:
        return
    begin = tiles[b, 2] - lead[1]
    first = max((begin + v - 1) // v, 0)
    last = min((begin + keep[1] + v - 1) // v, Q)
    outputs = y[tiles[b, 0], k, position // u, first:last]
    kept = real[b, k, row, first * v - begin :: v]
    if adds:
        for q in range(len(outputs)):
            outputs[q] += kept[q]
    else:
        for q in range(len(outputs)):
            outputs[q] = kept[q]


# Each kernel twice: for one of several threads, and spread over all of them. They are written out, since
# Numba's cache would take two compilations of one function for the same.


@njit(nogil=True, cache=True)
def gather(
    x: Array, tiles: TileOrigins, rows: IndexMap, cols: IndexMap, plain: Extents, take: Extents, real: Array
) -> None:
    """Fill real [B,C,M,N] with `take` elements from each origin in tiles [≤B,3], and zeros after them."""
    for line in range(len(tiles) * real.shape[1] * real.shape[2]):
        _gather_line(line, x, tiles, rows, cols, plain, take, real)


@njit(nogil=True, cache=True, parallel=True)
def parallel_gather(
    x: Array, tiles: TileOrigins, rows: IndexMap, cols: IndexMap, plain: Extents, take: Extents, real: Array
) -> None:
    """`gather` by all threads."""
    for line in prange(len(tiles) * real.shape[1] * real.shape[2]):
        _gather_line(line, x, tiles, rows, cols, plain, take, real)


@njit(nogil=True, cache=True)
def scatter(
    real: Array, tiles: TileOrigins, keep: Extents, lead: Extents, stride: Extents, adds: bool, y: Array
) -> None:
    """Write, or add, the first `keep` elements of each tile in real [B,K,M,N] to every u-th, v-th position in y."""
    for line in range(len(tiles) * y.shape[1] * keep[0]):
        _scatter_line(line, real, tiles, keep, lead, stride, adds, y)


@njit(nogil=True, cache=True, parallel=True)
def parallel_scatter(
    real: Array, tiles: TileOrigins, keep: Extents, lead: Extents, stride: Extents, adds: bool, y: Array
) -> None:
    """`scatter` by all threads, tile after tile: only the lines of one tile are sure to be different lines of y."""
    lines = y.shape[1] * keep[0]
    for b in range(len(tiles)):
        for line in prange(lines):
            _scatter_line(b * lines + line, real, tiles, keep, lead, stride, adds, y)
