"""Tiles of images through FFTs in pairs: one is the real part of a complex tile, the other its imaginary part.

A filter is real, so (a + ib) ⋆ w = a ⋆ w + i·(b ⋆ w): a complex transform convolves two tiles at once, with no spectrum
to take apart, for the price of the two real transforms that it replaces.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap
from convbench_algorithms.fft_passes import ANALYSE, CONVOLVE, SYNTHESISE
from convbench_algorithms.planar_fft import Passes, pitch, transform_tile
from convbench_algorithms.strided_copy import copy_strided
from convbench_algorithms.tile_copies import Extents

TilePairs = npt.NDArray[np.int64]  # [pairs,2,3]: image, row and column in the padded input

NO_TILE: Final = -1
"""The image of a tile that is none: of a pair's other half, where tiles are odd in number."""


@njit(nogil=True, cache=True)
def _gather(x: Array, c: int, tile: Any, rows: IndexMap, cols: IndexMap, plain: Extents, N: int, target: Array) -> None:
    """Fill target [M,pitch], the first N columns, from the tile's origin on in the padded channel c of x [N,C,H,W]."""
    if tile[0] == NO_TILE:
        target[:] = 0
        return
    left, one = tile[2], np.int64(1)  # no constant: the kernel is for any step
    first = min(max(plain[0] - left, 0), N)
    last = min(max(plain[1] - left, first), N)
    for line in range(len(target)):
        source = rows[tile[1] + line]
        if source == OUTSIDE:
            target[line, :N] = 0
            continue
        values, into = x[tile[0], c, source], target[line, :N]
        for col in range(first):
            into[col] = 0 if cols[left + col] == OUTSIDE else values[cols[left + col]]
        if first < last:
            copy_strided(values[left - plain[0] + first :], into[first:], last - first, one)  # type: ignore[arg-type]
        for col in range(last, N):
            into[col] = 0 if cols[left + col] == OUTSIDE else values[cols[left + col]]


@njit(nogil=True, cache=True)
def _scatter(source: Array, tile: Any, k: int, keep: Extents, stride: Extents, y: Array) -> None:
    """Write the first `keep` elements of source [M,pitch], each u-th and v-th of them, to the outputs that they are."""
    if tile[0] == NO_TILE:
        return
    P, Q = y.shape[2], y.shape[3]
    u, v = stride[0], stride[1]
    p, q = tile[1] // u, tile[2] // v
    rows, cols = min((keep[0] - 1) // u + 1, P - p), min((keep[1] - 1) // v + 1, Q - q)
    for i in range(rows):
        values, outputs = source[i * u], y[tile[0], k, p + i, q : q + cols]
        if v == 1:
            for j in range(cols):
                outputs[j] = values[j]
        else:
            for j in range(cols):
                outputs[j] = values[j * v]


@njit(nogil=True, cache=True, parallel=True)
def transform_pairs(
    threads: int,
    kernels: IndexMap,
    step: int,
    pairs: TilePairs,
    tiles: Array,
    x: Array,
    rows: IndexMap,
    cols: IndexMap,
    plain: Extents,
    filters: Array,
    y: Array,
    extent: Extents,
    keep: Extents,
    stride: Extents,
    column_passes: Passes,
    column_twiddles: Array,
    row_passes: Passes,
    row_twiddles: Array,
) -> None:
    """Take all pairs and channels, a share in each thread, through one of the steps of `transform_tile`.

    ANALYSE gathers channel c of pair b from x [N,C,H,W] and leaves its spectrum in tiles[b·C + c];
    SYNTHESISE takes channel k of pair b from there, and writes its outputs into y [N,K,P,Q];
    CONVOLVE does both, and multiplies by filters[c] between them; tiles[thread] is its workspace.
    Each of the tiles and filters is a row with two planes [M,pitch].
    """
    M, N = extent[0], extent[1]
    P = pitch(N, x.itemsize)
    channels = y.shape[1] if step == SYNTHESISE else x.shape[1]
    units = len(pairs) * channels
    for index in prange(threads):
        thread = np.int64(index)  # it is unsigned
        for unit in range(units * thread // threads, units * (thread + 1) // threads):
            pair, c = pairs[unit // channels], unit % channels
            tile, spectrum = (tiles[thread], filters[c]) if step == CONVOLVE else (tiles[unit], filters[0])
            re, im = tile[: M * P].reshape(M, P), tile[M * P : 2 * M * P].reshape(M, P)
            filter_re = spectrum[: M * P].reshape(M, P)
            filter_im = spectrum[M * P : 2 * M * P].reshape(M, P)
            if step != SYNTHESISE:
                _gather(x, c, pair[0], rows, cols, plain, N, re)
                _gather(x, c, pair[1], rows, cols, plain, N, im)
            transform_tile(
                kernels,
                step,
                re,
                im,
                N,
                filter_re,
                filter_im,
                column_passes,
                column_twiddles,
                row_passes,
                row_twiddles,
            )
            if step != ANALYSE:
                _scatter(re, pair[0], c, keep, stride, y)
                _scatter(im, pair[1], c, keep, stride, y)
