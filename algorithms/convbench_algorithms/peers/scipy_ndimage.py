"""scipy.ndimage.correlate: direct, in double precision inside, one call for each pair of channels."""

from __future__ import annotations

from typing import Any, Final, Literal, final

import numpy as np
import scipy.ndimage

from convbench.algorithm import Array, ConvPlan, ErrorModel, PreparedConv, Resources, Unsupported, summation_error
from convbench.spec import Boundary, ConvSpec
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.peers.plain import unless_plain, unless_same_extent

Mode = Literal["constant", "mirror", "reflect", "nearest", "grid-wrap"]

# ndimage has its own words: its "reflect" repeats the edge element, its "mirror" does not.
MODES: Final[dict[Boundary, Mode]] = {
    "zero": "constant",
    "reflect": "mirror",
    "symmetric": "reflect",
    "edge": "nearest",
    "wrap": "grid-wrap",
}


@final
class ScipyNdimage(ForwardAlgorithm):
    """`scipy.ndimage.correlate`, for outputs of the image's extent: padding that makes up for the filter's."""

    name = "scipy_ndimage"
    tags = frozenset({"cpu", "peer", "direct", "allocates"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """See `ForwardAlgorithm`."""
        return unless_plain(spec) or unless_same_extent(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ForwardAlgorithm`."""
        return summation_error(spec)

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:  # noqa: ARG002 - it has but one thread
        """See `ForwardAlgorithm`."""
        return _NdimagePlan(spec)


@final
class _NdimagePlan(ConvPlan):
    def __init__(self, spec: ConvSpec) -> None:
        self.spec = spec
        self.workspace_bytes = 0  # the calls allocate their own

    def prepare(self, w: Array) -> PreparedConv:
        return _NdimageConv(self.spec, np.ascontiguousarray(w[..., ::-1, ::-1] if self.spec.flip else w))


@final
class _NdimageConv(PreparedConv):
    def __init__(self, spec: ConvSpec, w: Array) -> None:
        self.spec = spec
        self.w = w
        self.mode = MODES[spec.boundary]
        # ndimage centres the filter on its element R//2, and `origin` shifts it from there, along each axis.
        self.origin: Any = tuple(
            before - extent // 2 for (before, _), extent in zip(spec.padding, spec.filter_extent, strict=True)
        )

    def execute(self, x: Array, y: Array) -> None:
        for n in range(self.spec.n):
            for k in range(self.spec.k):
                self._correlate(x[n, 0], self.w[k, 0], y[n, k])
                for c in range(1, self.spec.c):
                    term = np.empty_like(y[n, k])
                    self._correlate(x[n, c], self.w[k, c], term)
                    y[n, k] += term

    def _correlate(self, x: Array, w: Array, y: Array) -> None:
        scipy.ndimage.correlate(x, w, output=y, mode=self.mode, origin=self.origin)
