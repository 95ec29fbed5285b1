"""An output between canaries: whoever writes past its ends is found out."""

from __future__ import annotations

from math import prod
from typing import Final, final

import numpy as np
from numpy.typing import DTypeLike

from convbench.algorithm import Array

GUARD_BYTES: Final = 4096
"""A page on either side: what lies between begins where it would without them, as far as a page can tell."""
CANARY: Final = 0xA5


@final
class Guarded:
    """An array of undefined contents with a page of canaries before and behind it."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        end = GUARD_BYTES + prod(shape) * np.dtype(dtype).itemsize
        memory = np.empty(end + GUARD_BYTES, np.uint8)
        self._guards = memory[:GUARD_BYTES], memory[end:]
        for guard in self._guards:
            guard.fill(CANARY)
        self.array: Array = memory[GUARD_BYTES:end].view(dtype).reshape(shape)

    @property
    def intact(self) -> bool:
        """Whether nothing has been written beside the array."""
        return all(bool((guard == CANARY).all()) for guard in self._guards)
