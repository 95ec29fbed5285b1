"""How far round-off may carry a convolution that goes through FFTs."""

from __future__ import annotations

import math

from convbench.algorithm import ErrorModel, computing_dtype, once_stored, unit_roundoff
from convbench.spec import ConvSpec


def fft_error(spec: ConvSpec, transform_points: int) -> ErrorModel:
    """The normwise bound 10·κ·√log₂(L)·u, κ = √T + 100, for transforms of L points and T = C/groups·R·S.

    One transform. Its log₂ L stages each add independent errors of about u, so that ‖Δ(Fz)‖₂ is about
    √log₂(L)·u·‖Fz‖₂ (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., theorem 24.2,
    has log₂(L) in the worst case; Schatzman, SISC 17, 1996, has the root).

    The convolution. y = F⁻¹(Σ_c Fx_c · Fw_c): two transforms and their inverse, each error spread evenly
    over the outputs, so ‖e‖₂ is about √3·√log₂(L)·u·‖x‖₂‖w‖₂, where x has its padding.

    The scale. s = |w| ⋆ |x| sums non-negative products, so that over all shifts ("full" padding)
    ‖s‖₂² = Σ (autocorrelation of |x|)·(autocorrelation of |w|) ≥ ‖x‖₂²‖w‖₂², from lag 0 alone: ‖e‖₂/‖s‖₂ is
    of the order of √log₂(L)·u. Smooth positive x and w concentrate both spectra at the same frequencies,
    which multiplies ‖e‖₂ by up to ‖w‖₁/‖w‖₂ ≤ √T, and ‖s‖₂ with it.

    Fewer outputs. Under other paddings and strides, an x far larger than its neighbours may be seen through
    a single tap: then ‖s‖₂ is only |tap|·‖x‖₂, while e, spread by the transform, is as large as ever. κ is
    ‖w‖₂/|tap|: √T for a tap like its fellows, and 100 more for a small one, which no fault hides behind: in
    float32 the bound is 3e-4 for T = 9 and L = 2¹⁶, where one wrong output in a million is seen. An x that no output
    sees at all must be left out of the transform, since nothing in s would make up for it.

    The factor 10 covers √3, and radices above 2, which err more.
    """
    terms = spec.c // spec.groups * spec.r * spec.s
    stages = math.log2(max(transform_points, 2))
    u = unit_roundoff(computing_dtype(spec.dtype))
    bound = 10 * (math.sqrt(terms) + 100) * math.sqrt(stages) * u
    model = ErrorModel("normwise", bound, "Higham 2002, theorem 24.2, for random errors, and views through one tap")
    return once_stored(model, spec.dtype)


def fft_weights_error(spec: ConvSpec, transform_points: int) -> ErrorModel:
    """The normwise bound 10·κ·√log₂(L)·u for dw, κ = √L + 100, for transforms of L points.

    As in `fft_error`, but that dy is as large as the tile: an x far larger than its neighbours meets each tap of dw
    through a single element of dy, while the transform spreads errors of ‖dy‖₂ over all of L.
    """
    stages = math.log2(max(transform_points, 2))
    u = unit_roundoff(computing_dtype(spec.dtype))
    bound = 10 * (math.sqrt(transform_points) + 100) * math.sqrt(stages) * u
    model = ErrorModel("normwise", bound, "Higham 2002, theorem 24.2, for random errors, and views through one element")
    return once_stored(model, spec.dtype)
