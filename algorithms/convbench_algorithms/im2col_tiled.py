"""im2col in panels: the columns of some output pixels at a time, so that memory does not grow with the image.

Each panel is gathered in the layout that the product's kernel reads, and is multiplied while it is in cache: it is what
Goto & van de Geijn (ACM TOMS 34, 2008) pack anyway. As in Chetlur et al., "cuDNN: Efficient Primitives for Deep
Learning" (2014), section 3, the matrix of all columns never exists.
"""

from __future__ import annotations

from typing import final

from convbench.algorithm import ConvPlan, ErrorModel, Resources, Unsupported, summation_error, unsupported_dtype
from convbench.spec import ConvSpec
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.panels import PanelPlan


@final
class Im2colTiled(ForwardAlgorithm):
    """One product for each panel of output pixels, which stays in the second-level cache."""

    name = "im2col_tiled"
    tags = frozenset({"cpu", "gemm"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """See `ForwardAlgorithm`."""
        return unsupported_dtype(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ForwardAlgorithm`."""
        return summation_error(spec)

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ForwardAlgorithm`."""
        return PanelPlan(spec, resources, in_place=False)
