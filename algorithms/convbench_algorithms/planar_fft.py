"""Two-dimensional FFTs of complex tiles that live in a core's cache, and convolution by them.

A tile [M,N] has its real parts in one plane [M,pitch], its imaginary parts in another. Columns are transformed first,
as many at a time as a vector has lanes, so that they stay in the first-level cache for all their passes; then
rows, as many at a time: there, and with the product taken at once back again; then the columns back.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba.extending import register_jitable

from convbench.algorithm import Array
from convbench.spec import Pair
from convbench_algorithms.butterflies import RADICES
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.fft_passes import (
    ANALYSE,
    CONVOLVE,
    LAST_RADICES,
    SYNTHESISE,
    column_last,
    column_pass,
    row_pass,
    squares,
)

LINE_BYTES: Final = 64
"""Of a cache line."""

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
    lanes = lanes_of(np.dtype(dtype).itemsize)
    columns, rows = radices(M, LAST_RADICES), radices(N // lanes, RADICES) if lanes < N else ()
    if columns is None or rows is None:
        raise ValueError(f"no radices for tiles of {M} by {N}")
    return Transform(_axis(M, columns, dtype), _axis(N, rows, dtype))


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
    """The distance of a tile's rows, in elements: whole cache lines, one more where columns would share a few sets."""
    line = LINE_BYTES // itemsize
    lines = (N + line - 1) // line
    return (lines + (lines > 4 and lines % 4 == 0)) * line


# Inlined by Numba, not called: it would otherwise compile them once more for each caller of each caller.


@register_jitable(inline="always")
def forward_columns(re: Array, im: Array, passes: Passes, twiddles: Array) -> None:
    """Transform all columns of re, im [M,N]."""
    last = len(passes) - 1
    for column in range(0, re.shape[1], lanes_of(re.itemsize)):
        for i in range(last):
            column_pass(re, im, column, passes[i, 1], passes[i, 0], twiddles, passes[i, 2], 0)
        column_last(re, im, column, passes[last, 0])


@register_jitable(inline="always")
def inverse_columns(re: Array, im: Array, passes: Passes, twiddles: Array) -> None:
    """Transform all columns of re, im [M,N] back, times M."""
    last = len(passes) - 1
    for column in range(0, re.shape[1], lanes_of(re.itemsize)):
        column_last(im, re, column, passes[last, 0])
        for i in range(last - 1, -1, -1):
            column_pass(im, re, column, passes[i, 1], passes[i, 0], twiddles, passes[i, 2], 1)


@register_jitable(inline="always")
def rows_there_and_back(
    re: Array, im: Array, filter_re: Array, filter_im: Array, passes: Passes, twiddles: Array, step: int
) -> None:
    """ANALYSE: all rows of re, im [M,N]; SYNTHESISE: back, times N; CONVOLVE: both, and the product between them."""
    for row in range(0, re.shape[0], lanes_of(re.itemsize)):
        if step != SYNTHESISE:
            for i in range(len(passes)):
                row_pass(re, im, row, passes[i, 1], passes[i, 0], twiddles, passes[i, 2], 0)
        if step == ANALYSE:
            squares(re, im, row, filter_re, filter_im, 0)
        if step == CONVOLVE:
            squares(re, im, row, filter_re, filter_im, 1)
        if step == SYNTHESISE:
            squares(re, im, row, filter_re, filter_im, 2)
        if step != ANALYSE:
            for i in range(len(passes) - 1, -1, -1):
                row_pass(im, re, row, passes[i, 1], passes[i, 0], twiddles, passes[i, 2], 1)
