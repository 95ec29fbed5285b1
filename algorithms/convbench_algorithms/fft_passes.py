"""The passes of an FFT over tiles of complex numbers, in place, along columns or along rows.

A pass of radix r over n points (its span), with m = n/r, j < m, q < r:

    forward   X[j + q·m] = w^{jq} · Σ_k x[j + k·m]·exp(−2πi·kq/r)     w = exp(−2πi/n)
    inverse   the same backwards, conjugate: first the factors, then the sums

after, or before, r transforms of m neighbouring points each: decimation in frequency, which leaves the spectrum in
a scrambled order, and decimation in time, which takes it from there. Convolutions multiply spectra point by point
and have no need of another order (Gentleman & Sande, "Fast Fourier Transforms – for fun and profit", AFIPS 1966).

Tiles are planes of real and of imaginary parts. The inverse is the forward transform with the planes exchanged (see
`butterflies`), so what is called inverse here only puts the factors first. Vectors are pieces of rows. Along rows
they hold consecutive j, which ends where m does: the last points, as many as a vector has lanes, are transformed
in squares (`fft_squares`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba import njit

from convbench.algorithm import Array
from convbench_algorithms.butterflies import RADICES, Complex, dft, product
from convbench_algorithms.emitter import Array as Operand
from convbench_algorithms.emitter import Emitter, Int, Pointer, emitted, lanes_of

LAST_RADICES: Final = (4, 8, 16)
"""Those of passes with m = 1, which have no factors."""

Factor = Callable[[int], Complex]


def load_complex(e: Emitter, places: list[tuple[Pointer, Pointer]]) -> list[Complex]:
    """The complex vectors whose parts lie there."""
    return [(e.load(real), e.load(imaginary)) for real, imaginary in places]


def store_complex(e: Emitter, x: list[Complex], places: list[tuple[Pointer, Pointer]]) -> None:
    """Write complex vectors, each part to its place."""
    for z, (real, imaginary) in zip(x, places, strict=True):
        e.store(z[0], real)
        e.store(z[1], imaginary)


def _butterfly(
    e: Emitter,
    re: Pointer,
    im: Pointer,
    leg_bytes: Int | int,
    radix: int,
    factor: Factor | None = None,
    inverse: int = 0,
) -> None:
    places = [(re.plus_bytes(leg_bytes * k), im.plus_bytes(leg_bytes * k)) for k in range(radix)]
    x = load_complex(e, places)
    if factor and inverse:
        x[1:] = [product(e, z, factor(k)) for k, z in enumerate(x[1:], 1)]
    x = dft(e, x)
    if factor and not inverse:
        x[1:] = [product(e, z, factor(k)) for k, z in enumerate(x[1:], 1)]
    store_complex(e, x, places)


@njit(nogil=True, cache=True)
def lines_pass(re: Array, im: Array, span: int, radix: int, w: Array, inverse: int) -> None:
    """A pass over columns re, im [L,columns] with the factors w [2,radix,m], as it is defined."""
    m = span // radix
    x = np.empty(radix, np.complex128)
    roots = np.exp(-2j * np.pi * np.arange(radix) / radix)
    for c in range(re.shape[1]):
        for start in range(0, len(re), span):
            for j in range(m):
                for k in range(radix):
                    place = start + j + k * m
                    x[k] = complex(re[place, c], im[place, c])
                    if inverse:
                        x[k] *= complex(w[0, k, j], w[1, k, j])
                for q in range(radix):
                    total = 0j
                    for k in range(radix):
                        total += x[k] * roots[k * q % radix]
                    if not inverse:
                        total *= complex(w[0, q, j], w[1, q, j])
                    place = start + j + q * m
                    re[place, c] = total.real
                    im[place, c] = total.imag


def _column_pass_plain(
    re: Array, im: Array, column: int, span: int, radix: int, twiddles: Array, begin: int, inverse: int
) -> None:
    w = twiddles[begin : begin + 2 * span].reshape(2, radix, span // radix)
    end = column + lanes_of(re.itemsize)
    lines_pass(re[:, column:end], im[:, column:end], span, radix, w, inverse)


@emitted(_column_pass_plain)
def column_pass(
    e: Emitter,
    re: Operand,
    im: Operand,
    column: Int,
    span: Int,
    radix: Int,
    twiddles: Operand,
    begin: Int,
    inverse: int,
) -> None:
    """One pass along the columns of re, im [M,pitch] from `column` on, as many as a vector has lanes.

    The factors w^{jq} stand at twiddles[begin …], as [2,radix,m]: real parts, then imaginary parts.
    """
    for r in RADICES:
        with e.when(radix.compare("==", r)):
            m = span // r
            leg_bytes = m * re.strides_bytes[0]
            with e.loop(m) as j, e.loop(re.shape[0] // span) as block:
                row = block * span + j
                factor = _factors(twiddles + begin + j, span, m, e.broadcast)
                _butterfly(e, re.at(row) + column, im.at(row) + column, leg_bytes, r, factor, inverse)


def _column_last_plain(re: Array, im: Array, column: int, radix: int) -> None:
    ones = np.zeros((2, radix, 1))
    ones[0] = 1
    end = column + lanes_of(re.itemsize)
    lines_pass(re[:, column:end], im[:, column:end], radix, radix, ones, 0)


@emitted(_column_last_plain)
def column_last(e: Emitter, re: Operand, im: Operand, column: Int, radix: Int) -> None:
    """As `column_pass` with a span of `radix`: no factors, and so the same forward and inverse."""
    leg_bytes = re.strides_bytes[0]
    for r in LAST_RADICES:
        with e.when(radix.compare("==", r)), e.loop(re.shape[0] // r) as block:
            _butterfly(e, re.at(block * r) + column, im.at(block * r) + column, leg_bytes, r)


def _row_pass_plain(
    re: Array, im: Array, N: int, row: int, span: int, radix: int, twiddles: Array, begin: int, inverse: int
) -> None:
    w = twiddles[begin : begin + 2 * span].reshape(2, radix, span // radix)
    end = row + lanes_of(re.itemsize)
    lines_pass(re[row:end, :N].T, im[row:end, :N].T, span, radix, w, inverse)


@emitted(_row_pass_plain)
def row_pass(
    e: Emitter,
    re: Operand,
    im: Operand,
    N: Int,
    row: Int,
    span: Int,
    radix: Int,
    twiddles: Operand,
    begin: Int,
    inverse: int,
) -> None:
    """One pass along N points of the rows of re, im [M,pitch] from `row` on, as many as a vector has lanes.

    The factors stand as those of `column_pass`; m is a multiple of the lanes.
    """
    for r in RADICES:
        with e.when(radix.compare("==", r)):
            m = span // r
            leg_bytes = m * re.itemsize
            with e.loop(N // span) as block, e.loop(m, step=e.lanes) as j, e.loop(e.lanes) as line:
                column = block * span + j
                factor = _factors(twiddles + begin + j, span, m, e.load)
                _butterfly(e, re.at(row + line) + column, im.at(row + line) + column, leg_bytes, r, factor, inverse)


def _factors(first: Pointer, span: Int, m: Int, read: Callable[..., Any]) -> Factor:
    return lambda q: (read(first, m * q), read(first, m * q + span))
