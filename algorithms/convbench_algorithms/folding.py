"""The gradient of padding: what each padded element received goes back to the element it was copied from."""

from __future__ import annotations

from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap


@njit(parallel=True, nogil=True, cache=True)
def fold_into(padded: Array, dx: Array, rows: IndexMap, cols: IndexMap) -> None:
    """Add padded [N,C,H',W'] into dx [N,C,H,W] through the maps `rows` [H'] and `cols` [W']."""
    N, C, _, _ = dx.shape
    for nc in prange(N * C):
        plane = dx[nc // C, nc % C]
        plane[:] = 0
        for h in range(len(rows)):
            if rows[h] == OUTSIDE:
                continue
            target = plane[rows[h]]
            line = padded[nc // C, nc % C, h]
            for w in range(len(cols)):
                if cols[w] != OUTSIDE:
                    target[cols[w]] += line[w]
