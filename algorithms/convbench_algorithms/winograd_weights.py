"""backward_weights by Winograd's F(R,m): tiles of dy are the filters, and the taps are the outputs.

    dw[k,c] = Aᵀ ( Σ_t (G dy_t,k Gᵀ) ⊙ (Bᵀ x_t,c B) ) A        over the tiles t of all images

F(R,m) has the points of F(m,R), and so the same α and B: tiles of x become what they are in the forward pass. The sums
over tiles are taken in the frequency domain, so that there is one transform back for each pair of channels.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, final

import numpy as np

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    computing_dtype,
    once_stored,
    unit_roundoff,
)
from convbench.boundary import OUTSIDE
from convbench.spec import ConvSpec
from convbench.staged import StagedConv, Stages, Stopwatch
from convbench_algorithms.aligned import aligned_zeros
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.operations import winograd_weights_operations
from convbench_algorithms.thread_use import run_on
from convbench_algorithms.winograd_blocking import count_tiles, padded_maps
from convbench_algorithms.winograd_gradients import gradient_stages_for, sum_products
from convbench_algorithms.winograd_stages import INTO_FREQUENCIES, RUN, stages_for
from convbench_algorithms.winograd_transforms import Transform, transforms

Pair = tuple[Transform, Transform]

NOT_WATCHED: Final = np.zeros((0, 0), np.int64)
"""Where a call that is not timed stage by stage would leave its times."""

MOST_TILES: Final = 512
"""Of a block: its V and D of one frequency fit the second-level cache for some hundred channels."""


def weights_pair(forward: Pair) -> Pair:
    """F(R,m) for F(m,R), along H and W."""
    vertical, horizontal = (transforms(one.r, one.m) for one in forward)
    return vertical, horizontal


def winograd_weights_error(spec: ConvSpec, forward: Pair) -> ErrorModel:
    """As `winograd_error`, with sums over the tiles of all images.

    s knows only the products that some tap sums, while a tile's round-off has those of all its dy with all its x:
    α_h·α_w elements for each that a tap sees, R·S at the least.
    """
    pair = weights_pair(forward)
    tiles = count_tiles(replace(spec, direction="forward"), forward)
    terms = tiles + sum(2 * one.alpha + one.r for one in pair)
    epsilon = 3 * unit_roundoff(computing_dtype(spec.dtype)) * math.sqrt(terms)
    unseen = math.sqrt(math.prod(one.alpha / one.m for one in pair))
    bound = unseen * pair[0].amplification * pair[1].amplification * epsilon
    model = ErrorModel("normwise", bound, "after Barabasz et al. 2020, with independent rounding errors")
    return once_stored(model, spec.dtype)


@final
class WinogradWeightsPlan(ConvPlan):
    """The workspace of a block of tiles, V [1,F,tiles,C] and D [F,tiles,K], and the sums [F,C/groups,K]."""

    def __init__(self, spec: ConvSpec, resources: Resources, forward: Pair) -> None:
        self.spec = spec
        self.pair = pair = weights_pair(forward)
        self.threads = resources.threads
        as_forward = replace(spec, direction="forward")
        lanes, frequencies = lanes_of(spec.itemsize), pair[0].alpha * pair[1].alpha
        self.tiles = count_tiles(as_forward, forward)
        self.depth, self.per_group = spec.c // spec.groups, -(-(spec.k // spec.groups) // lanes)
        C, K = (-(-spec.c // lanes) | 1) * lanes, (spec.groups * self.per_group | 1) * lanes
        sums = frequencies * (self.depth + self.depth % 2) * K
        lines = (2 * RUN * max(one.r for one in pair) + pair[1].alpha) * lanes
        rows = max(max(one.alpha for one in pair), pair[0].m)
        room = resources.tile_limit_bytes // spec.itemsize - sums - self.threads * rows * lines
        self.block = max(1, min(self.tiles, MOST_TILES, room // (frequencies * (C + K))))
        elements = sums + frequencies * ((self.block + 1) * C + self.block * K) + self.threads * rows * lines
        self.workspace_bytes = resources.reserve(elements * spec.itemsize)
        self.V = aligned_zeros((1, frequencies, self.block + 1, C), spec.dtype)
        self.D = aligned_zeros((frequencies, self.block, K), spec.dtype)
        self.sums = aligned_zeros((frequencies, self.depth + self.depth % 2, K), spec.dtype)
        self.lines = aligned_zeros((self.threads, rows, lines), spec.dtype)
        self.maps = padded_maps(as_forward, forward)
        self.dy_maps = [
            np.pad(np.arange(outputs), (0, one.r * RUN), constant_values=OUTSIDE)
            for outputs, one in zip((spec.p, spec.q), pair, strict=True)
        ]
        self.B_h, self.B_w = (one.arrays(spec.dtype)[2] for one in pair)
        (self.A_h, self.G_h, _), (self.A_w, self.G_w, _) = (one.arrays(spec.dtype) for one in pair)
        extents = forward[0].m, spec.r, forward[1].m, spec.s
        self.into = stages_for(*extents)
        self.transform_dy, self.back = gradient_stages_for(*extents)
        self._compile()

    def prepare(self, dy: Array) -> PreparedConv:
        """Bind dy [N,K,P,Q]: its values are read by every call."""
        return WinogradWeights(self, dy)

    def transform_x(self, x: Array, first: int, last: int, y: Array) -> None:
        """V of the tiles `first` … `last`."""
        run_on(
            self.threads, self.into, INTO_FREQUENCIES, first, last, self.block, self.spec.groups, self.threads,
            x, *self.maps, self.spec.padding[1][0], self.B_h, self.B_w, self.A_h, self.A_w,
            self.sums[0], self.V, self.V, self.lines, y, 0, NOT_WATCHED,  # the first in place of U, which is not read
        )  # fmt: skip

    def _compile(self) -> None:
        """No tiles: the kernels are compiled and compute nothing."""
        x, dy = (np.zeros((1, *shape[1:]), self.spec.dtype) for shape in (self.spec.x_shape, self.spec.y_shape))
        nothing = WinogradWeights(self, dy)
        self.transform_x(x, 0, 0, dy)
        nothing.transform_dy(0, 0)
        sum_products(self.threads, 0, self.spec.groups, 0, 0, self.V, self.D, self.sums, 0)
        nothing.back(np.zeros((0, *self.spec.w_shape[1:]), self.spec.dtype))


@final
class WinogradWeights(StagedConv):
    """A plan and the dy that it reads."""

    def __init__(self, plan: WinogradWeightsPlan, dy: Array) -> None:
        self.plan = plan
        self.dy = dy
        self.operations = winograd_weights_operations(plan.spec, plan.pair, plan.tiles)
        self.flipped = np.empty(plan.spec.w_shape, plan.spec.dtype) if plan.spec.flip else None

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        self.execute_staged(x, y)

    def execute_staged(self, x: Array, y: Array) -> Stages:
        """See `StagedConv`."""
        plan, watch = self.plan, Stopwatch()
        for first in range(0, plan.tiles, plan.block):
            last = min(first + plan.block, plan.tiles)
            plan.transform_x(x, first, last, self.dy)
            self.transform_dy(first, last)
            watch.lap("input transforms")
            run_on(
                plan.threads, sum_products, plan.threads, last - first, plan.spec.groups, plan.per_group, plan.depth,
                plan.V, plan.D, plan.sums, int(first > 0),
            )  # fmt: skip
            watch.lap("product")
        if self.flipped is None:
            self.back(y)
        else:
            self.back(self.flipped)
            y[...] = self.flipped[..., ::-1, ::-1]
        watch.lap("output transform")
        return watch.stages

    def transform_dy(self, first: int, last: int) -> None:
        """D of the tiles `first` … `last`."""
        plan = self.plan
        run_on(
            plan.threads, plan.transform_dy, plan.threads, first, last, plan.spec.groups,
            self.dy, *plan.dy_maps, plan.G_h, plan.G_w, plan.lines, plan.D,
        )  # fmt: skip

    def back(self, dw: Array) -> None:
        """The taps of all sums."""
        plan = self.plan
        run_on(
            plan.threads, plan.back, plan.threads, plan.spec.groups, plan.per_group,
            plan.sums, plan.A_h, plan.A_w, plan.lines, dw,
        )  # fmt: skip
