"""Two-dimensional FFTs of complex tiles that live in a core's cache, and convolution by them.

A tile [M,N] has its real parts in one plane [M,pitch], its imaginary parts in another. Columns are transformed first,
as many at a time as a vector has lanes, so that they stay in the first-level cache for all their passes; then
rows, as many at a time: there, and with the product taken at once back again; then the columns back.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.extending import register_jitable

from convbench.algorithm import Array
from convbench.boundary import IndexMap
from convbench.spec import Pair
from convbench_algorithms.aligned import CACHE_LINE_BYTES
from convbench_algorithms.butterflies import RADICES
from convbench_algorithms.calls import address_of, call
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.fft_passes import LAST_RADICES, column_last, column_pass, row_pass
from convbench_algorithms.fft_squares import ANALYSE, CONVOLVE, SYNTHESISE, squares

Passes = npt.NDArray[np.int64]  # [passes,3]: radix, span, where its factors begin


class Axis(NamedTuple):
    """The passes of transforms along one axis, and their factors."""

    passes: Passes
    twiddles: Array


class Transform(NamedTuple):
    """How tiles of one extent are transformed."""

    columns: Axis
    rows: Axis


def transform(extent: Pair, dtype: str) -> Transform:
    """The transform of tiles [M,N], which are multiples of 16 and have no prime factors but 2, 3 and 5."""
    M, N = extent
    columns, rows = axis_radices(extent, np.dtype(dtype).itemsize)
    return Transform(_axis(M, columns, dtype), _axis(N, rows, dtype))


def axis_radices(extent: Pair, itemsize: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The radices of the passes along columns, and of those along rows before the last one.

    Raises ValueError for extents that have none.
    """
    M, N = extent
    lanes = lanes_of(itemsize)
    columns, rows = radices(M, LAST_RADICES), radices(N // lanes, RADICES) if lanes < N else ()
    if columns is None or rows is None:
        raise ValueError(f"no radices for tiles of {M} by {N}")
    return columns, rows


@cache
def radices(length: int, last: tuple[int, ...]) -> tuple[int, ...] | None:
    """The fewest factors of `length`, and of those the smallest, that end with one of `last`."""
    found: list[tuple[int, ...]] = [(length,)] if length in last else []
    for radix in RADICES:
        rest = radices(length // radix, last) if length % radix == 0 else None
        if rest is not None:
            found.append((radix, *rest))
    return min(found, key=lambda factors: (len(factors), sum(factors), factors), default=None)


def _axis(length: int, factors: tuple[int, ...], dtype: str) -> Axis:
    passes, twiddles, span = np.zeros((len(factors), 3), np.int64), [np.zeros(0)], length
    for i, radix in enumerate(factors):
        passes[i] = radix, span, sum(map(len, twiddles))
        angle = 2 * np.pi / span * (np.arange(radix)[:, None] * np.arange(span // radix))
        twiddles += [np.cos(angle).ravel(), -np.sin(angle).ravel()]  # in float64, rounded once
        span //= radix
    return Axis(passes, np.concatenate(twiddles).astype(dtype))


@register_jitable
def pitch(N: int, itemsize: int) -> int:
    """The distance of a tile's rows, in elements: an odd number of cache lines, lest columns share half the sets."""
    line = CACHE_LINE_BYTES // itemsize
    lines = (N + line - 1) // line
    return (lines + (lines > 3 and lines % 2 == 0)) * line


def tile_bytes(extent: Pair, itemsize: int) -> int:
    """Of a tile [2,M,pitch], and the line after it."""
    return 2 * extent[0] * pitch(extent[1], itemsize) * itemsize + CACHE_LINE_BYTES


@njit(nogil=True, cache=True)
def forward_columns(re: Array, im: Array, N: int, passes: Passes, twiddles: Array) -> None:
    """Transform N columns of re, im [M,pitch]."""
    last = len(passes) - 1
    for column in range(0, N, lanes_of(re.itemsize)):
        for i in range(last):
            column_pass(re, im, column, passes[i, 1], passes[i, 0], twiddles, passes[i, 2], 0)
        column_last(re, im, column, passes[last, 0])


@njit(nogil=True, cache=True)
def inverse_columns(re: Array, im: Array, N: int, passes: Passes, twiddles: Array) -> None:
    """Transform N columns of re, im [M,pitch] back, times M."""
    last = len(passes) - 1
    for column in range(0, N, lanes_of(re.itemsize)):
        column_last(im, re, column, passes[last, 0])
        for i in range(last - 1, -1, -1):
            column_pass(im, re, column, passes[i, 1], passes[i, 0], twiddles, passes[i, 2], 1)


@njit(nogil=True, cache=True)
def forward_rows(re: Array, im: Array, N: int, row: int, passes: Passes, twiddles: Array) -> None:
    """All passes but the last along N points of as many rows as a vector has lanes."""
    for i in range(len(passes)):
        row_pass(re, im, N, row, passes[i, 1], passes[i, 0], twiddles, passes[i, 2], 0)


@njit(nogil=True, cache=True)
def inverse_rows(re: Array, im: Array, N: int, row: int, passes: Passes, twiddles: Array) -> None:
    """What undoes `forward_rows`, but for a factor."""
    for i in range(len(passes) - 1, -1, -1):
        row_pass(im, re, N, row, passes[i, 1], passes[i, 0], twiddles, passes[i, 2], 1)


@njit(nogil=True, cache=True)
def analyse_squares(re: Array, im: Array, N: int, row: int, filter_re: Array, filter_im: Array) -> None:
    """The last pass along rows."""
    squares(re, im, N, row, filter_re, filter_im, 0)


@njit(nogil=True, cache=True)
def convolve_squares(re: Array, im: Array, N: int, row: int, filter_re: Array, filter_im: Array) -> None:
    """The last pass along rows, the product, and the first pass back."""
    squares(re, im, N, row, filter_re, filter_im, 1)


@njit(nogil=True, cache=True)
def synthesise_squares(re: Array, im: Array, N: int, row: int, filter_re: Array, filter_im: Array) -> None:
    """The first pass back."""
    squares(re, im, N, row, filter_re, filter_im, 2)


def kernels(dtype: npt.DTypeLike, step: int) -> npt.NDArray[np.int64]:
    """The addresses of the kernels of a step, for `transform_tile`; compiled if need be."""
    plane, table = np.zeros((1, 1), dtype), np.zeros(1, dtype)
    passes = np.zeros((1, 3), np.int64)
    middle = {ANALYSE: analyse_squares, CONVOLVE: convolve_squares, SYNTHESISE: synthesise_squares}[step]
    along = [address_of(kernel, plane, plane, 1, passes, table) for kernel in (forward_columns, inverse_columns)]
    across = [address_of(kernel, plane, plane, 1, 1, passes, table) for kernel in (forward_rows, inverse_rows)]
    return np.array([*along, *across, address_of(middle, plane, plane, 1, 1, plane, plane)])


@njit(nogil=True, cache=True)
def transform_tile(
    kernels: IndexMap,
    step: int,
    re: Array,
    im: Array,
    N: int,
    filter_re: Array,
    filter_im: Array,
    column_passes: Passes,
    column_twiddles: Array,
    row_passes: Passes,
    row_twiddles: Array,
) -> None:
    """Transform N columns of re, im [M,pitch] in place, by the `kernels` of one of three steps.

    ANALYSE gives the spectrum, in an order of its own; SYNTHESISE takes it back, times M·N; CONVOLVE does both, and
    between them multiplies by a filter's spectrum, which was analysed.
    """
    if step != SYNTHESISE:
        call(kernels[0], (re, im, N, column_passes, column_twiddles))
    for row in range(0, len(re), lanes_of(re.itemsize)):
        if step != SYNTHESISE:
            call(kernels[2], (re, im, N, row, row_passes, row_twiddles))
        call(kernels[4], (re, im, N, row, filter_re, filter_im))
        if step != ANALYSE:
            call(kernels[3], (re, im, N, row, row_passes, row_twiddles))
    if step != ANALYSE:
        call(kernels[1], (re, im, N, column_passes, column_twiddles))
