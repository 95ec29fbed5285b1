"""The products of Winograd convolution: for each frequency the matrices V [tiles,C] and U [C,K], in vectors over K.

Rows · vectors of M [tiles,K] stay in registers for the whole sum over C: each step loads `vectors` of U, which is
packed in that order, and multiplies them by one number of each row of V. So U is read once for all tiles, in sequence,
and no lane is lost to images of few tiles. While one panel of U is multiplied, the next is fetched from memory.

Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34, 2008.
"""

from __future__ import annotations

from typing import Any, Final

from numba import njit

from convbench.algorithm import Array
from convbench_algorithms.emitter import REGISTERS, emitted, lanes_of

PANEL: Final = 2
"""Vectors of U side by side."""

ROWS: Final = (REGISTERS or 32) // PANEL - 2
"""14 × 2 accumulators, 2 vectors of U and a number take 31 registers of 32; 6 × 2 take 15 of 16."""


def _block_plain(U: Array, V: Array, M: Array, depth: int, rows: int, vectors: int, ahead: int) -> None:  # noqa: ARG001
    width = vectors * lanes_of(U.itemsize)
    for r in range(rows):
        for j in range(width):
            M[r, j] = 0
        for c in range(depth):
            for j in range(width):
                M[r, j] += V[r, c] * U[c * width + j]


@emitted(_block_plain)
def _block(e: Any, U: Any, V: Any, M: Any, depth: Any, rows: Any, vectors: Any, ahead: Any) -> None:
    """M [rows,vectors·lanes] = V [rows,depth] · U [depth·vectors·lanes], for an even number of rows up to `ROWS`."""
    for v in range(1, PANEL + 1):
        with e.when(vectors.compare("==", v)):
            for r in range(2, ROWS + 1, 2):
                with e.when(rows.compare("==", r)):
                    _emit_block(e, U, V, M, depth, r, v, ahead)


def _emit_block(e: Any, U: Any, V: Any, M: Any, depth: Any, rows: int, vectors: int, ahead: Any) -> None:
    sums = [[e.variable(e.constant(0.0)) for _ in range(vectors)] for _ in range(rows)]
    factors = [V.at(r) for r in range(rows)]

    with e.loop(depth, unroll=False) as c:
        place = U + c * (vectors * e.lanes)
        e.prefetch(U, c * e.lanes + ahead, level=2)
        pieces = [e.load(place, v * e.lanes) for v in range(vectors)]
        for factor, row in zip(factors, sums, strict=True):
            number = e.broadcast(factor, c)
            for piece, total in zip(pieces, row, strict=True):
                total.set(e.fma(number, piece, total.get()))
    for r, row in enumerate(sums):
        for v, total in enumerate(row):
            e.store(total.get(), M.at(r), v * e.lanes)


@njit(nogil=True, cache=True)
def multiply_panel(U: Array, V: Array, M: Array, tiles: int, depth: int, vectors: int) -> None:
    """M [tiles,vectors·lanes] = V [tiles,depth] · U, a panel of `vectors` ≤ `PANEL` vectors [depth,vectors,lanes].

    An odd last row is computed with its neighbour, so V and M have an even number of rows.
    """
    ahead = depth * vectors * lanes_of(U.itemsize)
    left = (tiles + ROWS - 1) // ROWS
    row = 0
    while left > 0:
        rows = ((tiles - row + left - 1) // left + 1) // 2 * 2
        _block(U, V[row:], M[row:], depth, rows, vectors, ahead)
        ahead += depth * lanes_of(U.itemsize)
        row += rows
        left -= 1
