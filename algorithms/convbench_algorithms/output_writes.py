"""How vectors of sums reach y: past the caches, through them, or lane by lane where y ends or holds a part."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from convbench.algorithm import Array
from convbench_algorithms.aligned import CACHE_LINE_BYTES
from convbench_algorithms.emitter import Emitter, Int, Pointer, Vector, lanes_of

PAST_CACHES_BYTES: Final = 2**22
"""An output of this size would only push x out of the last-level cache."""


@njit(nogil=True, cache=True, error_model="numpy")
def alignment(y: Array) -> tuple[int, bool]:
    """The column from which on vectors lie on whole cache lines in every row of y, and whether to write past caches."""
    misplaced = -int(np.int64(y.ctypes.data)) % CACHE_LINE_BYTES
    if y.strides[2] % CACHE_LINE_BYTES != 0 or misplaced % y.itemsize != 0:
        return 0, False
    return misplaced // y.itemsize % lanes_of(y.itemsize), y.size * y.itemsize >= PAST_CACHES_BYTES


def write_vectors(
    e: Emitter, vectors: list[Vector], places: list[Pointer], height: Int, width: Int, add: Int, stream: Int
) -> None:
    """The first `width` lanes of the first `height` vectors to their places, added to what is there if `add`.

    `stream` writes whole vectors past the caches, to places that must be aligned.
    """
    partial = (width.compare("<", e.lanes), height.compare("<", len(vectors)), add.compare("!=", 0))
    some = e.builder.or_(e.builder.or_(partial[0], partial[1]), partial[2])
    for past_caches in (True, False):
        wanted = stream.compare("!=" if past_caches else "==", 0)
        with e.when(e.builder.and_(e.builder.not_(some), wanted)):
            for vector, place in zip(vectors, places, strict=True):
                (e.store_past_caches if past_caches else e.store)(vector, place)
    with e.when(some):
        mask = e.first_lanes(width)
        old = e.first_lanes(width * add)  # no lane where nothing is added: y may hold anything
        for i, (vector, place) in enumerate(zip(vectors, places, strict=True)):
            with e.when(height.compare(">", i)):
                e.store_masked(mask, e.load_masked(old, place) + vector, place)
