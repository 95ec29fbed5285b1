"""How many floating-point operations fast algorithms really do: additions and multiplications, each counted as one.

What vectors waste at their edges does not count, nor do copies. Direct sums take `spec.direct_flops`.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from convbench.spec import ConvSpec, Pair
from convbench_algorithms.linear_forms import Row, product
from convbench_algorithms.winograd_transforms import Transform


def factored_operations(spec: ConvSpec, rank: int) -> int:
    """A pass along the rows that outputs see, and one down the columns, for each term of each filter's channel."""
    lines = min((spec.p - 1) * spec.stride[0] + spec.filter_extent[0], spec.p * spec.r)
    terms = spec.n * spec.k * (spec.c // spec.groups) * rank
    return 2 * terms * spec.q * (lines * spec.s + spec.p * spec.r)


def fft_operations(spec: ConvSpec, extent: Pair, tiles: int) -> int:
    """2.5·MN·log₂ MN a real transform, which is FFTW's convention, and 8 for each complex product and sum."""
    M, N = extent
    transforms = (spec.c + spec.k) * 2.5 * M * N * math.log2(M * N)
    products = 8 * M * (N // 2 + 1) * spec.k * (spec.c // spec.groups)
    return round(tiles * (transforms + products))


def winograd_operations(spec: ConvSpec, pair: tuple[Transform, Transform], tiles: int) -> int:
    """Bᵀ d B for each tile's channels, α_h·α_w sums over channels for each of its filters, and Aᵀ M A.

    By the sums that are computed for each tile on its own; neighbours share a few.
    """
    rows, cols = pair
    into = _sums(_transposed(rows.B)) * cols.alpha + _sums(_transposed(cols.B)) * rows.alpha
    back = _sums(_transposed(rows.A)) * cols.alpha + _sums(_transposed(cols.A)) * rows.m
    products = 2 * rows.alpha * cols.alpha * (spec.c // spec.groups) * spec.k
    return tiles * (spec.c * into + products + spec.k * back)


def winograd_weights_operations(spec: ConvSpec, pair: tuple[Transform, Transform], tiles: int) -> int:
    """Bᵀ x B and G dy Gᵀ for each tile's channels, their products, and Aᵀ M A once: of F(R,m) × F(S,m)."""
    rows, cols = pair
    of_x = _sums(_transposed(rows.B)) * cols.alpha + _sums(_transposed(cols.B)) * rows.alpha
    of_dy = _sums(rows.G) * cols.r + _sums(cols.G) * rows.alpha
    back = _sums(_transposed(rows.A)) * cols.alpha + _sums(_transposed(cols.A)) * rows.m
    pairs = spec.k * (spec.c // spec.groups)
    return tiles * (spec.c * of_x + spec.k * of_dy + 2 * rows.alpha * cols.alpha * pairs) + pairs * back


def filter_operations(spec: ConvSpec, pair: tuple[Transform, Transform]) -> int:
    """G w Gᵀ for every channel of every filter."""
    rows, cols = pair
    return spec.k * (spec.c // spec.groups) * (_sums(rows.G) * spec.s + _sums(cols.G) * rows.alpha)


def _sums(matrix: tuple[tuple[Fraction, ...], ...]) -> int:
    """Of the matrix times a vector, as `linear_forms` computes it."""
    counter = _Counter()
    product(counter, [list(row) for row in matrix], [_Counted(counter) for _ in matrix[0]])
    return counter.operations


def _transposed(matrix: tuple[Row, ...]) -> tuple[tuple[Fraction, ...], ...]:
    return tuple(zip(*matrix, strict=True))


class _Counter:
    """Stands in for an `Emitter`, and counts."""

    def __init__(self) -> None:
        self.operations = 0

    def constant(self, value: float) -> float:
        return value

    def fma(self, *_: Any) -> _Counted:
        self.operations += 2
        return _Counted(self)


class _Counted:
    """Stands in for a vector; a change of sign is free, for it is an addition's."""

    def __init__(self, counter: _Counter) -> None:
        self.counter = counter

    def _one_more(self, _: object) -> _Counted:
        self.counter.operations += 1
        return self

    __add__ = __sub__ = __mul__ = _one_more

    def __neg__(self) -> _Counted:
        return self
