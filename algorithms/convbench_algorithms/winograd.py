"""Winograd convolution: small tiles with fewer multiplications, as one matrix product a frequency.

y = Aᵀ [ Σ_c (G w G_wᵀ) ⊙ (Bᵀ d B_w) ] A_w on overlapping tiles d of x (Lavin & Gray, arXiv:1509.09308, algorithm 1),
with transforms of its own along each axis: F(m,R) × F(m,S), and F(1,1), which does nothing, along an axis of one tap.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Final, final

import numpy as np

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    unsupported_dtype,
)
from convbench.spec import ConvSpec
from convbench.staged import StagedConv, Stages, Stopwatch
from convbench_algorithms.aligned import aligned_zeros
from convbench_algorithms.backward import TrainingAlgorithm
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.kernel_clock import CLOCK, stages_of
from convbench_algorithms.operations import filter_operations, winograd_operations
from convbench_algorithms.thread_use import run_on
from convbench_algorithms.winograd_blocking import Blocking, fits, padded_maps
from convbench_algorithms.winograd_cost import LARGEST, choose_transforms, cost
from convbench_algorithms.winograd_error import unsupported_by_winograd, winograd_error
from convbench_algorithms.winograd_stages import (
    ALL,
    BACK,
    INTO_FREQUENCIES,
    PRODUCTS,
    filter_transform_for,
    stages_for,
)
from convbench_algorithms.winograd_transforms import Transform, square_transforms
from convbench_algorithms.winograd_weights import WinogradWeightsPlan, winograd_weights_error

WORTH_A_THREAD: Final = 400_000
"""Multiply-adds of a vector, some 50 µs: layers of less are done by one thread before a second one has been woken."""

STAGES: Final = {INTO_FREQUENCIES: "input transform", PRODUCTS: "product", BACK: "output transform"}


class WinogradAlgorithm(TrainingAlgorithm):
    """F(m_h, R) × F(m_w, S), for filters of up to 5×5, stride 1 and dilation 1."""

    tags: ClassVar[frozenset[str]] = frozenset({"cpu", "winograd"})

    @abstractmethod
    def transforms(self, spec: ConvSpec) -> tuple[Transform, Transform]:
        """F(m_h, R) and F(m_w, S)."""

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """Stride and dilation 1, and a filter that is worth transforming."""
        if half := unsupported_dtype(spec):
            return half
        return unsupported_by_winograd(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `winograd_error`."""
        return winograd_error(spec, self.transforms(spec))

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """Tiles, and workspace for a block of them."""
        pair = self.transforms(spec)
        if fits(spec, resources, pair):
            return WinogradPlan(spec, resources, pair)
        return SlicedPlan(spec, resources, pair)

    def weights_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `winograd_weights_error`."""
        return winograd_weights_error(spec, self.transforms(spec))

    def plan_weights(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `winograd_weights`."""
        return WinogradWeightsPlan(spec, resources, self.transforms(spec))


class SquareTiles(WinogradAlgorithm):
    """F(m, R) × F(m, S)."""

    @property
    @abstractmethod
    def m(self) -> int:
        """Outputs of a tile along each axis."""

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """Besides, tiles that do not lose too many digits: over 512 channels F(6, 5) is wrong by 1e-4."""
        alpha = self.m + max(spec.r, spec.s) - 1
        if alpha > LARGEST and spec.dtype == "float32":
            return Unsupported(
                f"tiles of {alpha}×{alpha} inputs lose too many digits in float32, beyond {LARGEST}×{LARGEST}"
            )
        return super().supports_forward(spec)

    def transforms(self, spec: ConvSpec) -> tuple[Transform, Transform]:
        """See `WinogradAlgorithm`."""
        return square_transforms(self.m, spec.r, spec.s)


@final
class WinogradF2(SquareTiles):
    """2×2 outputs a tile: the fewest digits lost."""

    name: ClassVar[str] = "winograd_f2"
    m: ClassVar[int] = 2


@final
class WinogradF4(SquareTiles):
    """4×4 outputs a tile."""

    name: ClassVar[str] = "winograd_f4"
    m: ClassVar[int] = 4


