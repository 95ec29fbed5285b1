"""The last points of FFTs along rows, as many as a vector has lanes: squares, whose rows and lanes change places.

There the product with the filter's spectrum is taken too, and the first points of the way back follow at once.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit

from convbench.algorithm import Array
from convbench_algorithms.butterflies import Complex, dft, product
from convbench_algorithms.emitter import Array as Operand
from convbench_algorithms.emitter import Emitter, Int, Pointer, emitted, lanes_of
from convbench_algorithms.fft_passes import lines_pass, load_complex, store_complex

ANALYSE: Final = 0
CONVOLVE: Final = 1
SYNTHESISE: Final = 2


@njit(nogil=True, cache=True)
def _digits(lanes: int) -> tuple[int, int]:
    """The points of a square's transforms as radices: a first one whose legs two registers each hold, and the rest."""
    high = min(lanes, 4)
    return high, lanes // high


@njit(nogil=True, cache=True)
def _transpose_ordered(square: Array, back: int) -> None:
    """Point q + high·s of all lines becomes line q·low + s, or back from there."""
    n = len(square)
    high, low = _digits(n)
    lines = square.copy()
    for line in range(n):
        for point in range(n):
            place = point % high * low + point // high
            if back:
                square[line, point] = lines[place, line]
            else:
                square[place, line] = lines[line, point]


def _squares_plain(re: Array, im: Array, N: int, row: int, filter_re: Array, filter_im: Array, step: int) -> None:
    n = lanes_of(re.itemsize)
    ones = np.zeros((2, n, 1))
    ones[0] = 1
    for column in range(0, N, n):
        a, b = re[row : row + n, column : column + n], im[row : row + n, column : column + n]
        if step != SYNTHESISE:
            lines_pass(a.T, b.T, n, n, ones, 0)
            _transpose_ordered(a, 0)
            _transpose_ordered(b, 0)
        if step == CONVOLVE:
            wa = filter_re[row : row + n, column : column + n]
            wb = filter_im[row : row + n, column : column + n]
            a[:], b[:] = a * wa - b * wb, a * wb + b * wa
        if step != ANALYSE:
            _transpose_ordered(a, 1)
            _transpose_ordered(b, 1)
            lines_pass(b.T, a.T, n, n, ones, 0)


@emitted(_squares_plain)
def squares(
    e: Emitter,
    re: Operand,
    im: Operand,
    N: Int,
    row: Int,
    filter_re: Operand,
    filter_im: Operand,
    step: int,
) -> None:
    """The last transform along rows, the first back, or both with the product by a spectrum between them.

    Takes N points of the rows of re, im [M,pitch] from `row` on, as many rows as a vector has lanes. ANALYSE leaves
    each square transposed, its frequencies in an order of their own, and so SYNTHESISE and the filter's spectrum, which
    was analysed, expect it.

    Points high·low are two radices. Before each of them one digit of the lanes changes places with that digit of the
    rows, which leaves its points in registers of their own; so a few rows at a time go through a third of the work, and
    through memory to the next: all sixteen at once would need twice the registers that there are.
    """
    high, low = _digits.py_func(e.lanes)
    factors = [_lane_factors(e, low, q) for q in range(high)]

    def places(column: Int, first: int, step: int, count: int) -> list[tuple[Pointer, Pointer]]:
        lines = [row + first + step * k for k in range(count)]
        return [(re.at(line) + column, im.at(line) + column) for line in lines]

    if step != SYNTHESISE:
        with e.loop(N, step=e.lanes) as column:
            for first in range(low):
                some = places(column, first, low, high)
                x = dft(e, _exchanged(e, load_complex(e, some), low))
                store_complex(e, _turned(e, x, factors), some)
    with e.loop(N, step=e.lanes) as column:
        for first in range(0, e.lanes, low):
            some = places(column, first, 1, low)
            x = load_complex(e, some)
            if step != SYNTHESISE:
                x = dft(e, _exchanged(e, x, 1))
            if step == CONVOLVE:
                lines = [row + first + k for k in range(low)]
                w = load_complex(e, [(filter_re.at(line) + column, filter_im.at(line) + column) for line in lines])
                x = [product(e, z, factor) for z, factor in zip(x, w, strict=True)]
            if step != ANALYSE:
                x = _swapped(_exchanged(e, dft(e, _swapped(x)), 1))
            store_complex(e, x, some)
    if step != ANALYSE:
        with e.loop(N, step=e.lanes) as column:
            for first in range(low):
                some = places(column, first, low, high)
                x = _turned(e, _swapped(load_complex(e, some)), factors)
                store_complex(e, _swapped(_exchanged(e, dft(e, x), low)), some)


def _lane_factors(e: Emitter, low: int, q: int) -> Complex | None:
    """w^{jq} in lanes of which j is the low digit; none for q = 0."""
    angles = [2 * math.pi * (lane % low) * q / e.lanes for lane in range(e.lanes)]
    return (e.constant([math.cos(t) for t in angles]), e.constant([-math.sin(t) for t in angles])) if q else None


def _turned(e: Emitter, x: list[Complex], factors: list[Complex | None]) -> list[Complex]:
    return [product(e, z, factor) if factor else z for z, factor in zip(x, factors, strict=True)]


def _swapped(x: list[Complex]) -> list[Complex]:
    return [(imaginary, real) for real, imaginary in x]


def _exchanged(e: Emitter, x: list[Complex], stride: int) -> list[Complex]:
    """Digit k of the vectors' numbers in place of the lanes' digit lane // stride % len(x), and the other way round."""
    square, n = list(x), e.lanes
    bit = 1
    while bit < len(x):
        half = bit * stride  # the bit of the lanes; as `Emitter.transpose` does it
        low = [lane if not lane & half else n + lane - half for lane in range(n)]
        high = [lane + half if not lane & half else n + lane for lane in range(n)]
        for i in range(len(x)):
            if not i & bit:
                pairs = list(zip(square[i], square[i + bit], strict=True))
                for chosen, place in ((low, i), (high, i + bit)):
                    real, imaginary = (e.shuffle(a, b, chosen) for a, b in pairs)
                    square[place] = real, imaginary
        bit *= 2
    return square
