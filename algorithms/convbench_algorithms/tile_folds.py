"""Real tiles folded into complex ones of half the rows, through FFTs, and unfolded: no half of a spectrum to spare.

A column of a tile is a polynomial x(t) of degree below M. Modulo t^L − i, with L = M/2, it is

    z(t) = Σ_n (x[n] + i·x[n+L])·t^n,  n < L

and t = θs with θ = exp(πi/2L) makes that a cyclic transform of θⁿ·z[n]. A filter is real as well, so products of such
spectra give products of polynomials modulo t^M + 1: convolutions that wrap around with the other sign, which
overlap-save throws away all the same (Nussbaumer, "Fast Fourier Transform and Convolution Algorithms", 1982, section
6.4; as a weighted transform: Crandall & Fagin, "Discrete weighted transforms", Math. Comp. 62, 1994).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from convbench.algorithm import Array, MiB
from convbench.boundary import OUTSIDE, IndexMap
from convbench_algorithms.emitter import I64, Emitter, Int, Scalar, Vector, emitted
from convbench_algorithms.emitter import Array as Operand
from convbench_algorithms.fft_squares import ANALYSE, CONVOLVE, SYNTHESISE
from convbench_algorithms.planar_fft import Passes, pitch, transform_tile
from convbench_algorithms.tile_copies import Extents

STREAM_BYTES: Final = 16 * MiB
"""An output beyond this is written past the caches: the third level is too small for it."""

Turns = Array  # [2,L]: the real and imaginary parts of θⁿ


def half_turns(L: int, dtype: npt.DTypeLike) -> Turns:
    """θⁿ for n < L."""
    angles = np.pi / (2 * L) * np.arange(L)
    return np.array([np.cos(angles), np.sin(angles)]).astype(dtype)


def _fold_line_plain(
    x: Array,
    n: int,
    c: int,
    upper: int,
    lower: int,
    at: int,
    first: int,
    last: int,
    p: float,
    q: float,
    r: float,
    s: float,
    re: Array,
    im: Array,
    line: int,
    N: int,
) -> None:
    for j in range(N):
        a = b = re.dtype.type(0)
        if first <= j < last:
            a, b = x[n, c, upper, at + j], x[n, c, lower, at + j]
        re[line, j] = p * a + q * b
        im[line, j] = r * a + s * b


@emitted(_fold_line_plain)
def fold_line(
    e: Emitter,
    x: Operand,
    n: Int,
    c: Int,
    upper: Int,
    lower: Int,
    at: Int,
    first: Int,
    last: Int,
    p: Scalar,
    q: Scalar,
    r: Scalar,
    s: Scalar,
    re: Operand,
    im: Operand,
    line: Int,
    N: Int,
) -> None:
    """Two rows a, b of x [N,C,H,W], from column `at` on, as a line of re, im [L,pitch]: p·a + q·b and r·a + s·b.

    Columns from `first` to `last` of N are there; the others are zeros, and their memory is not touched.
    """
    a, b = x.at(n, c, upper) + at, x.at(n, c, lower) + at
    real, imaginary = re.at(line), im.at(line)
    weights = [e.splat(weight) for weight in (p, q, r, s)]

    def put(a: Vector, b: Vector, j: Int) -> None:
        e.store(e.fma(weights[0], a, weights[1] * b), real, j)
        e.store(e.fma(weights[2], a, weights[3] * b), imaginary, j)

    begin, end = (first + (e.lanes - 1)) // e.lanes * e.lanes, last // e.lanes * e.lanes
    with e.loop(end, start=begin, step=e.lanes) as j:
        put(e.load(a, j), e.load(b, j), j)
    for start, stop in ((e.integer(0), begin.minimum(N)), (end, N)):
        with e.loop(stop, start=start, step=e.lanes) as j:
            mask = e.lanes_between(first - j, last - j)
            put(e.load_masked(mask, a, j), e.load_masked(mask, b, j), j)


@njit(nogil=True, cache=True)
def _gather(
    x: Array,
    c: int,
    tile: Any,
    rows: IndexMap,
    cols: IndexMap,
    edges: Extents,
    turns: Turns,
    N: int,
    re: Array,
    im: Array,
) -> None:
    """Fill re, im [L,pitch] with the tile [2L,N] of the padded channel c of x [N,C,H,W], folded."""
    L = len(re)
    n, left = tile[0], tile[2]
    at = left - edges[0]
    first = min(max(-at, 0), N)
    last = min(max(edges[1] - left, first), N)
    for line in range(L):
        upper, lower = rows[tile[1] + line], rows[tile[1] + L + line]
        p, q, r, s = turns[0, line], -turns[1, line], turns[1, line], turns[0, line]
        if upper == OUTSIDE and lower == OUTSIDE:
            fold_line(x, n, c, 0, 0, at, N, N, p, q, r, s, re, im, line, N)
            continue
        if upper == OUTSIDE:
            p = r = x.dtype.type(0)
            upper = lower
        elif lower == OUTSIDE:
            q = s = x.dtype.type(0)
            lower = upper
        fold_line(x, n, c, upper, lower, at, first, last, p, q, r, s, re, im, line, N)
        if not edges[2]:
            for j in range(N):
                col = cols[left + j]
                if (j < first or j >= last) and col != OUTSIDE:
                    a, b = x[n, c, upper, col], x[n, c, lower, col]
                    re[line, j] = p * a + q * b
                    im[line, j] = r * a + s * b


def _unfold_line_plain(
    a: Array,
    b: Array,
    line: int,
    cosine: float,
    sine: float,
    y: Array,
    n: int,
    k: int,
    p: int,
    q: int,
    count: int,
    _stream: int,
) -> None:
    for j in range(count):
        y[n, k, p, q + j] = cosine * a[line, j] + sine * b[line, j]


@emitted(_unfold_line_plain)
def unfold_line(
    e: Emitter,
    a: Operand,
    b: Operand,
    line: Int,
    cosine: Scalar,
    sine: Scalar,
    y: Operand,
    n: Int,
    k: Int,
    p: Int,
    q: Int,
    count: Int,
    stream: Int,
) -> None:
    """cosine·a + sine·b, of a line of planes a, b [L,pitch], as `count` outputs of y [N,K,P,Q] from (p,q) on.

    `stream` writes past the caches what fills cache lines of y, which starts at a whole element.
    """
    cos, sin = e.splat(cosine), e.splat(sine)
    left, right, target = a.at(line), b.at(line), y.at(n, k, p) + q
    address = Int(e.builder, e.builder.ptrtoint(target.ir, I64))
    head = ((0 - address // e.itemsize) % e.lanes + e.lanes) % e.lanes
    head = head.minimum(count)
    whole = head + (count - head) // e.lanes * e.lanes
    for start, stop in ((e.integer(0), head), (whole, count)):
        with e.when(start.compare("<", stop)):
            mask = e.first_lanes(stop - start)
            some = e.fma(cos, e.load_masked(mask, left, start), sin * e.load_masked(mask, right, start))
            e.store_masked(mask, some, target, start)
    for relation, store in (("==", e.store), ("!=", e.store_past_caches)):
        with e.when(stream.compare(relation, 0)), e.loop(whole, start=head, step=e.lanes) as j:
            store(e.fma(cos, e.load(left, j), sin * e.load(right, j)), target, j)


@njit(nogil=True, cache=True)
def _scatter(re: Array, im: Array, tile: Any, k: int, keep: Extents, stride: Extents, turns: Turns, y: Array) -> None:
    """Write the first `keep` elements of the tile that re, im [L,N] are folded from, each u-th and v-th of them."""
    L, (P, Q) = len(re), y.shape[2:]
    u, v = stride[0], stride[1]
    n, p, q = tile[0], tile[1] // u, tile[2] // v
    rows, cols = min((keep[0] - 1) // u + 1, P - p), min((keep[1] - 1) // v + 1, Q - q)
    stream = 1 if y.nbytes > STREAM_BYTES else 0
    for i in range(rows):
        lower, line = i * u // L, i * u % L
        cosine, sine = turns[0, line], turns[1, line]
        if v == 1:
            if lower:
                unfold_line(im, re, line, cosine, -sine, y, n, k, p + i, q, cols, stream)
            else:
                unfold_line(re, im, line, cosine, sine, y, n, k, p + i, q, cols, stream)
        elif lower:
            for j in range(cols):
                y[n, k, p + i, q + j] = cosine * im[line, j * v] - sine * re[line, j * v]
        else:
            for j in range(cols):
                y[n, k, p + i, q + j] = cosine * re[line, j * v] + sine * im[line, j * v]


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
                _gather(x, c, origin, rows, cols, edges, turns, N, re, im)
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
