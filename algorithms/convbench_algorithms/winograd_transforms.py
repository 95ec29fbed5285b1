"""The transforms of Winograd convolution, as exact data: generated for any F(m, r), and proved on construction.

F(m, r) computes m outputs of an r-tap correlation from α = m + r − 1 inputs with α products instead of m·r
(Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308, eq. 6):

    y = Aᵀ [(G g) ⊙ (Bᵀ d)]          y [m]   g [r]   d [α]   A [α,m]   G [α,r]   B [α,α]

The generator is Cook–Toom's. The product of the polynomials g(x)·y(x), of degree α − 1, is fixed by its values at
α points; Vandermonde matrices evaluate, Lagrange's formula interpolates, and by the transposition principle the
interpolation becomes the data transform of a correlation (Barabasz et al., "Error Analysis and Improving the Accuracy
of Winograd Convolution for Deep Neural Networks", ACM TOMS 46, 2020, section 2). One point is ∞.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product
from math import prod
from typing import Final

import numpy as np
import numpy.typing as npt

Matrix = tuple[tuple[Fraction, ...], ...]

POINTS: Final = tuple(Fraction(p) for p in ("0", "1", "-1", "2", "-2", "1/2", "-1/2", "3/4", "-3/4", "4/3", "-4/3"))
"""Finite points in the order of use: 0, and pairs ±p that are exact in binary for as long as may be.

Of all pairs of fractions with terms up to 5 beside 0 and ±1, these have the least `amplification` at α = 8, come within
5% of it at α = 6, where they are Lavin & Gray's, and within 25% at α = 10.
"""

PAIRS: Final = {count: tuple(Fraction(p) for p in points.split()) for count, points in (
    (4, "1/2 -1/2 1 -1"), (6, "1/2 -1/2 1 -1 2 -2"), (8, "1/4 -1/4 3/4 -3/4 5/4 -5/4 2 -2"),
)}  # fmt: skip
"""An even number of finite points is better without 0, all in pairs: at α = 9 they amplify half as much (40 against 74)
as `POINTS` do, and every row of a transform shares its sums with another. Exact in binary; of all pairs of fractions
with terms up to 5 the best at α = 9 amplify 38.
"""


@dataclass(frozen=True)
class Transform:
    """A, G and B of F(m, r). Raises `ValueError` for a wrong shape, or if they do not compute a correlation."""

    m: int
    r: int
    A: Matrix
    G: Matrix
    B: Matrix

    def __post_init__(self) -> None:
        for letter, matrix, width in (("A", self.A, self.m), ("G", self.G, self.r), ("B", self.B, self.alpha)):
            if [len(row) for row in matrix] != [width] * self.alpha:
                raise ValueError(f"F({self.m}, {self.r}): {letter} is not of shape [{self.alpha},{width}]")
        # y is bilinear in g and d, so the unit vectors prove it for all: y_i of g = e_k, d = e_j is [j = i + k].
        for i, k, j in product(range(self.m), range(self.r), range(self.alpha)):
            y = sum(self.A[t][i] * self.G[t][k] * self.B[j][t] for t in range(self.alpha))
            if y != (j == i + k):
                raise ValueError(f"F({self.m}, {self.r}): tap {k} on input {j} gives {y} in output {i}")

    @property
    def alpha(self) -> int:
        """α = m + r − 1: inputs and products of one tile."""
        return self.m + self.r - 1

    def arrays(self, dtype: npt.DTypeLike) -> tuple[npt.NDArray[np.floating], ...]:
        """A [α,m], G [α,r] and B [α,α] as arrays of `dtype`."""
        return tuple(np.array(matrix, dtype=np.float64).astype(dtype) for matrix in (self.A, self.G, self.B))

    @property
    def amplification(self) -> float:
        """κ = √(α/m · Σ_t ‖A_t‖² ‖G_t‖² ‖B_t‖²) with A_t, G_t the t-th rows and B_t the t-th column.

        How much larger the round-off of the products is than that of a direct sum, in norm: with independent
        relative errors of size ε in the α products of every tile, ‖e‖₂ ≤ κ·ε·‖g‖₂·‖d‖₂. For by Cauchy–Schwarz
        |(G g)_t| ≤ ‖G_t‖·‖g‖ and |(Bᵀ d)_t| ≤ ‖B_t‖·‖d_tile‖, the errors of different t add up in squares,
        and the overlapping tiles read each input α/m times.
        """
        norms = [np.square(matrix).sum(axis=axis) for matrix, axis in zip(self.arrays(float), (1, 1, 0), strict=True)]
        return float(np.sqrt(self.alpha / self.m * np.prod(norms, axis=0).sum()))


@lru_cache
def transforms(m: int, r: int) -> Transform:
    """F(m, r) by Cook–Toom at ∞ and m + r − 2 of `PAIRS` or the first of `POINTS`; F(1, 1) is the plain product."""
    points = PAIRS.get(m + r - 2, POINTS[: max(0, m + r - 2)])
    if min(m, r) < 1 or len(points) < m + r - 2:
        raise ValueError(f"F({m}, {r}): m and r must be at least 1, and m + r − 2 at most {len(POINTS)}")
    others = [[q for q in points if q != p] for p in points]
    A = _vandermonde(points, m)
    # Lagrange's denominators Π (p − q) go to G, so that B has whole numbers for whole points.
    G = tuple(
        tuple(power / prod((p - q for q in rest), start=Fraction(1)) for power in row)
        for p, rest, row in zip(points, others, _vandermonde(points, r)[:-1], strict=True)
    )
    numerators = [(*_with_roots(rest), Fraction(0)) for rest in others] + [_with_roots(points)]
    return Transform(m, r, A, (*G, _leading(r)), tuple(zip(*numerators, strict=True)))


def square_transforms(m: int, r: int, s: int) -> tuple[Transform, Transform]:
    """F(m, r) and F(m, s), of tiles of m × m outputs; F(1, 1) along an axis of one tap."""
    vertical, horizontal = (transforms(m if taps > 1 else 1, taps) for taps in (r, s))
    return vertical, horizontal


def _vandermonde(points: tuple[Fraction, ...], width: int) -> Matrix:
    """Rows [1, p, p², …] of `width`, and for the point ∞ the leading coefficient alone."""
    return (*(tuple(p**power for power in range(width)) for p in points), _leading(width))


def _leading(width: int) -> tuple[Fraction, ...]:
    return (Fraction(0),) * (width - 1) + (Fraction(1),)


def _with_roots(roots: tuple[Fraction, ...] | list[Fraction]) -> tuple[Fraction, ...]:
    """The coefficients of Π (x − root), the constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *coefficients], [root * c for c in coefficients] + [Fraction(0)]
        coefficients = [a - b for a, b in zip(shifted, scaled, strict=True)]
    return tuple(coefficients)
