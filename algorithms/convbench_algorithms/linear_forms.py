"""Small matrices of known numbers times vectors, emitted with few operations: how Winograd's transforms are computed.

Zeros cost nothing, ±1 an addition, other entries a fused multiply-add. Points ±p give pairs of rows (in Bᵀ and G) or of
columns (in Aᵀ) that differ in signs alone: what the two share is computed once, and they are its sum and difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

Row = Sequence[Fraction]


def product(e: Any, matrix: Sequence[Row], values: Sequence[Any]) -> list[Any]:
    """matrix · values, in what `e` adds and multiplies: an `Emitter` and its vectors."""
    rows, terms = _columns_paired(matrix, values)
    results: list[Any] = []
    while len(results) < len(rows):
        row, *rest = rows[len(results) :]
        signs = _signs(row, rest[0]) if rest else None
        if signs is None:
            results.append(_sum(e, row, terms))
            continue
        even, odd = (
            _sum(e, [entry * (sign == s) for entry, s in zip(row, signs, strict=True)], terms) for sign in (1, -1)
        )
        results += [even + odd, even - odd]
    return results


def _columns_paired(matrix: Sequence[Row], values: Sequence[Any]) -> tuple[list[list[Fraction]], list[Any]]:
    """The same product, with neighbouring columns that differ in signs replaced by those of sum and difference."""
    columns = list(zip(*matrix, strict=True))
    paired: list[Row] = []
    terms: list[Any] = []
    while columns:
        column, *columns = columns
        value, *values = values
        signs = _signs(column, columns[0]) if columns else None
        if signs is None:
            paired.append(column)
            terms.append(value)
            continue
        other, *values = values
        columns = columns[1:]
        for sign, term in ((1, value + other), (-1, value - other)):
            paired.append([entry * (sign == s) for entry, s in zip(column, signs, strict=True)])
            terms.append(term)
    return [list(row) for row in zip(*paired, strict=True)], terms


def _signs(first: Row, second: Row) -> list[int] | None:
    """Where two rows agree (1) and where they are opposite (−1); None if elsewhere they differ, or share too little."""
    if any(abs(a) != abs(b) for a, b in zip(first, second, strict=True)):
        return None
    signs = [1 if a == b else -1 for a, b in zip(first, second, strict=True)]
    both = {sign for sign, entry in zip(signs, first, strict=True) if entry}
    return signs if both == {1, -1} else None


def _sum(e: Any, row: Row, terms: Sequence[Any]) -> Any:
    """Σ_j row_j · term_j; a term of factor ±1 is taken first, so that it need not be multiplied."""
    parts = sorted(
        ((entry, term) for entry, term in zip(row, terms, strict=True) if entry), key=lambda part: -_plain(part)
    )
    (entry, total), *rest = parts
    if entry != 1:
        total = -total if entry == -1 else total * e.constant(float(entry))
    for factor, term in rest:
        if abs(factor) == 1:
            total = total + term if factor == 1 else total - term
        else:
            total = e.fma(term, e.constant(float(factor)), total)
    return total


def _plain(part: tuple[Fraction, Any]) -> int:
    return 2 * (part[0] == 1) + (part[0] == -1)
