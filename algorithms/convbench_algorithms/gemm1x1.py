"""A 1×1 convolution is a matrix product: Y_g [K/G, P·Q] = W_g [K/G, C/G] · X_g [C/G, H·W].

x is used where it lies. Only a stride, padding, or rows that would evict each other from the cache make a copy of the
elements that are read, a panel at a time.
"""

from __future__ import annotations

from typing import final

from convbench.algorithm import (
    ConvPlan,
    ErrorModel,
    Resources,
    Unsupported,
    summation_error,
    unsupported_dtype,
)
from convbench.spec import ConvSpec
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.panels import WORST_CONFLICT, PanelPlan, conflict
from convbench_algorithms.shift_gemm import ShiftPlan


@final
class Gemm1x1(ForwardAlgorithm):
    """One product for each image and group, with packed weights."""

    name = "gemm1x1"
    tags = frozenset({"cpu", "gemm"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """See `ForwardAlgorithm`."""
        if (spec.r, spec.s) != (1, 1):
            return Unsupported("needs a 1×1 filter")
        return unsupported_dtype(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ForwardAlgorithm`."""
        return summation_error(spec)

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ForwardAlgorithm`."""
        if spec.stride != (1, 1) or spec.padding != ((0, 0), (0, 0)):
            return ShiftPlan(spec, resources)
        return PanelPlan(spec, resources, in_place=conflict(spec.h * spec.w * spec.itemsize) < WORST_CONFLICT)
