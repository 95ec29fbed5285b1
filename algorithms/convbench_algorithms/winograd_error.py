"""How far round-off may carry a Winograd convolution, and which filters are not worth it."""

from __future__ import annotations

import math
from typing import Final

from convbench.algorithm import (
    ErrorModel,
    Unsupported,
    computing_dtype,
    inner_product_length,
    once_stored,
    unit_roundoff,
)
from convbench.spec import ConvSpec
from convbench_algorithms.winograd_transforms import Transform

MAX_TAPS: Final = 5


def unsupported_by_winograd(spec: ConvSpec) -> Unsupported | None:
    """Stride and dilation 1, and a filter that is worth transforming."""
    if spec.stride != (1, 1):
        return Unsupported("needs a stride of 1")
    if spec.dilation != (1, 1):
        return Unsupported("needs a dilation of 1")
    if spec.r == spec.s == 1:
        return Unsupported("a filter of 1×1 leaves no multiplications to save")
    if max(spec.r, spec.s) > MAX_TAPS:
        return Unsupported(f"needs a filter of at most {MAX_TAPS}×{MAX_TAPS}: larger tiles lose too many digits")
    return None


def winograd_error(spec: ConvSpec, pair: tuple[Transform, Transform]) -> ErrorModel:
    """Normwise: the round-off of the products, of C/groups terms each, is amplified by κ along each axis.

    Each product sums C/groups terms and carries the round-off of its transforms, inner products of
    up to α terms along each axis on the way in, R and S for the filter, α on the way out: n terms in all, whose
    rounding errors, independent and of u/√3 at most in the root mean square, add up to ε = u·√(n/3).
    By `Transform.amplification` errors of that size make ‖e‖₂ ≤ κ_h·κ_w·ε·‖w‖·‖x‖, and ‖w‖·‖x‖ ≤ ‖s‖₂ for
    s = |w| ⋆ |x|, as none of its products is negative. The bound is that with ε = 3u·√n, five standard deviations.
    Barabasz et al. (2020, theorems 1 and 2) have ‖A‖·‖G‖·‖B‖ in the place of κ, for errors that all conspire.
    """
    terms = inner_product_length(spec) // (spec.r * spec.s) + sum(2 * t.alpha + t.r for t in pair)
    epsilon = 3 * unit_roundoff(computing_dtype(spec.dtype)) * math.sqrt(terms)
    bound = pair[0].amplification * pair[1].amplification * epsilon
    model = ErrorModel("normwise", bound, "after Barabasz et al. 2020, with independent rounding errors")
    return once_stored(model, spec.dtype)
