"""A Gaussian blur by recursion: as much work for any σ, with an impulse response that is nearly Gaussian.

Deriche's recursion, see `deriche`. Columns are cut into chunks that begin before their first row, where the
Gaussian is cut anyway; so they need not wait for each other, as those of Nehab et al. do ("GPU-efficient recursive
filtering and summed-area tables", SIGGRAPH Asia 2011).
"""

from __future__ import annotations

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
from convbench_algorithms.deriche import recursion_error, sections, unless_gaussian
from convbench_algorithms.peers.gaussian_filter import is_gaussian, sigma_of
from convbench_algorithms.peers.library import unless_plane_by_plane

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
        if unsupported := unless_gaussian(spec):
            return unsupported
        if any(before != after for before, after in spec.padding):
            return Unsupported("centres its filters: needs as much padding before as after")
        if spec.dtype == "float16":
            return Unsupported("what it keeps between its two axes would lose too much in float16")
        if spec.n * spec.k > MOST_PLANES:
            return Unsupported(f"needs at most {MOST_PLANES:,} planes")
        return unsupported_by_card(spec.dtype)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return recursion_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _RecursivePlan(spec, resources)


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
        coefficients = sections(self.sigma, total).reshape(-1).astype(self.geometry.dtype)
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
