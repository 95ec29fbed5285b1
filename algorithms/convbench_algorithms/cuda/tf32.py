"""TF32: float32's exponent and eleven bits of its fraction, which is what tensor cores take of either factor."""

from __future__ import annotations

from typing import Final

import numpy as np

from convbench.algorithm import Array, ErrorModel, summation_error
from convbench.spec import ConvSpec

TF32_ROUNDOFF: Final = 2.0**-11
"""TF32 keeps ten bits after the point, of either factor."""


def split_tf32(array: Array) -> tuple[Array, Array]:
    """a₁ and a₂ of a float32 array: its rounding to ten bits after the point, and the rest."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    near = ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)
    return near, array - near


def tf32_error(spec: ConvSpec) -> ErrorModel:
    """The bound of sums of products with a rounding of either factor, u = 2⁻¹¹."""
    direct = summation_error(spec)
    return ErrorModel("componentwise", 2.01 * TF32_ROUNDOFF + direct.bound, f"two TF32 factors; {direct.source}")


def emulated_error(spec: ConvSpec) -> ErrorModel:
    """The bound of sums of a₁b₁ + a₁b₂ + a₂b₁ for a = a₁ + a₂ and b = b₁ + b₂, a₁ and b₁ in TF32.

    a₂b₂ is left out, and a₂ and b₂ are rounded: 2⁻²² of a product each.
    """
    direct = summation_error(spec)
    return ErrorModel("componentwise", 3 * TF32_ROUNDOFF**2 + 2 * direct.bound, f"3xTF32; {direct.source}")
