"""Matrix products Y [K,L] = W [K,T] · B [T,L] for Numba code, in blocks that stay in registers for the whole of T.

W is packed once; row t of B is wherever starts[t] says, so that an image is a matrix too: a pixel's neighbours are the
same memory, begun elsewhere. Two kernels compute the same and differ in what the lanes of a vector are:

    pixels_in_lanes     a vector holds neighbouring pixels of B, each weight is broadcast; written as it comes
    channels_in_lanes   a vector holds neighbouring channels of W, each pixel is broadcast; transposed when written

The first writes faster, and so suits a short sum; the second wastes no lane on images of 7² or 14² pixels.

Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (ACM TOMS 34, 2008), section 4; Van Zee & van
de Geijn, "BLIS" (ACM TOMS 41, 2015): rows·vectors multiply-adds for rows + vectors loads in each step of the sum.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np
from numba import njit

from convbench.algorithm import Array
from convbench.boundary import IndexMap
from convbench_algorithms.emitter import REGISTERS, emitted, lanes_of

ROWS: Final = 6
VECTORS: Final = 2 if REGISTERS == 16 else 4
"""Of `pixels_in_lanes`: 6 × 4 sums, 4 vectors of B and a weight take 29 registers of 32; 6 × 2 take 15 of 16."""

FEWEST_JOINED: Final = 5
"""Rows that a block of `pixels_in_lanes` must have for vectors to reach from one line to the next: less to compile."""

WIDE: Final = 2
PIXELS: Final = (REGISTERS or 32) // WIDE - 2
"""Of `channels_in_lanes`: 14 × 2 accumulators take 31 registers of 32, 6 × 2 take 15 of 16."""


def _sums(
    e: Any, T: Any, factors: Any, rows: int, pieces: Any, vectors: int, last: Any = None, ahead: Any = None
) -> list[list[Any]]:
    """Σ_t factor r of t × vector v of t, for each r and v; `factors` and `pieces` give their place for a t.

    `last`, if any, loads the last vector. What lies `ahead` elements past each piece is asked for early.
    """
    sums = [[e.variable(e.constant(0.0)) for _ in range(vectors)] for _ in range(rows)]
    with e.loop(T) as t:
        place, factor_place = pieces(t), factors(t)
        loaded = [e.load(place, v * e.lanes) for v in range(vectors - (last is not None))]
        if last is not None:
            loaded.append(last(place))
        if ahead is not None:
            e.prefetch(place, ahead, level=2)
        for r, row in enumerate(sums):
            factor = e.broadcast(factor_place, r)
            for piece, total in zip(loaded, row, strict=True):
                total.set(e.fma(factor, piece, total.get()))
    return [[total.get() for total in row] for row in sums]


def _pixels_plain(
    W: Array,
    source: Array,
    starts: IndexMap,
    Y: Array,
    rows: int,
    _: int,
    width: int,
    line: int,
    gap: int,
    _past_caches: bool,
) -> None:
    for r in range(rows):
        for j in range(width):
            Y[r, j] = 0
        for t in range(len(starts)):
            piece = source[starts[t] :]
            for j in range(width):
                Y[r, j] += W[t * rows + r] * piece[j if j < line else j + gap]


@emitted(_pixels_plain)
def _pixels(
    e: Any,
    W: Any,
    source: Any,
    starts: Any,
    Y: Any,
    rows: Any,
    vectors: Any,
    width: Any,
    line: Any,
    gap: Any,
    past_caches: Any,
) -> None:
    """From element `line` on, which is none or one of the last vector, the source lies `gap` further."""

    def pieces(t: Any) -> Any:
        return source + e.load_integer(starts, t)

    def block(v: int, r: int, last_vector: Any, wanted: Any) -> None:
        sums = _sums(e, starts.shape[0], lambda t: W + t * r, r, pieces, v, last_vector)
        with e.when(past_caches.compare("!=", 0)):
            for i, row in enumerate(sums):
                for j, total in enumerate(row):
                    e.store_past_caches(total, Y.at(i), j * e.lanes)
        with e.when(past_caches.compare("==", 0)):
            for i, row in enumerate(sums):
                for j, total in enumerate(row[:-1]):
                    e.store(total, Y.at(i), j * e.lanes)
                e.store_masked(wanted, row[-1], Y.at(i), (v - 1) * e.lanes)

    for v in range(1, VECTORS + 1):
        with e.when(vectors.compare("==", v)):
            last = (v - 1) * e.lanes
            # Masks that were made where they are used would be made in every round of the loop.
            wanted, first = e.first_lanes(width - last), e.first_lanes(line.minimum(width) - last)
            second = e.lanes_between(line - last, width - last)

            def one_piece(place: Any, last: int = last, wanted: Any = wanted) -> Any:
                return e.load_masked(wanted, place, last)

            def two_pieces(place: Any, last: int = last, first: Any = first, second: Any = second) -> Any:
                return e.load_masked(first, place, last) + e.load_masked(second, place + gap, last)

            for r in range(1, ROWS + 1):
                with e.when(rows.compare("==", r)):
                    if r < FEWEST_JOINED:
                        block(v, r, one_piece, wanted)
                        continue
                    for relation, pieces_of in ((">=", one_piece), ("<", two_pieces)):
                        with e.when(line.compare(relation, width)):
                            block(v, r, pieces_of, wanted)


@njit(nogil=True, cache=True)
def pixels_in_lanes(W: Array, source: Array, starts: IndexMap, pitch: int, Y: Array, past_caches: bool) -> None:
    """Y[k,i,j] = Σ_t W[k,t] · source[starts[t] + i·pitch + j]; Y [K,M,L] has contiguous rows, W is packed.

    Where rows of Y follow each other without a gap, vectors reach from one to the next. With `past_caches`, for a
    distance of whole cache lines between channels, all vectors but the first and the last are lines of memory.
    """
    K, M, L = Y.shape
    T = len(starts)
    lanes = lanes_of(Y.itemsize)
    blocks = (K + ROWS - 1) // ROWS
    joined = Y.strides[1] == L * Y.itemsize and lanes <= L and K // blocks >= FEWEST_JOINED
    length = M * L if joined else L
    for run in range(1 if joined else M):
        address = np.int64(Y[0, run].ctypes.data)
        streams = past_caches and address % Y.itemsize == 0
        position = 0
        # A first vector that ends where a cache line does, then as many as end with a row or reach into the next.
        end = min(-address // Y.itemsize % lanes, length) if streams else 0
        while position < length:
            i, j = divmod(position, L)
            if end == position:
                end = min(position + (L - j + lanes - 1) // lanes * lanes, length)
            vectors = (end - position + lanes - 1) // lanes
            panels = (vectors + VECTORS - 1) // VECTORS
            for panel in range(panels):
                first = vectors * panel // panels
                last = vectors * (panel + 1) // panels
                left = j + first * lanes
                width = min(last * lanes, end - position) - first * lanes
                piece = source[(run + i) * pitch + left :]
                for block in range(blocks):
                    k = K * block // blocks
                    _pixels(
                        W[k * T :],
                        piece,
                        starts,
                        Y[k:, run + i, left:],
                        K * (block + 1) // blocks - k,
                        last - first,
                        width,
                        L - left,
                        pitch - L,
                        streams and width == (last - first) * lanes,
                    )
            position = end


def _channels_plain(W: Array, source: Array, starts: IndexMap, sums: Array, pixels: int, vectors: int, _: int) -> None:
    width = vectors * lanes_of(sums.itemsize)
    for j in range(pixels):
        total = sums[j * width : (j + 1) * width]
        total[:] = 0
        for t in range(len(starts)):
            weights = W[t * width : (t + 1) * width]
            for k in range(width):
                total[k] += source[starts[t] + j] * weights[k]


@emitted(_channels_plain)
def _channels(e: Any, W: Any, source: Any, starts: Any, sums: Any, pixels: Any, vectors: Any, ahead: Any) -> None:
    def pixels_of(t: Any) -> Any:
        return source + e.load_integer(starts, t)

    for v in range(1, WIDE + 1):
        width = v * e.lanes
        with e.when(vectors.compare("==", v)):
            for n in range(1, PIXELS + 1):
                with e.when(pixels.compare("==", n)):
                    totals = _sums(e, starts.shape[0], pixels_of, n, lambda t, w=width: W + t * w, v, ahead=ahead)
                    for j, row in enumerate(totals):
                        for i, total in enumerate(row):
                            e.store(total, sums, j * width + i * e.lanes)


def _transposed_plain(sums: Array, width: int, Y: Array, channels: int, pixels: int) -> None:
    for k in range(channels):
        for j in range(pixels):
            Y[k, j] = sums[j * width + k]


@emitted(_transposed_plain)
def _transposed(e: Any, sums: Any, width: Any, Y: Any, channels: Any, pixels: Any) -> None:
    with e.loop(channels, step=e.lanes) as k, e.loop(pixels, step=e.lanes) as j:
        mask = e.first_lanes(pixels - j)
        square = e.transpose([e.load(sums, (j + i) * width + k) for i in range(e.lanes)])
        for i, row in enumerate(square):
            with e.when((channels - k).compare(">", i)):
                e.store_masked(mask, row, Y.at(k + i), j)


@njit(nogil=True, cache=True)
def channels_in_lanes(W: Array, source: Array, starts: IndexMap, pitch: int, Y: Array, sums: Array) -> None:
    """As `pixels_in_lanes`, with W packed for it, and `sums` [≥ `sums_length`] to transpose from."""
    K, M, L = Y.shape
    T = len(starts)
    lanes = lanes_of(Y.itemsize)
    vectors = (K + lanes - 1) // lanes
    blocks = (vectors + WIDE - 1) // WIDE
    pieces = (L + PIXELS - 1) // PIXELS
    for block in range(blocks):
        first = vectors * block // blocks
        count = vectors * (block + 1) // blocks - first
        k = first * lanes
        weights = W[k * T :]
        for i in range(M):
            for piece in range(pieces):
                left = L * piece // pieces
                width = L * (piece + 1) // pieces - left
                _channels(
                    weights,
                    source[i * pitch + left :],
                    starts,
                    sums,
                    width,
                    count,
                    count * lanes * T + (i * pieces + piece) % count * lanes,
                )
                _transposed(sums, count * lanes, Y[k:, i, left:], min(count * lanes, K - k), width)


@njit(nogil=True, inline="always")  # each function between kernel and caller compiles the kernel once more
def multiply(
    wide: bool, W: Array, source: Array, starts: IndexMap, pitch: int, Y: Array, sums: Array, past_caches: bool
) -> None:
    """`channels_in_lanes` if `wide`, else `pixels_in_lanes`."""
    if wide:
        channels_in_lanes(W, source, starts, pitch, Y, sums)
    else:
        pixels_in_lanes(W, source, starts, pitch, Y, past_caches)


def pack(w: Array, wide: bool) -> Array:
    """w [K,T] as the kernels read it, 1-D: blocks of rows, in each block one column after the other.

    Where channels lie in lanes, the last vector is filled up with zeros.
    """
    K, T = w.shape
    if wide:
        lanes = lanes_of(w.itemsize)
        vectors = -(-K // lanes)
        padded = np.zeros((vectors * lanes, T), w.dtype)
        padded[:K] = w
        edges = [first * lanes for first in split(vectors, -(-vectors // WIDE))]
    else:
        padded, edges = w, split(K, -(-K // ROWS))
    return np.concatenate([padded[a:b].T.ravel() for a, b in itertools.pairwise(edges)])


def split(total: int, parts: int) -> list[int]:
    """Where parts of nearly the same size begin, and the end: the kernels split K, pixels and vectors like this."""
    return [total * part // parts for part in range(parts + 1)]


def sums_length(itemsize: int) -> int:
    """Elements of the scratch memory of `channels_in_lanes`."""
    lanes = lanes_of(itemsize)
    return -(-PIXELS // lanes) * lanes * WIDE * lanes
