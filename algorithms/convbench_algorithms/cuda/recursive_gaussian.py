"""A Gaussian blur by recursion: as much work for any σ, with an impulse response that is nearly Gaussian.

Deriche's sum of four exponentials (INRIA RR-1893, 1993), with the coefficients of Getreuer, "A Survey of Gaussian
Convolution Algorithms" (IPOL 3, 2013). Columns are cut into chunks that begin before their first row, where the
Gaussian is cut anyway; so they need not wait for each other, as those of Nehab et al. do ("GPU-efficient recursive
filtering and summed-area tables", SIGGRAPH Asia 2011).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, final

import numpy as np
from numpy import int32

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    unit_roundoff,
)
from convbench.spec import ConvSpec
from convbench_algorithms.cuda.device import (
    TYPES,
    CudaAlgorithm,
    DeviceArray,
    Function,
    Kernel,
    Triple,
    current,
    unsupported_by_card,
)
from convbench_algorithms.cuda.geometry import MOST_PLANES, Geometry
from convbench_algorithms.peers.gaussian_filter import is_gaussian, sigma_of
from convbench_algorithms.peers.library import unless_plane_by_plane

LEAST_SIGMA: Final = 1.0
CUT: Final = 3.0
"""Multiples of σ before which the filter may not be cut: recursion does not cut at all."""

WEIGHTS: Final = (0.84 + 1.8675j, -0.34015 - 0.1299j)
RATES: Final = (1.783 + 0.6318j, 1.723 + 1.997j)
"""h(t) = Re Σ 2·weight·exp(−rate·|t|/σ) ÷ (√(2π)·σ): Getreuer's K = 4, each with its conjugate."""

WARP: Final = 32
WARPS: Final = 4
BLOCK: Final[Triple] = (WARP, WARPS, 1)
SHARED_ELEMENTS: Final = WARPS * WARP * (WARP + 1)


@final
class CudaRecursiveGaussian(CudaAlgorithm):
    """Two recursions along each axis; exact to a few thousandths."""

    name = "cuda_recursive_gaussian"
    precision = "approximate"
    tags = frozenset({"cuda", "recursive"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if unsupported := unless_plane_by_plane(spec):
            return unsupported
        sigma = sigma_of(spec)
        if sigma is None or any(before != after for before, after in spec.padding):
            return Unsupported("has recursive filters for centred Gaussians of an odd extent only")
        if sigma < LEAST_SIGMA or spec.r < 2 * round(CUT * sigma) + 1:
            return Unsupported("is near a Gaussian of σ ≥ 1 that is not cut before 3σ")
        if spec.dtype == "float16":
            return Unsupported("what it keeps between its two axes would lose too much in float16")
        if spec.n * spec.k > MOST_PLANES:
            return Unsupported(f"needs at most {MOST_PLANES:,} planes")
        return unsupported_by_card(spec.dtype)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`.

        Of an x without structure, ‖(h − w) ⋆ x‖₂ is ‖h − w‖₂·‖x‖₂, and ‖s‖₂ at least ‖w‖₂·‖x‖₂; a smooth x sees both
        sum to the same. Each of the four recursions carries its rounding errors on over some σ elements.
        """
        sigma = sigma_of(spec) or 1.0
        rounding = 40 * sigma * unit_roundoff(spec.dtype)
        bound = 4 * difference(sigma, spec.r // 2) + rounding
        return ErrorModel("normwise", bound, "the filter is another one: Deriche's with K = 4, not cut")

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _RecursivePlan(spec, resources)


def recursion(sigma: float, total: float) -> Array:
    """b0 … b3, c1 … c4, a1 … a4 of the kernel, for a filter that sums to `total`.

    The causal half is Σ_k α_k / (1 − p_k·z⁻¹) with p_k = exp(−λ_k/σ), over the common denominator; the other half has
    its mirror image without the element at 0, c_i = b_i − a_i·b_0.
    """
    poles = np.exp(-np.array([*RATES, *np.conj(RATES)]) / sigma)
    weights = np.array([*WEIGHTS, *np.conj(WEIGHTS)])
    a = np.poly(poles).real
    b = sum(weight * np.poly(np.delete(poles, k)) for k, weight in enumerate(weights)).real
    c = np.append(b[1:], 0) - a[1:] * b[0]
    gain = (b.sum() + c.sum()) / a.sum()
    return np.concatenate((b * total / gain, c * total / gain, a[1:]))


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


def chunk_length(geometry: Geometry, reach: int) -> int:
    """Rows of a chunk, in whole warps: twice what it repeats of its neighbours, or all there are."""
    wanted = min(max(2 * reach, 4 * WARP), geometry.p)
    return -(-wanted // WARP) * WARP


@final
class _RecursivePlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        sigma = sigma_of(spec)
        assert sigma is not None
        self.spec = spec
        self.sigma = sigma
        self.geometry = g = Geometry.of(spec)
        image = g.n * g.k * g.h * g.w
        self.workspace_bytes = resources.reserve(2 * image * g.itemsize + g.map_bytes)
        self.device = device = current()
        self.partial, self.turned = (device.empty((image,), g.dtype) for _ in range(2))
        self.maps = device.upload(g.rows), device.upload(g.cols)
        self.reach = spec.r // 2, spec.s // 2
        self.kernel = Kernel.of("recursive.cu", "recursive", **TYPES[g.dtype])

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        if not is_gaussian(w, self.sigma):
            return Unsupported(f"w is not the Gaussian that filter={self.spec.filter} says")
        total = float(np.sqrt(w[0, 0].astype(np.float64).sum()))
        coefficients = recursion(self.sigma, total).astype(self.geometry.dtype)
        return _Recursive(self, self.device.compile(self.kernel, {"coefficients": coefficients}))


@final
class _Recursive(PreparedConv):
    def __init__(self, plan: _RecursivePlan, function: Function) -> None:
        self.plan = plan
        self.function = function

    def execute(self, x: DeviceArray, y: DeviceArray) -> None:
        plan, g = self.plan, self.plan.geometry
        passes = (
            (x, plan.turned, plan.maps[0], g.h, g.w, plan.reach[0]),
            (plan.turned, y, plan.maps[1], g.w, g.h, plan.reach[1]),
        )
        for source, target, rows, height, width, reach in passes:
            length = chunk_length(g, reach)
            grid = (-(-width // (WARP * WARPS)), -(-height // length), g.n * g.k)
            sizes = map(int32, (height, width, reach, length))
            arguments = (source, plan.partial, target, rows, *sizes)
            self.function(grid, BLOCK, arguments, SHARED_ELEMENTS * g.itemsize)
