"""A filter of one value, as sums over a window that slides along the rows and then down the columns."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
    unsupported_dtype,
)
from convbench.spec import ConvSpec
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.box_filter import unless_box, unless_constant
from convbench_algorithms.running_sums import along_lines
from convbench_algorithms.two_passes import TwoPasses, seen


@final
class Box(ForwardAlgorithm):
    """Three additions along each axis for any R and S, of which none is a difference: as exact as direct sums."""

    name: ClassVar[str] = "box"
    tags: ClassVar[frozenset[str]] = frozenset({"cpu", "box"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """Any geometry; filters of the family box."""
        return unsupported_dtype(spec) or unless_box(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """That of any direct sum: each output adds up its own elements, and takes none away."""
        return summation_error(spec)

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """Tiles."""
        return _BoxPlan(spec, resources)


@final
class _BoxPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        taps = spec.r, spec.s
        self.passes = TwoPasses(spec, resources, along_lines, taps, max(taps))
        self.workspace_bytes = self.passes.workspace_bytes
        self.no_weights = np.zeros((1, 1, 1), spec.dtype)
        self.passes.compile(self.no_weights, np.zeros((spec.k, spec.c // spec.groups), spec.dtype))

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        return unless_constant(w) or _BoxConv(self, w[:, :, 0, 0].copy())


@final
class _BoxConv(PreparedConv):
    def __init__(self, plan: _BoxPlan, scales: Array) -> None:
        self.plan = plan
        self.scales = scales
        self.operations = _operations(plan)

    def execute(self, x: Array, y: Array) -> None:
        self.plan.passes.run(x, y, self.plan.no_weights, self.scales)


def _operations(plan: _BoxPlan) -> int:
    """Three for each position along either axis, those between strides too, and the scaling, of every channel."""
    spec, units = plan.spec, plan.passes.units
    rows, columns = (seen(spec, units, plan.passes.taps, axis) for axis in (0, 1))
    width = units[:, 5] - units[:, 4]
    positions = rows * (columns - (spec.s - 1) * spec.dilation[1]) + width * (rows - (spec.r - 1) * spec.dilation[0])
    Cg = spec.c // spec.groups
    return int(3 * Cg * positions.sum()) + (2 * Cg - 1) * spec.n * spec.k * spec.p * spec.q
