"""Low-rank convolution: a filter as a sum of few separable terms, found by the singular value decomposition."""

from __future__ import annotations

from typing import ClassVar, Final, final

from convbench.algorithm import ConvPlan, ErrorModel, Resources, Unsupported, unsupported_dtype
from convbench.spec import ConvSpec
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.factored import FactoredPlan
from convbench_algorithms.rank import factored_error, family_rank

MAX_RANK: Final = 8


@final
class LowRank(ForwardAlgorithm):
    """(R + S)·rank multiplications an output and channel, where that is about R·S or less."""

    name: ClassVar[str] = "low_rank"
    tags: ClassVar[frozenset[str]] = frozenset({"cpu", "separable"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """Any geometry; not a filter family that is known to be of a rank too high to be worth it."""
        if half := unsupported_dtype(spec):
            return half
        rank, limit = family_rank(spec), worthwhile_rank(spec)
        if rank is not None and rank > limit:
            return Unsupported(f"filter={spec.filter} of {spec.r}×{spec.s} has rank {rank}; low_rank takes {limit}")
        return None

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """Normwise: see `factored_error`."""
        rank, limit = family_rank(spec), worthwhile_rank(spec)
        return factored_error(spec, limit if rank is None else min(rank, limit))

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """A line buffer per thread."""
        return FactoredPlan(self.name, spec, resources, max_rank=worthwhile_rank(spec))


def worthwhile_rank(spec: ConvSpec) -> int:
    """Half the full rank, rounded up, and at most `MAX_RANK`: (R + S)·rank ≤ R·S for a square filter of even size."""
    return min(MAX_RANK, -(-min(spec.r, spec.s) // 2))
