"""A Gaussian blur by recursion: as much work for any σ, with an impulse response that is nearly Gaussian."""

from __future__ import annotations

from math import ceil
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
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.deriche import recursion_error, sections, unless_gaussian
from convbench_algorithms.peers.gaussian_filter import is_gaussian, sigma_of
from convbench_algorithms.recursion import SECTIONS, along_lines
from convbench_algorithms.two_passes import TwoPasses, seen

REACH: Final = 4.0
"""Multiples of σ that a tile begins before its first output, if the filter is cut earlier: lest tiles show."""


@final
class RecursiveGaussian(ForwardAlgorithm):
    """Two recursions along each axis, Deriche's: exact to a few ten-thousandths, in constant time for any σ."""

    name: ClassVar[str] = "recursive_gaussian"
    precision = "approximate"
    tags: ClassVar[frozenset[str]] = frozenset({"cpu", "recursive"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """Each channel by itself, at every element; any padding and boundary."""
        if half := unsupported_dtype(spec):
            return half
        if not spec.c == spec.k == spec.groups:
            return Unsupported("filters each channel by itself: needs groups = c = k")
        if spec.stride != (1, 1) or spec.dilation != (1, 1):
            return Unsupported("recursion goes from each element to the next: needs stride 1 and dilation 1")
        return unless_gaussian(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `recursion_error`."""
        return recursion_error(spec)

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """Tiles that read 4σ of their neighbours, or as far as the filter reaches."""
        return _RecursivePlan(spec, resources)


@final
class _RecursivePlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        sigma = sigma_of(spec)
        assert sigma is not None
        self.spec = spec
        self.sigma = sigma
        taps = 2 * max(spec.r // 2, ceil(REACH * sigma)) + 1
        self.passes = TwoPasses(spec, resources, along_lines, (taps, taps), 2 * SECTIONS)
        self.workspace_bytes = self.passes.workspace_bytes
        self.passes.compile(sections(sigma, 1.0).astype(spec.dtype), np.ones((spec.k, 1), spec.dtype))

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        if not is_gaussian(w, self.sigma):
            return Unsupported(f"w is not the Gaussian that filter={self.spec.filter} says")
        return _RecursiveConv(self, float(np.sqrt(w[0, 0].astype(np.float64).sum())))


@final
class _RecursiveConv(PreparedConv):
    def __init__(self, plan: _RecursivePlan, total: float) -> None:
        self.plan = plan
        self.weights = sections(plan.sigma, total).astype(plan.spec.dtype)
        self.scales = np.ones((plan.spec.k, 1), plan.spec.dtype)
        self.operations = _operations(plan)

    def execute(self, x: Array, y: Array) -> None:
        self.plan.passes.run(x, y, self.weights, self.scales)


def _operations(plan: _RecursivePlan) -> int:
    """Both ways, five for each section and element, from `reach` before the first output on; 15 more an output."""
    units, taps = plan.passes.units, plan.passes.taps
    height, width = (units[:, i + 1] - units[:, i] for i in (2, 4))
    reach = taps[0] // 2
    each = 2 * SECTIONS * 5
    along_rows = seen(plan.spec, units, taps, 0) * (each * (width + reach) + 15 * width)
    down_columns = width * (each * (height + reach) + 15 * height)
    return int((along_rows + down_columns).sum())
