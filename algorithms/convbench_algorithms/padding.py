"""Copying x into a buffer with its padding filled in, for algorithms that want no edge cases inside."""

from __future__ import annotations

from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap


@njit(parallel=True, nogil=True, cache=True)
def pad_into(x: Array, padded: Array, rows: IndexMap, cols: IndexMap, left: int) -> None:
    """Fill padded [N,C,H',W'] from x [N,C,H,W]; `rows` [≥H'], `cols` [≥W'] map to source indices.

    `left` is the padding at the left: x occupies the columns left … left+W without a map. Elements
    of `padded` beyond the maps are left alone.
    """
    N, C, _, W = x.shape
    height = len(rows)
    width = len(cols)
    for nch in prange(N * C * height):
        n = nch // (C * height)
        c = nch // height % C
        row = nch % height
        source = rows[row]
        target = padded[n, c, row]
        if source == OUTSIDE:
            target[:width] = 0
            continue
        line = x[n, c, source]
        target[left : left + W] = line
        for col in range(left):
            target[col] = 0 if cols[col] == OUTSIDE else line[cols[col]]
        for col in range(left + W, width):
            target[col] = 0 if cols[col] == OUTSIDE else line[cols[col]]
