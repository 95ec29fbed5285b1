"""Sums over channels in the frequency domain, of spectra held in planes: a small matrix product at each frequency.

    y[b,k] = Σ_c x[b,c] · w[k,c]      complex, for each frequency, c over the channels of k's group

Vectors hold neighbouring frequencies, so this is a matrix product in which each number is a vector: pairs × filters
accumulators stay in registers over the sum, and each vector that is loaded serves all of one side (Zlateski, Jia, Li
& Durand, "FFT Convolutions are Faster than Winograd on Modern CPUs, Here is Why", 2018).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit, prange

from convbench.algorithm import Array
from convbench_algorithms.emitter import REGISTERS, Emitter, Int, Pointer, emitted
from convbench_algorithms.emitter import Array as Operand

PAIRS: Final = 2 if REGISTERS == 32 else 1
FILTERS: Final = 4
"""Of a block: two registers for each pair of them, two more for each pair of tiles, and two for a filter's vector."""


def _block_plain(
    x: Array, w: Array, y: Array, x0: int, C: int, y0: int, K: int, k: int, f: int, pairs: int, filters: int
) -> None:
    F, lanes = w.shape[0] * w.shape[4], w.shape[4]
    for lane in range(lanes):
        at = f * lanes + lane
        for i in range(pairs):
            for j in range(filters):
                re = im = x[0, 0] * 0
                for d in range(w.shape[2]):
                    xr, xi = x[x0 + i * C + d, at], x[x0 + i * C + d, F + at]
                    wr, wi = w[f, k + j, d, 0, lane], w[f, k + j, d, 1, lane]
                    re += xr * wr - xi * wi
                    im += xr * wi + xi * wr
                y[y0 + i * K + j, at] = re
                y[y0 + i * K + j, F + at] = im


@emitted(_block_plain)
def _block(
    e: Emitter,
    x: Operand,
    w: Operand,
    y: Operand,
    x0: Int,
    C: Int,
    y0: Int,
    K: Int,
    k: Int,
    f: Int,
    pairs: Int,
    filters: Int,
) -> None:
    """The f-th vector of frequencies of `pairs` × `filters` sums: from rows x0, x0 + C … of x to y0, y0 + K … of y."""
    shape = pairs * (FILTERS + 1) + filters
    for rows in range(1, PAIRS + 1):
        for columns in range(1, FILTERS + 1):
            with e.when(shape.compare("==", rows * (FILTERS + 1) + columns)):
                tiles = [x.at(x0 + C * i) + f * e.lanes for i in range(rows)]
                sums = [y.at(y0 + K * i) + f * e.lanes for i in range(rows)]
                spectra = [w.at(f, k + j) for j in range(columns)]
                _sums(e, tiles, x.strides_bytes[0], spectra, sums, y.strides_bytes[0], w.shape[0] * e.lanes, w.shape[2])


def _sums(
    e: Emitter,
    tiles: list[Pointer],
    next_channel: Int | int,
    spectra: list[Pointer],
    into: list[Pointer],
    next_filter: Int | int,
    F: Int,
    D: Int,
) -> None:
    zero = e.constant(0.0)
    sums = {(i, j, part): e.variable(zero) for i in range(len(tiles)) for j in range(len(spectra)) for part in (0, 1)}
    with e.loop(D) as d:
        x = [[e.load(tile.plus_bytes(d * next_channel) + F * part) for part in (0, 1)] for tile in tiles]
        for j, spectrum in enumerate(spectra):
            w = [e.load(spectrum, (d * 2 + part) * e.lanes) for part in (0, 1)]
            for i, (re, im) in enumerate(x):
                for part, factor in ((0, w[0]), (1, w[1])):
                    total = sums[i, j, part]
                    total.set(e.fma(re, factor, total.get()))
                for part, factor in ((0, -w[1]), (1, w[0])):
                    total = sums[i, j, part]
                    total.set(e.fma(im, factor, total.get()))
    for (i, j, part), total in sums.items():
        e.store(total.get(), into[i].plus_bytes(j * next_filter) + F * part)


@njit(nogil=True, cache=True, parallel=True)
def channel_sums(threads: int, pairs: int, C: int, x: Array, w: Array, y: Array) -> None:
    """y[b·K + k] = Σ_c x[b·C + c] · w[·,k,c] for b < pairs, a share of the frequencies in each thread.

    w [F/lanes,K,C/groups,2,lanes]; the rows of x and y hold F real parts, F imaginary parts, and maybe more.
    """
    vectors, K, D = w.shape[:3]
    group = K // (C // D)  # filters in one
    for index in prange(threads):
        thread = np.int64(index)  # it is unsigned
        for f in range(vectors * thread // threads, vectors * (thread + 1) // threads):
            for first in range(0, K, group):
                for k in range(first, first + group, FILTERS):
                    for b in range(0, pairs, PAIRS):
                        channel = b * C + first // group * D
                        filters = min(first + group - k, FILTERS)
                        _block(x, w, y, channel, C, b * K + k, K, k, f, min(pairs - b, PAIRS), filters)
