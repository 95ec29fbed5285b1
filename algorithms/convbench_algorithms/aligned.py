"""Workspace that begins with a cache line, so that no vector in it lies across two."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from convbench.algorithm import Array

CACHE_LINE_BYTES: Final = 64


def aligned_zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Zeros from the start of a cache line on."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(size + CACHE_LINE_BYTES, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE_BYTES
    zeros: Array = raw[start : start + size].view(dtype).reshape(shape)
    return zeros
