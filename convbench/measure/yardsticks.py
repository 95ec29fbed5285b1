"""Fixed computations, timed beside every block: what the machine itself was like just then.

A baseline that was stored an hour ago was measured on a machine that has changed since. Divided by a yardstick that was
slowed by the same things, it can be compared; by the wrong one, it is worse than as it was. So there are several, and
the analysis chooses for each cell (`analysis.stored_baseline`). What runs on several threads waits for the slowest of
them, so beside cells of several threads these computations are done by as many, too.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Final, final

import numpy as np

from convbench.algorithm import Array

COMPUTE: Final = "compute"
MEMORY: Final = "memory"
PRODUCT: Final = "product"
BY_ALL: Final = ", all threads"
"""Behind the name of what as many threads do as the cell has, where it has several."""

NEAR: Final = 4096  # numbers: they stay in a first-level cache
FAR_BYTES: Final = 2**25
REPEATS: Final = 500
SIDE: Final = 48
"""Of the matrices that are multiplied: they stay in a first-level cache, and BLAS takes one thread for them."""
PRODUCTS: Final = 300

EACH: Final = 16384
"""Numbers that each of several threads takes at once: they stay in its second-level cache, and Python's lock is asked
for every ten microseconds only."""
ROUNDS: Final = 50


@final
class Yardsticks:
    """Holds the arrays, and the threads."""

    def __init__(self, threads: int) -> None:
        self.near = np.linspace(1, 2, NEAR, dtype=np.float32)
        self.roots = np.empty_like(self.near)
        self.far = np.zeros(FAR_BYTES, np.uint8)
        self.matrix = np.full((SIDE, SIDE), 0.5, np.float32)
        self.product = np.empty_like(self.matrix)
        self.each = [(np.linspace(1, 2, EACH), np.empty(EACH)) for _ in range(threads)]
        self.parts = np.array_split(self.far, threads)
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def measure(self) -> dict[str, float]:
        """Seconds for square roots that stay in the cache, a pass over memory, and products of small matrices."""
        works = {COMPUTE: self._compute, MEMORY: self._memory, PRODUCT: self._products}
        found = {name: _timed(work) for name, work in works.items()}
        if self.pool is not None:
            found |= {COMPUTE + BY_ALL: _timed(self._compute_by_all), MEMORY + BY_ALL: _timed(self._memory_by_all)}
        return found

    def _compute(self) -> None:
        for _ in range(REPEATS):
            np.sqrt(self.near, out=self.roots)

    def _memory(self) -> None:
        np.invert(self.far, out=self.far)

    def _products(self) -> None:
        for _ in range(PRODUCTS):
            np.matmul(self.matrix, self.matrix, out=self.product)

    def _compute_by_all(self) -> None:
        assert self.pool is not None
        list(self.pool.map(_roots, *zip(*self.each, strict=True)))

    def _memory_by_all(self) -> None:
        assert self.pool is not None
        list(self.pool.map(_inverted, self.parts))


def _roots(numbers: Array, roots: Array) -> None:
    for _ in range(ROUNDS):
        np.sqrt(numbers, out=roots)


def _inverted(part: Array) -> None:
    np.invert(part, out=part)


def _timed(work: Callable[[], None]) -> float:
    start_s = perf_counter()
    work()
    return perf_counter() - start_s
