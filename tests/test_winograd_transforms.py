"""The Winograd transforms: the published matrices, the identity they must fulfil, and wrong ones rejected."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy

from convbench_algorithms.winograd_transforms import Matrix, Transform, transforms

EXTENTS = [(1, 1), (4, 1), (1, 3), (2, 3), (4, 3), (6, 3), (2, 5), (4, 5), (6, 5), (4, 2), (8, 3)]


def matrix(text: str, scale: Fraction = Fraction(1)) -> Matrix:
    """Rows separated by `;`."""
    return tuple(tuple(Fraction(entry) * scale for entry in row.split()) for row in text.split(";"))


def transposed(rows: Matrix) -> Matrix:
    return tuple(zip(*rows, strict=True))


def signed(rows: Matrix, signs: list[int]) -> Matrix:
    return tuple(tuple(sign * entry for entry in row) for sign, row in zip(signs, rows, strict=True))


def test_f_4_3_is_the_matrices_of_lavin_and_gray() -> None:
    ours = transforms(4, 3)
    assert transposed(ours.B) == matrix(
        "4 0 -5 0 1 0; 0 -4 -4 1 1 0; 0 4 -4 -1 1 0; 0 -2 -1 2 1 0; 0 2 -1 -2 1 0; 0 4 0 -5 0 1"
    )
    G = matrix("6 0 0; -4 -4 -4; -4 4 -4; 1 2 4; 1 -2 4; 0 0 24", Fraction(1, 24))
    assert ours.G == G
    assert transposed(ours.A) == matrix("1 1 1 1 1 0; 0 1 -1 2 -2 0; 0 1 1 4 4 0; 0 1 -1 8 -8 1")


def test_f_2_3_is_the_matrices_of_lavin_and_gray_up_to_two_signs() -> None:
    """The paper moves the sign of point 0 from G to B, and that of ∞ from B to A."""
    ours = transforms(2, 3)
    assert signed(transposed(ours.B), [-1, 1, 1, -1]) == matrix("1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1")
    assert signed(ours.G, [-1, 1, 1, 1]) == matrix("2 0 0; 1 1 1; 1 -1 1; 0 0 2", Fraction(1, 2))
    assert signed(ours.A, [1, 1, 1, -1]) == transposed(matrix("1 1 1 0; 0 1 -1 -1"))


@pytest.mark.parametrize(("m", "r"), EXTENTS)
def test_the_transforms_are_a_correlation_symbolically(m: int, r: int) -> None:
    transform = transforms(m, r)
    A, G, B = (sympy.Matrix(rows) for rows in (transform.A, transform.G, transform.B))
    g, d = sympy.Matrix(sympy.symbols(f"g:{r}")), sympy.Matrix(sympy.symbols(f"d:{m + r - 1}"))
    y = A.T * (G * g).multiply_elementwise(B.T * d)
    for i in range(m):
        assert sympy.expand(y[i] - sum(g[k] * d[i + k] for k in range(r))) == 0


@pytest.mark.parametrize("letter", ["A", "G", "B"])
@pytest.mark.parametrize("where", [(0, 0), (2, 1), (5, 2)])
def test_a_wrong_entry_is_rejected(letter: str, where: tuple[int, int]) -> None:
    right = transforms(4, 3)
    rows = [list(row) for row in getattr(right, letter)]
    rows[where[0]][where[1]] += Fraction(1, 1000)
    with pytest.raises(ValueError, match=r"F\(4, 3\): tap"):
        replace(right, **{letter: tuple(map(tuple, rows))})


def test_a_wrong_shape_is_rejected() -> None:
    right = transforms(2, 3)
    with pytest.raises(ValueError, match=r"G is not of shape \[4,3\]"):
        Transform(2, 3, right.A, right.G[:-1], right.B)


@pytest.mark.parametrize(("m", "r"), [(0, 3), (3, 0), (9, 9)])
def test_extents_without_points_are_rejected(m: int, r: int) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        transforms(m, r)


def test_a_direct_sum_amplifies_nothing_and_larger_tiles_amplify_more() -> None:
    assert transforms(1, 1).amplification == 1
    growth = [transforms(m, 3).amplification for m in (2, 4, 6)]
    assert growth == sorted(growth)
    assert 1 < growth[0] < 10
