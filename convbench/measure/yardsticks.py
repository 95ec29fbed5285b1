"""Two fixed computations, timed beside every block: what the machine itself was like just then.

A baseline that was stored an hour ago was measured on a machine that has changed since. Divided by a yardstick that was
slowed by the same things, it can be compared; by the wrong one, it is worse than as it was. So there are two, and
the analysis chooses for each cell (`analysis.stored_baseline`).
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Final, final

import numpy as np

COMPUTE: Final = "compute"
MEMORY: Final = "memory"
NEAR: Final = 4096  # numbers: they stay in a first-level cache
FAR_BYTES: Final = 2**25
REPEATS: Final = 500


@final
class Yardsticks:
    """Holds the arrays."""

    def __init__(self) -> None:
        self.near = np.linspace(1, 2, NEAR, dtype=np.float32)
        self.roots = np.empty_like(self.near)
        self.far = np.zeros(FAR_BYTES, np.uint8)

    def measure(self) -> dict[str, float]:
        """Seconds for square roots that stay in the cache, and for a pass over memory."""
        return {COMPUTE: _timed(self._compute), MEMORY: _timed(self._memory)}

    def _compute(self) -> None:
        for _ in range(REPEATS):
            np.sqrt(self.near, out=self.roots)

    def _memory(self) -> None:
        np.invert(self.far, out=self.far)


def _timed(work: Callable[[], None]) -> float:
    start_s = perf_counter()
    work()
    return perf_counter() - start_s
