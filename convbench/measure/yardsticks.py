"""Fixed computations, timed beside every block: what the machine itself was like just then.

A baseline that was stored an hour ago was measured on a machine that has changed since. Divided by a yardstick that was
slowed by the same things, it can be compared; by the wrong one, it is worse than as it was. So there are three, and
the analysis decides for each cell (`analysis.stored_baseline`). Each takes about a millisecond of one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Final, final

import numpy as np

COMPUTE: Final = "compute"
MEMORY: Final = "memory"
PRODUCT: Final = "product"

NEAR: Final = 4096  # numbers: they stay in a first-level cache
ROOTS: Final = 500
FAR_BYTES: Final = 2**25
SIDE: Final = 48
"""Of the matrices that are multiplied: they stay in a first-level cache, too, and BLAS takes one thread for them."""
PRODUCTS: Final = 300


@final
class Yardsticks:
    """Holds the arrays."""

    def __init__(self) -> None:
        self.near = np.linspace(1, 2, NEAR, dtype=np.float32)
        self.roots = np.empty_like(self.near)
        self.far = np.zeros(FAR_BYTES, np.uint8)
        self.matrix = np.full((SIDE, SIDE), 0.5, np.float32)
        self.product = np.empty_like(self.matrix)

    def measure(self) -> dict[str, float]:
        """Seconds for square roots, for a pass over memory, and for products of small matrices."""
        works = {COMPUTE: self._compute, MEMORY: self._memory, PRODUCT: self._multiply}
        return {name: _timed(work) for name, work in works.items()}

    def _compute(self) -> None:
        for _ in range(ROOTS):
            np.sqrt(self.near, out=self.roots)

    def _memory(self) -> None:
        np.invert(self.far, out=self.far)

    def _multiply(self) -> None:
        for _ in range(PRODUCTS):
            np.matmul(self.matrix, self.matrix, out=self.product)


def _timed(work: Callable[[], None]) -> float:
    start_s = perf_counter()
    work()
    return perf_counter() - start_s
