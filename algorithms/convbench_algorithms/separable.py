"""Separable convolution: a filter of rank 1 as a pass down the columns and one along the rows."""

from __future__ import annotations

from typing import ClassVar, final

from convbench.algorithm import ConvPlan, ErrorModel, Resources, Unsupported, unsupported_dtype
from convbench.spec import ConvSpec
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.factored import FactoredPlan
from convbench_algorithms.rank import factored_error, family_rank


@final
class Separable(ForwardAlgorithm):
    """R + S multiplications an output and channel, where each slice of the filter has rank 1."""

    name: ClassVar[str] = "separable"
    tags: ClassVar[frozenset[str]] = frozenset({"cpu", "separable"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """Any geometry; not a filter family that is known to be of a higher rank."""
        if half := unsupported_dtype(spec):
            return half
        rank = family_rank(spec)
        if rank is not None and rank > 1:
            return Unsupported(f"filter={spec.filter} of {spec.r}×{spec.s} has rank {rank}; separable needs 1")
        return None

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """Normwise: see `factored_error`."""
        return factored_error(spec, 1)

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """A line buffer per thread."""
        return FactoredPlan(self.name, spec, resources, max_rank=1)