@final
class WinogradF6(SquareTiles):
    """6×6 outputs a tile: the fewest multiplications."""

    name: ClassVar[str] = "winograd_f6"
    m: ClassVar[int] = 6


@final
class Winograd(WinogradAlgorithm):
    """Tiles of 2 to 7 outputs along each axis, as a cost model chooses them for the layer."""

    name: ClassVar[str] = "winograd"

    def transforms(self, spec: ConvSpec) -> tuple[Transform, Transform]:
        """See `WinogradAlgorithm`."""
        return choose_transforms(spec)


@final
class WinogradPlan(ConvPlan):
    """The transforms in the spec's dtype, the workspace of a block of tiles, and a place for the transformed filter."""

    def __init__(self, spec: ConvSpec, resources: Resources, pair: tuple[Transform, Transform]) -> None:
        self.spec = spec
        self.pair = pair
        self.threads = resources.threads if cost(spec, pair) > WORTH_A_THREAD else 1
        self.blocking = blocking = Blocking.choose(spec, replace(resources, threads=self.threads), pair)
        self.workspace_bytes = resources.reserve(blocking.workspace_bytes)
        (self.A_h, self.G_h, self.B_h), (self.A_w, self.G_w, self.B_w) = (t.arrays(spec.dtype) for t in pair)
        self.rows, self.cols = padded_maps(spec, pair)
        self.V = aligned_zeros(blocking.V_shape, spec.dtype)
        self.M = aligned_zeros(blocking.M_shape, spec.dtype)
        self.lines = aligned_zeros(blocking.lines_shape, spec.dtype)
        self.taps = aligned_zeros(blocking.taps_shape, spec.dtype)
        self.spent = np.zeros((self.threads, len(STAGES)), np.int64)
        extents = pair[0].m, spec.r, pair[1].m, spec.s
        self.run_stages, self.transform_filter = stages_for(*extents), filter_transform_for(*extents)
        self._compile()

    def prepare(self, w: Array) -> PreparedConv:
        """U = G w G_wᵀ, packed for the products."""
        U = aligned_zeros(self.blocking.U_shape, self.spec.dtype)
        self.transform(laid_out(self.spec, w), U)
        return WinogradConv(self, U)

    def transform(self, w: Array, U: Array) -> None:
        """U of w [K,C/groups·R·S]."""
        self.transform_filter(w, self.spec.groups, self.G_h, self.G_w, self.taps, U, len(self.taps))

    def _compile(self) -> None:
        """No filters and no tiles: the kernels are compiled and compute nothing."""
        spec = self.spec
        U = np.zeros((self.blocking.U_shape[0], 1), spec.dtype)
        self.transform(np.zeros((0, math.prod(spec.w_shape[1:])), spec.dtype), U)
        nothing = [np.zeros((1, *shape[1:3], 0), spec.dtype) for shape in (spec.x_shape, spec.y_shape)]
        WinogradConv(self, U).run(ALL, 0, 0, nothing[0], nothing[1])


@final
class WinogradConv(StagedConv):
    """A `WinogradPlan` with its transformed filter."""

    def __init__(self, plan: WinogradPlan, U: Array) -> None:
        self.plan = plan
        self.operations = winograd_operations(plan.spec, plan.pair, plan.blocking.tiles)
        self.U = U

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        if self.plan.blocking.together:
            self._execute_together(x, y)
        else:
            self.run(ALL, 0, self.plan.blocking.tiles, x, y)

    def execute_staged(self, x: Array, y: Array) -> Stages:
        """See `StagedConv`."""
        if self.plan.blocking.together:
            return self._execute_together(x, y)
        self.plan.spent.fill(0)
        self.run(ALL, 0, self.plan.blocking.tiles, x, y, CLOCK)
        return stages_of(list(STAGES.values()), self.plan.spent)

    def _execute_together(self, x: Array, y: Array) -> Stages:
        blocking, watch = self.plan.blocking, Stopwatch()
        for first in range(0, blocking.tiles, blocking.block):
            last = min(first + blocking.block, blocking.tiles)
            for stage, name in STAGES.items():
                self.run(stage, first, last, x, y)
                watch.lap(name)
        return watch.stages

    def run(self, stages: int, first: int, last: int, x: Array, y: Array, clock: int = 0) -> None:
        """The stages for the tiles `first` … `last`."""
        plan, spec = self.plan, self.plan.spec
        run_on(
            plan.threads, plan.run_stages, stages, first, last, plan.blocking.block, spec.groups, len(plan.lines),
            x, plan.rows, plan.cols, spec.padding[1][0], plan.B_h, plan.B_w, plan.A_h, plan.A_w,
            self.U, plan.V, plan.M, plan.lines, y, clock, plan.spent,
        )  # fmt: skip


