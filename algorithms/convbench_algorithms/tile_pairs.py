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
from convbench_algorithms.calls import call
from convbench_algorithms.fft_passes import ANALYSE, CONVOLVE, SYNTHESISE
from convbench_algorithms.planar_fft import Passes, forward_columns, inverse_columns, pitch, rows_there_and_back
from convbench_algorithms.tile_copies import Extents

TilePairs = npt.NDArray[np.int64]  # [pairs,2,3]: image, row and column in the padded input

NO_TILE: Final = -1
"""The image of a tile that is none: of a pair's other half, where tiles are odd in number."""


@njit(nogil=True, cache=True)
def _gather(x: Array, c: int, tile: Any, rows: IndexMap, cols: IndexMap, plain: Extents, target: Array) -> None:
    """Fill target [M,N] from the tile's origin on in the padded channel c of x [N,C,H,W]."""
    N = target.shape[1]
    if tile[0] == NO_TILE:
        target[:] = 0
        return
    left = tile[2]
    first = min(max(plain[0] - left, 0), N)
    last = min(max(plain[1] - left, first), N)
    for line in range(len(target)):
        source = rows[tile[1] + line]
        if source == OUTSIDE:
            target[line] = 0
            continue
        values, into = x[tile[0], c, source], target[line]
        for col in range(first):
            into[col] = 0 if cols[left + col] == OUTSIDE else values[cols[left + col]]
        inside = values[left - plain[0] + first : left - plain[0] + last]
        for col in range(len(inside)):
            into[first + col] = inside[col]
        for col in range(last, N):
            into[col] = 0 if cols[left + col] == OUTSIDE else values[cols[left + col]]


@njit(nogil=True, cache=True)
def _scatter(source: Array, tile: Any, k: int, keep: Extents, stride: Extents, y: Array) -> None:
    """Write the first `keep` elements of source [M,N] to the outputs that they are, of each u-th and v-th position."""
    if tile[0] == NO_TILE:
        return
    P, Q = y.shape[2], y.shape[3]
    u, v = stride[0], stride[1]
    p, q = tile[1] // u, tile[2] // v
    rows, cols = min((keep[0] - 1) // u + 1, P - p), min((keep[1] - 1) // v + 1, Q - q)
    for i in range(rows):
        outputs = y[tile[0], k, p + i, q : q + cols]
        if v == 1:
            values = source[i * u, :cols]
            for j in range(cols):
                outputs[j] = values[j]
        else:
            for j in range(cols):
                outputs[j] = source[i * u, j * v]


@njit(nogil=True, cache=True)
def take_share(
    thread: int,
    threads: int,
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
    """Take a thread's share of all pairs and channels through one of three steps.

    ANALYSE gathers channel c of pair b from x [N,C,H,W] and leaves its spectrum in tiles[b·C + c];
    SYNTHESISE takes channel k of pair b from there, and writes its outputs into y [N,K,P,Q];
    CONVOLVE does both, and multiplies by filters[c] between them; tiles[thread] is its workspace.
    Each of the tiles and filters is a row with [2,M,pitch] elements, of which the last axis uses the first N.
    """
    M, N = extent
    P = pitch(N, x.itemsize)
    channels = y.shape[1] if step == SYNTHESISE else x.shape[1]
    units = len(pairs) * channels
    for unit in range(units * thread // threads, units * (thread + 1) // threads):
        pair, c = pairs[unit // channels], unit % channels
        tile = tiles[thread if step == CONVOLVE else unit]
        re, im = tile[: M * P].reshape(M, P)[:, :N], tile[M * P : 2 * M * P].reshape(M, P)[:, :N]
        spectrum = filters[c if step == CONVOLVE else 0]
        filter_re = spectrum[: M * P].reshape(M, P)[:, :N]
        filter_im = spectrum[M * P : 2 * M * P].reshape(M, P)[:, :N]
        if step != SYNTHESISE:
            _gather(x, c, pair[0], rows, cols, plain, re)
            _gather(x, c, pair[1], rows, cols, plain, im)
            forward_columns(re, im, column_passes, column_twiddles)
        rows_there_and_back(re, im, filter_re, filter_im, row_passes, row_twiddles, step)
        if step != ANALYSE:
            inverse_columns(re, im, column_passes, column_twiddles)
            _scatter(re, pair[0], c, keep, stride, y)
            _scatter(im, pair[1], c, keep, stride, y)


@njit(nogil=True, cache=True, parallel=True)
def share_out(
    address: int,
    threads: int,
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
    """Have every thread `take_share`, which lies at `address`."""
    for thread in prange(threads):
        call(
            address,
            (
                np.int64(thread),
                threads,
                step,
                pairs,
                tiles,
                x,
                rows,
                cols,
                plain,
                filters,
                y,
                extent,
                keep,
                stride,
                column_passes,
                column_twiddles,
                row_passes,
                row_twiddles,
            ),
        )
