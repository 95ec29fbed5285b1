"""Sums over tiles in the frequency domain, of spectra held in planes: what a gradient for the weights consists of.

    sums[k,c] += Σ_b x[b,c] · conj dy[b,k]      complex, for each frequency, c over the channels of k's group

As in `spectral_sums`, vectors hold neighbouring frequencies, and channels × filters accumulators stay in registers.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from convbench.algorithm import Array
from convbench_algorithms.emitter import Array as Operand
from convbench_algorithms.emitter import Emitter, Int, Pointer, emitted, lanes_of
from convbench_algorithms.spectral_sums import FILTERS, PAIRS


def _block_plain(
    x: Array, dy: Array, sums: Array, F: int, c: int, C: int, k: int, K: int, row: int, D: int, f: int,
    channels: int, filters: int, tiles: int, more: int,
) -> None:  # fmt: skip
    for at in range(f, f + lanes_of(x.itemsize)):
        for i in range(channels):
            for j in range(filters):
                re = im = x[0, 0] * 0
                for b in range(tiles):
                    xr, xi = x[b * C + c + i, at], x[b * C + c + i, F + at]
                    dr, di = dy[b * K + k + j, at], dy[b * K + k + j, F + at]
                    re += xr * dr + xi * di
                    im += xi * dr - xr * di
                if more:
                    re += sums[row + j * D + i, at]
                    im += sums[row + j * D + i, F + at]
                sums[row + j * D + i, at] = re
                sums[row + j * D + i, F + at] = im


@emitted(_block_plain)
def _block(
    e: Emitter,
    x: Operand,
    dy: Operand,
    sums: Operand,
    F: Int,
    c: Int,
    C: Int,
    k: Int,
    K: Int,
    row: Int,
    D: Int,
    f: Int,
    channels: Int,
    filters: Int,
    tiles: Int,
    more: Int,
) -> None:
    """The vector of frequencies from f on of `channels` × `filters` sums, over so many tiles.

    Rows c, c + 1 … of x [≥tiles·C,≥2F], k, k + 1 … of dy [≥tiles·K,≥2F], row + j·D + i of sums; `more` adds to them.
    """
    shape = channels * (FILTERS + 1) + filters
    for rows in range(1, PAIRS + 1):
        for columns in range(1, FILTERS + 1):
            with e.when(shape.compare("==", rows * (FILTERS + 1) + columns)):
                of_x = [x.at(c + i) + f for i in range(rows)]
                of_dy = [dy.at(k + j) + f for j in range(columns)]
                into = {(i, j): sums.at(row + D * j + i) + f for i in range(rows) for j in range(columns)}
                _sums(e, of_x, x.strides_bytes[0] * C, of_dy, dy.strides_bytes[0] * K, into, F, tiles, more)


def _sums(
    e: Emitter,
    of_x: list[Pointer],
    next_x: Int | int,
    of_dy: list[Pointer],
    next_dy: Int | int,
    into: dict[tuple[int, int], Pointer],
    F: Int,
    tiles: Int,
    more: Int,
) -> None:
    zero = e.constant(0.0)
    totals = {(*at, part): e.variable(zero) for at in into for part in (0, 1)}
    with e.when(more.compare("!=", 0)):
        for (i, j, part), total in totals.items():
            total.set(e.load(into[i, j] + F * part))
    with e.loop(tiles) as b:
        x = [[e.load(place.plus_bytes(b * next_x) + F * part) for part in (0, 1)] for place in of_x]
        for j, place in enumerate(of_dy):
            dr, di = (e.load(place.plus_bytes(b * next_dy) + F * part) for part in (0, 1))
            for i, (xr, xi) in enumerate(x):
                re, im = totals[i, j, 0], totals[i, j, 1]
                re.set(e.fma(xi, di, e.fma(xr, dr, re.get())))
                im.set(e.fma(-xr, di, e.fma(xi, dr, im.get())))
    for (i, j, part), total in totals.items():
        e.store(total.get(), into[i, j] + F * part)


@njit(nogil=True, cache=True, parallel=True)
def tile_sums(threads: int, tiles: int, C: int, K: int, F: int, x: Array, dy: Array, sums: Array, more: int) -> None:
    """sums[k·D + c] = Σ_b x[b·C + c] · conj dy[b·K + k] for b < tiles, a share of the frequencies in each thread.

    x, dy and sums [K·D,·] have rows of F real parts, F imaginary parts, and maybe more; D channels are in a group.
    With `more` the sums go on from what they are.
    """
    lanes = lanes_of(x.itemsize)
    vectors = F // lanes
    D = len(sums) // K
    group = K * D // C  # filters in one
    for index in prange(threads):
        thread = np.int64(index)  # it is unsigned
        for v in range(vectors * thread // threads, vectors * (thread + 1) // threads):
            for first in range(0, K, group):
                for k in range(first, first + group, FILTERS):
                    filters = min(first + group - k, FILTERS)
                    for d in range(0, D, PAIRS):
                        c, channels = first // group * D + d, min(D - d, PAIRS)
                        _block(x, dy, sums, F, c, C, k, K, k * D + d, D, v * lanes, channels, filters, tiles, more)
