"""Winograd convolution: small tiles with fewer multiplications, as one matrix product a frequency.

y = Aᵀ [ Σ_c (G w G_wᵀ) ⊙ (Bᵀ d B_w) ] A_w on overlapping tiles d of x (Lavin & Gray, arXiv:1509.09308, algorithm 1),
with transforms of its own along each axis: F(m,R) × F(m,S), and F(1,1), which does nothing, along an axis of one tap.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar, Final, final

import numpy as np

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    inner_product_length,
    unit_roundoff,
    unsupported_dtype,
)
from convbench.spec import ConvSpec
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.winograd_kernels import invert_tiles, multiply_frequencies, transform_tiles
from convbench_algorithms.winograd_tiles import Tiles
from convbench_algorithms.winograd_transforms import Transform, transforms

MAX_TAPS: Final = 5


class Winograd(ForwardAlgorithm):
    """F(m, R) × F(m, S), for filters of up to 5×5, stride 1 and dilation 1."""

    tags: ClassVar[frozenset[str]] = frozenset({"cpu", "winograd"})

    @property
    @abstractmethod
    def m(self) -> int:
        """Outputs of a tile along each axis."""

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """Stride and dilation 1, and a filter that is worth transforming."""
        if half := unsupported_dtype(spec):
            return half
        if spec.stride != (1, 1):
            return Unsupported("needs a stride of 1")
        if spec.dilation != (1, 1):
            return Unsupported("needs a dilation of 1")
        if spec.r == spec.s == 1:
            return Unsupported("a filter of 1×1 leaves no multiplications to save")
        if max(spec.r, spec.s) > MAX_TAPS:
            return Unsupported(f"needs a filter of at most {MAX_TAPS}×{MAX_TAPS}: larger tiles lose too many digits")
        return None

    def transforms(self, spec: ConvSpec) -> tuple[Transform, Transform]:
        """F(m, R) and F(m, S)."""
        return tuple(transforms(self.m if taps > 1 else 1, taps) for taps in (spec.r, spec.s))  # type: ignore[return-value]

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """Normwise: the round-off of the products, of C/groups terms each, is amplified by κ along each axis.

        Each product sums C/groups terms and carries the round-off of its transforms, inner products of
        up to α terms along each axis on the way in, R and S for the filter, α on the way out: n terms in all, whose
        rounding errors, independent and of u/√3 at most in the root mean square, add up to ε = u·√(n/3).
        By `Transform.amplification` errors of that size make ‖e‖₂ ≤ κ_h·κ_w·ε·‖w‖·‖x‖, and ‖w‖·‖x‖ ≤ ‖s‖₂ for
        s = |w| ⋆ |x|, as none of its products is negative. The bound is that with ε = 3u·√n, five standard deviations.
        Barabasz et al. (2020, theorems 1 and 2) have ‖A‖·‖G‖·‖B‖ in the place of κ, for errors that all conspire.
        """
        pair = self.transforms(spec)
        terms = inner_product_length(spec) // (spec.r * spec.s) + sum(2 * t.alpha + t.r for t in pair)
        epsilon = 3 * unit_roundoff(spec.dtype) * math.sqrt(terms)
        bound = pair[0].amplification * pair[1].amplification * epsilon
        return ErrorModel("normwise", bound, "after Barabasz et al. 2020, with independent rounding errors")

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """Tiles, and workspace for a block of them."""
        return WinogradPlan(spec, resources, self.transforms(spec))


@final
class WinogradF2(Winograd):
    """2×2 outputs a tile: the fewest digits lost."""

    name: ClassVar[str] = "winograd_f2"
    m: ClassVar[int] = 2


@final
class WinogradF4(Winograd):
    """4×4 outputs a tile."""

    name: ClassVar[str] = "winograd_f4"
    m: ClassVar[int] = 4


@final
class WinogradF6(Winograd):
    """6×6 outputs a tile: the fewest multiplications."""

    name: ClassVar[str] = "winograd_f6"
    m: ClassVar[int] = 6


@final
class WinogradPlan(ConvPlan):
    """The tiling, the transforms in the spec's dtype, and the workspace of a block of segments."""

    def __init__(self, spec: ConvSpec, resources: Resources, pair: tuple[Transform, Transform]) -> None:
        self.spec = spec
        self.pair = pair
        self.tiles = tiles = Tiles(spec, resources, pair)
        arrays = [transform.arrays(spec.dtype) for transform in pair]
        self.A = np.ascontiguousarray(arrays[0][0].T), np.ascontiguousarray(arrays[1][0].T)
        self.B = np.ascontiguousarray(arrays[0][2].T), np.ascontiguousarray(arrays[1][2].T)
        filter_bytes = tiles.frequencies * spec.k * spec.c // spec.groups * spec.itemsize
        self.workspace_bytes = resources.reserve(tiles.workspace_bytes + filter_bytes)
        self.V = np.zeros((tiles.frequencies, spec.c, tiles.pitch), spec.dtype)
        self.M = np.zeros((tiles.frequencies, spec.k, tiles.pitch), spec.dtype)
        self.scratch = np.zeros(tiles.scratch_shape, spec.dtype)
        self._compile()

    def prepare(self, w: Array) -> PreparedConv:
        """U = G w G_wᵀ, in float64, as [frequencies, K, C/groups] of the spec's dtype."""
        spec = self.spec
        G_h, G_w = (transform.arrays(np.float64)[1] for transform in self.pair)
        taps = w[..., ::-1, ::-1] if spec.flip else w
        U = np.einsum("ar,kcrs,bs->abkc", G_h, taps.astype(np.float64), G_w, optimize=True)
        U = U.reshape(self.tiles.frequencies, spec.k, spec.c // spec.groups)
        return WinogradConv(self, np.ascontiguousarray(U, dtype=spec.dtype))

    def _compile(self) -> None:
        """No segments: the kernels are compiled and compute nothing."""
        spec = self.spec
        U = np.zeros((self.tiles.frequencies, spec.k, spec.c // spec.groups), spec.dtype)
        nothing = [np.zeros((0, *shape[1:]), spec.dtype) for shape in (spec.x_shape, spec.y_shape)]
        WinogradConv(self, U).run(nothing[0], nothing[1], 0, 0)


@final
class WinogradConv(PreparedConv):
    """A `WinogradPlan` with its transformed filter."""

    def __init__(self, plan: WinogradPlan, U: Array) -> None:
        self.plan = plan
        self.U = U

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        tiles = self.plan.tiles
        for first in range(0, len(tiles.segments), tiles.block):
            self.run(x, y, first, min(first + tiles.block, len(tiles.segments)))

    def run(self, x: Array, y: Array, first: int, last: int) -> None:
        """The block of segments `first` … `last`."""
        plan, tiles = self.plan, self.plan.tiles
        segments = tiles.segments[first:last]
        window, lanes, scratch = tiles.window, tiles.lanes, plan.scratch
        transform_tiles(
            x, segments, tiles.maps, tiles.left, tiles.m, window, lanes, plan.B, tiles.input_starts, scratch, plan.V
        )
        multiply_frequencies(self.U, plan.V, plan.M, tiles.channel_starts, len(segments) * lanes, len(scratch))
        invert_tiles(plan.M, segments, tiles.m, window, lanes, plan.A, tiles.output_starts, scratch, y)
