"""Real tiles folded into complex ones of half the rows, through FFTs, and unfolded: no half of a spectrum to spare.

A column of a tile is a polynomial x(t) of degree below M. Modulo t^L − i, with L = M/2, it is

    z(t) = Σ_n (x[n] + i·x[n+L])·t^n,  n < L

and t = θs with θ = exp(πi/2L) makes that a cyclic transform of θⁿ·z[n]. A filter is real as well, so products of such
spectra give products of polynomials modulo t^M + 1: convolutions that wrap around with the other sign, which
overlap-save throws away all the same (Nussbaumer, "Fast Fourier Transform and Convolution Algorithms", 1982, section
6.4; as a weighted transform: Crandall & Fagin, "Discrete weighted transforms", Math. Comp. 62, 1994).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap
from convbench_algorithms.emitter import Array as Operand
from convbench_algorithms.emitter import Emitter, Int, Scalar, emitted
from convbench_algorithms.fft_passes import ANALYSE, CONVOLVE, SYNTHESISE
from convbench_algorithms.planar_fft import Passes, pitch, transform_tile
from convbench_algorithms.tile_copies import Extents

Turns = Array  # [2,L]: the real and imaginary parts of θⁿ


def half_turns(L: int, dtype: npt.DTypeLike) -> Turns:
    """θⁿ for n < L."""
    angles = np.pi / (2 * L) * np.arange(L)
    return np.array([np.cos(angles), np.sin(angles)]).astype(dtype)


def _blend_plain(a: Array, b: Array, p: float, q: float, target: Array, count: int) -> None:
    for j in range(count):
        target[j] = p * a[j] + q * b[j]


@emitted(_blend_plain)
def blend(e: Emitter, a: Operand, b: Operand, p: Scalar, q: Scalar, target: Operand, count: Int) -> None:
    """target[j] = p·a[j] + q·b[j] for j < count."""
    left, right = e.splat(p), e.splat(q)
    whole = count // e.lanes * e.lanes
    with e.loop(whole, step=e.lanes) as j:
        e.store(e.fma(left, e.load(a, j), right * e.load(b, j)), target, j)
    with e.loop(count, start=whole, step=e.lanes) as j:
        mask = e.first_lanes(count - j)
        some = e.fma(left, e.load_masked(mask, a, j), right * e.load_masked(mask, b, j))
        e.store_masked(mask, some, target, j)


@njit(nogil=True, cache=True)
def _gather_line(
    a: Array, b: Array, p: float, q: float, cols: IndexMap, edges: Extents, left: int, target: Array
) -> None:
    """Set target [N] to p·a + q·b for rows a, b of an image, from column `left` of the padded input on."""
    N = len(target)
    first = min(max(edges[0] - left, 0), N)
    last = min(max(edges[1] - left, first), N)
    if edges[2]:
        target[:first] = 0
        target[last:] = 0
    else:
        for begin, end in ((0, first), (last, N)):
            for j in range(begin, end):
                col = cols[left + j]
                target[j] = 0 if col == OUTSIDE else p * a[col] + q * b[col]
    if first < last:
        at = left - edges[0] + first
        blend(a[at:], b[at:], p, q, target[first:], last - first)


@njit(nogil=True, cache=True)
def _gather(
    x: Array, c: int, tile: Any, rows: IndexMap, cols: IndexMap, edges: Extents, turns: Turns, re: Array, im: Array
) -> None:
    """Fill re, im [L,N] with the tile [2L,N] of the padded channel c of x [N,C,H,W], folded."""
    L = len(re)
    for line in range(L):
        upper, lower = rows[tile[1] + line], rows[tile[1] + L + line]
        if upper == OUTSIDE and lower == OUTSIDE:
            re[line] = 0
            im[line] = 0
            continue
        a = x[tile[0], c, lower if upper == OUTSIDE else upper]
        b = x[tile[0], c, upper if lower == OUTSIDE else lower]
        some, other = x.dtype.type(upper != OUTSIDE), x.dtype.type(lower != OUTSIDE)
        cosine, sine = turns[0, line], turns[1, line]
        _gather_line(a, b, cosine * some, -sine * other, cols, edges, tile[2], re[line])
        _gather_line(a, b, sine * some, cosine * other, cols, edges, tile[2], im[line])


@njit(nogil=True, cache=True)
def _scatter(re: Array, im: Array, tile: Any, k: int, keep: Extents, stride: Extents, turns: Turns, y: Array) -> None:
    """Write the first `keep` elements of the tile that re, im [L,N] are folded from, each u-th and v-th of them."""
    L, (P, Q) = len(re), y.shape[2:]
    u, v = stride[0], stride[1]
    p, q = tile[1] // u, tile[2] // v
    rows, cols = min((keep[0] - 1) // u + 1, P - p), min((keep[1] - 1) // v + 1, Q - q)
    for i in range(rows):
        lower, line = divmod(i * u, L)
        cosine, sine = turns[0, line], turns[1, line]
        outputs = y[tile[0], k, p + i, q : q + cols]
        a, b, factor = (im[line], re[line], -sine) if lower else (re[line], im[line], sine)
        if v == 1:
            blend(a, b, cosine, factor, outputs, cols)
        else:
            for j in range(cols):
                outputs[j] = cosine * a[j * v] + factor * b[j * v]


@njit(nogil=True, cache=True, parallel=True)
def transform_tiles(
    threads: int,
    kernels: IndexMap,
    step: int,
    origins: IndexMap,
    tiles: Array,
    x: Array,
    rows: IndexMap,
    cols: IndexMap,
    edges: Extents,
    filters: Array,
    y: Array,
    extent: Extents,
    keep: Extents,
    stride: Extents,
    turns: Turns,
    column_passes: Passes,
    column_twiddles: Array,
    row_passes: Passes,
    row_twiddles: Array,
) -> None:
    """Take all tiles and channels, a share in each thread, through one of the steps of `transform_tile`.

    ANALYSE gathers channel c of the tile at origins[b] from x [N,C,H,W] and leaves its spectrum in tiles[b·C + c];
    SYNTHESISE takes channel k of tile b from there, and writes its outputs into y [N,K,P,Q];
    CONVOLVE does both, and multiplies by filters[c] between them; tiles[thread] is its workspace.
    Each of the tiles and filters is a row with two planes [L,pitch].
    """
    L, N = extent[0] // 2, extent[1]
    P = pitch(N, x.itemsize)
    channels = y.shape[1] if step == SYNTHESISE else x.shape[1]
    units = len(origins) * channels
    for index in prange(threads):
        thread = np.int64(index)  # it is unsigned
        for unit in range(units * thread // threads, units * (thread + 1) // threads):
            origin, c = origins[unit // channels], unit % channels
            tile, spectrum = (tiles[thread], filters[c]) if step == CONVOLVE else (tiles[unit], filters[0])
            re, im = tile[: L * P].reshape(L, P), tile[L * P : 2 * L * P].reshape(L, P)
            filter_re = spectrum[: L * P].reshape(L, P)
            filter_im = spectrum[L * P : 2 * L * P].reshape(L, P)
            if step != SYNTHESISE:
                _gather(x, c, origin, rows, cols, edges, turns, re[:, :N], im[:, :N])
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
                _scatter(re, im, origin, c, keep, stride, turns, y)
