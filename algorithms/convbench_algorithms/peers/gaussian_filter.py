"""When a filter is the Gaussian that a library's own Gaussian blur computes."""

from __future__ import annotations

import numpy as np

from convbench.algorithm import Array, unit_roundoff
from convbench.spec import ConvSpec


def sigma_of(spec: ConvSpec) -> float | None:
    """σ where the spec's filter is a sampled Gaussian of the same odd extent along both axes, else None."""
    family, _, parameter = spec.filter.partition(":")
    return float(parameter) if family == "gaussian" and spec.r == spec.s and spec.r % 2 else None


def truncation(spec: ConvSpec, sigma: float) -> float:
    """The radius R//2 in multiples of σ, as blurs are told where to cut; half a tap less, for both ways of rounding."""
    return (spec.r // 2 - 0.25) / sigma


def is_gaussian(w: Array, sigma: float) -> bool:
    """Whether w [K,1,R,R] is exp(−(h²+w²)/2σ²), scaled to the sum 1, in every channel, within its rounding."""
    offsets = np.arange(w.shape[-1]) - w.shape[-1] // 2
    profile = np.exp(-0.5 * (offsets / sigma) ** 2)
    profile /= profile.sum()
    return bool(np.all(np.abs(w - np.outer(profile, profile)) <= 8 * unit_roundoff(str(w.dtype)) * profile.max() ** 2))