def laid_out(spec: ConvSpec, w: Array) -> Array:
    """w [K,C/groups·R·S] as it is correlated."""
    return (np.ascontiguousarray(w[..., ::-1, ::-1]) if spec.flip else w).reshape(len(w), -1)


@final
class SlicedPlan(ConvPlan):
    """For filters that are too large once they are transformed: one slice of output channels after another.

    One U serves them all. So each call transforms the filters again, and the images once for every slice: the price
    of a bounded workspace. A slice lies within a group; one of a single vector of channels may exceed the limit.
    """

    def __init__(self, spec: ConvSpec, resources: Resources, pair: tuple[Transform, Transform]) -> None:
        self.spec = spec
        k = spec.k // spec.groups
        lanes = lanes_of(spec.itemsize)
        while k > lanes and not fits(_slice_of(spec, k), resources, pair):
            k = -(-k // (2 * lanes)) * lanes
        part = _slice_of(spec, k)
        self.plan = WinogradPlan(part, resources, pair)
        self.workspace_bytes = self.plan.workspace_bytes
        self.U = aligned_zeros(self.plan.blocking.U_shape, spec.dtype)

    def prepare(self, w: Array) -> PreparedConv:
        """The filter as it is: it is transformed as it is used."""
        return SlicedConv(self, laid_out(self.spec, w))


def _slice_of(spec: ConvSpec, k: int) -> ConvSpec:
    """One image, and k output channels of one group."""
    fields = spec.to_dict() | {"n": 1, "c": spec.c // spec.groups, "k": k, "groups": 1}
    return ConvSpec(**fields)  # type: ignore[arg-type]


@final
class SlicedConv(StagedConv):
    """A `SlicedPlan` with its filter [K,C/groups·R·S]."""

    def __init__(self, plan: SlicedPlan, w: Array) -> None:
        self.plan = plan
        self.w = w
        self.slice = WinogradConv(plan.plan, plan.U)
        slices = plan.spec.groups * -(-plan.spec.k // plan.spec.groups // plan.plan.spec.k)
        of_slice = winograd_operations(plan.plan.spec, plan.plan.pair, plan.plan.blocking.tiles)
        self.operations = slices * (filter_operations(plan.plan.spec, plan.plan.pair) + plan.spec.n * of_slice)

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        for some, target in self._slices(x, y):
            self.slice.execute(some, target)

    def execute_staged(self, x: Array, y: Array) -> Stages:
        """See `StagedConv`."""
        watch = Stopwatch()
        for some, target in self._slices(x, y):
            watch.lap("filter transform")
            watch.count(self.slice.execute_staged(some, target))
        return watch.stages

    def _slices(self, x: Array, y: Array) -> Iterator[tuple[Array, Array]]:
        """What each slice of channels reads and writes, one image after the other, with its filter transformed.

        The last slice of a group may compute some channels once more.
        """
        part, spec = self.plan.plan.spec, self.plan.spec
        per_group = spec.k // spec.groups
        for g in range(spec.groups):
            for k in range(0, per_group, part.k):
                first = g * per_group + min(k, per_group - part.k)
                self.plan.plan.transform(self.w[first : first + part.k], self.plan.U)
                for n in range(spec.n):
                    yield x[n : n + 1, g * part.c : (g + 1) * part.c], y[n : n + 1, first : first + part.k]
