"""How far round-off may carry a convolution that goes through FFTs."""

from __future__ import annotations

import math

from convbench.algorithm import ErrorModel, unit_roundoff
from convbench.spec import ConvSpec


def fft_error(spec: ConvSpec, transform_points: int) -> ErrorModel:
    """The normwise bound λ·√log₂(L)·√T·u for transforms of L points and outputs of T = C/groups·R·S products.

    One transform. Its log₂ L stages each add independent errors of about u, so that ‖Δ(Fz)‖₂ is about
    √log₂(L)·u·‖Fz‖₂ (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., theorem 24.2,
    has log₂(L) in the worst case; Schatzman, SISC 17, 1996, has the root).

    The convolution. y = F⁻¹(Σ_c Fx_c · Fw_c): two transforms and their inverse, each error spread evenly
    over the outputs, so ‖e‖₂ is about √3·√log₂(L)·u·‖x‖₂‖w‖₂, where x has its padding.

    The scale. s = |w| ⋆ |x| sums non-negative products, so that over all shifts ("full" padding)
    ‖s‖₂² = Σ (autocorrelation of |x|)·(autocorrelation of |w|) ≥ ‖x‖₂²‖w‖₂², from lag 0 alone: e/s is of the
    order of √log₂(L)·u. Smooth positive x and w concentrate both spectra at the same frequencies, which
    multiplies ‖e‖ by up to ‖w‖₁/‖w‖₂ ≤ √T, and ‖s‖ with it.

    Fewer outputs. Under other paddings and strides, an x far larger than its neighbours may be seen through a
    single tap, of about ‖w‖₂/√T: there ‖s‖₂ may be √T smaller while e, spread by the transform, is not.
    Elements that no output sees are to be left out of the transform, since nothing in s would make up for them.

    λ = 10 covers √3, FFTs in which radices beyond 2 err more, and a tap smaller than its fellows.
    """
    terms = spec.c // spec.groups * spec.r * spec.s
    stages = math.log2(max(transform_points, 2))
    bound = 10 * math.sqrt(stages * terms) * unit_roundoff(spec.dtype)
    return ErrorModel("normwise", bound, "Higham 2002, theorem 24.2, with √log₂(L) and √T for one-tap views; λ = 10")
