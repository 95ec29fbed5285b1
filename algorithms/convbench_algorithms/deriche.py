"""Deriche's recursive Gaussian: four exponentials each way, whose sum is nearly a Gaussian, for any σ.

    h(t) = Re Σ_k 2·weight_k·exp(−rate_k·|t|/σ),   k = 1, 2

Deriche, "Recursively Implementing the Gaussian and Its Derivatives" (INRIA RR-1893, 1993), with the coefficients of
Getreuer, "A Survey of Gaussian Convolution Algorithms" (IPOL 3, 2013), K = 4: each exponential and its conjugate. One
recursion of the fourth order would have them in as few multiplications, and lose all of float32's digits by σ = 128;
two sections of the second order side by side, in variables that stay small, keep all but one or two.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from convbench.algorithm import Array, ErrorModel, Unsupported, unit_roundoff
from convbench.spec import ConvSpec
from convbench_algorithms.peers.gaussian_filter import sigma_of

LEAST_SIGMA: Final = 1.0
CUT: Final = 3.0
"""Multiples of σ before which the filter may not be cut: recursion does not cut at all."""

WEIGHTS: Final = (0.84 + 1.8675j, -0.34015 - 0.1299j)
RATES: Final = (1.783 + 0.6318j, 1.723 + 1.997j)


def unless_gaussian(spec: ConvSpec) -> Unsupported | None:
    """The reason where the filter of `spec` is none that the recursion comes near."""
    sigma = sigma_of(spec)
    if sigma is None:
        return Unsupported("has recursive filters for Gaussians of an odd extent only")
    if sigma < LEAST_SIGMA or spec.r < 2 * round(CUT * sigma) + 1:
        return Unsupported("is near a Gaussian of σ ≥ 1 that is not cut before 3σ")
    return None


def sections(sigma: float, total: float) -> Array:
    """β, ρ, and what s and d weigh, of both sections of both directions [2,2,4], for a filter that sums to `total`.

    Of a pole p, β = |1 − p|² and ρ = |p|², each section goes from x[n] to

        d ← ρ·d + x[n] − s        s ← s + β·d        weight_s·s + weight_d·d

    so that s follows x with a gain of 1, however β and ρ are rounded, and d is what it lags behind: small numbers are
    kept as such, instead of as differences of numbers near 1. Downwards, y takes them after x[n] has come in;
    upwards before, since x[n] has been counted.
    """
    p, weight = np.exp(-np.array(RATES) / sigma), np.array(WEIGHTS)
    beta, rho = abs(1 - p) ** 2, abs(p) ** 2
    # Σ_n 2·Re(weight·pⁿ)·z⁻ⁿ = (2·Re weight − 2·Re(weight·p̄)·z⁻¹) / D, with s = β/D and d = (1 − z⁻¹)/D.
    ways = [(2 * (a / (1 - p)).real, 2 * (a * p.conj()).real) for a in (weight, weight * p)]
    gain = total / sum(of_s.sum() for of_s, _ in ways)
    return np.array([np.stack((beta, rho, gain * of_s, gain * of_d), axis=1) for of_s, of_d in ways])


@lru_cache(maxsize=256)
def difference(sigma: float, radius: int) -> float:
    """‖h − w‖₂ ÷ ‖w‖₂ of the impulse response h of both axes, and the Gaussian w that is cut at `radius`.

    5e-4 for a radius of 4σ, 8e-3 for one of 3σ: nearly all of that is the tail that w lacks.
    """
    t = np.abs(np.arange(-radius - round(10 * sigma), radius + round(10 * sigma) + 1))
    poles = np.exp(-np.array(RATES) / sigma)
    h = (np.array(WEIGHTS)[:, None] * poles[:, None] ** t).sum(axis=0).real
    w = np.where(t <= radius, np.exp(-(t**2) / (2 * sigma**2)), 0)
    h, w = h / h.sum(), w / w.sum()
    return float(np.linalg.norm(np.outer(h, h) - np.outer(w, w)) / np.linalg.norm(w) ** 2)


def recursion_error(spec: ConvSpec) -> ErrorModel:
    """The normwise bound of a filter that is another one, and of its rounding.

    Of an x without structure, ‖(h − w) ⋆ x‖₂ is ‖h − w‖₂·‖x‖₂, and ‖s‖₂ at least ‖w‖₂·‖x‖₂; a smooth x sees both
    sum to the same. Each section forgets within some σ elements what rounding added, as much of one sign as of the
    other. But s stands still while β·d is below half of its last place, d then gathers x − s at the rate of 1 − ρ, and
    so s may stay off by some (1 − ρ)/β ≈ σ halves of it.
    """
    sigma = sigma_of(spec)
    assert sigma is not None
    bound = 4 * difference(sigma, spec.r // 2) + (64 + sigma) * unit_roundoff(spec.dtype)
    return ErrorModel("normwise", bound, "the filter is another one: Deriche's with K = 4, not cut")
