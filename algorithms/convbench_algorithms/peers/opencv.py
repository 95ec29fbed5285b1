"""OpenCV: sepFilter2D where the filter's family is of rank 1, else filter2D.

`GaussianBlur` is `sepFilter2D` with a kernel of its own (measured: equal outputs, equal times), so that the factors
of w serve for Gaussians too. `filter2D` sums directly up to 11×11 taps in float32 and takes a DFT above. Both
write to the caller's memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

import numpy as np

from convbench.algorithm import (
    Array,
    ConvAlgorithm,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
    unit_roundoff,
)
from convbench.spec import Boundary, ConvSpec
from convbench_algorithms.fft_error import fft_error
from convbench_algorithms.peers.library import missing, unless_plane_by_plane
from convbench_algorithms.rank import factored_error, factorise, family_rank

BORDERS: Final[dict[Boundary, str]] = {
    "zero": "BORDER_CONSTANT",
    "reflect": "BORDER_REFLECT_101",
    "symmetric": "BORDER_REFLECT",
    "edge": "BORDER_REPLICATE",
}

DIRECT_TAPS: Final = 49
"""From more taps on `filter2D` may take a DFT: 50 in double precision, 130 in single precision on x86."""

DFT_POINTS: Final = 2**24
"""More than any of its DFT tiles has."""


@final
class OpenCv(ConvAlgorithm):
    """OpenCV's `filter2D`, or `sepFilter2D` for filters of rank 1."""

    name = "opencv"
    tags = frozenset({"cpu", "peer", "direct", "allocates"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if unsupported := missing("cv2", "opencv-python-headless") or unless_plane_by_plane(spec):
            return unsupported
        if spec.boundary not in BORDERS and spec.padding != ((0, 0), (0, 0)):
            return Unsupported(f"OpenCV's filters have no boundary={spec.boundary}")
        return None

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        if family_rank(spec) == 1:
            return factored_error(spec, 1)
        return summation_error(spec) if spec.r * spec.s <= DIRECT_TAPS else fft_error(spec, DFT_POINTS)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _OpenCvPlan(spec, resources.threads)


@final
class _OpenCvPlan(ConvPlan):
    workspace_bytes = 0  # the library allocates its own

    def __init__(self, spec: ConvSpec, threads: int) -> None:
        self.spec = spec
        self.threads = threads

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        w = np.ascontiguousarray(w[..., ::-1, ::-1] if self.spec.flip else w)
        if family_rank(self.spec) != 1:
            return _OpenCvConv(self, [(plane,) for plane in w[:, 0]])
        factors = factorise(w)
        if factors.rank > 1:
            return Unsupported(f"the filter is of rank {factors.rank}, unlike filter={self.spec.filter}")
        pairs = zip(factors.rows[:, 0, 0], factors.columns[:, 0, 0], strict=True)
        return _OpenCvConv(self, [(even_or_odd(row), even_or_odd(column)) for row, column in pairs])


def even_or_odd(kernel: Array) -> Array:
    """The kernel, made exactly symmetric or antisymmetric where it is so within rounding: that halves the products."""
    for mirrored in (kernel[::-1], -kernel[::-1]):
        if np.max(np.abs(kernel - mirrored)) <= 8 * unit_roundoff(str(kernel.dtype)) * np.max(np.abs(kernel)):
            return np.asarray((kernel + mirrored) / 2)
    return kernel


@final
class _OpenCvConv(PreparedConv):
    def __init__(self, plan: _OpenCvPlan, kernels: list[tuple[Array, ...]]) -> None:
        import cv2

        self.threads = plan.threads
        self.kernels = kernels
        self.filter: Callable[..., Array] = cv2.filter2D if len(kernels[0]) == 1 else cv2.sepFilter2D
        self.anchor = plan.spec.padding[1][0], plan.spec.padding[0][0]  # (x, y) of the tap that lies on the output
        self.border = getattr(cv2, BORDERS.get(plan.spec.boundary, "BORDER_CONSTANT"))
        self.get_threads, self.set_threads = cv2.getNumThreads, cv2.setNumThreads

    def execute(self, x: Array, y: Array) -> None:
        if self.get_threads() != self.threads:
            self.set_threads(self.threads)
        for image, output in zip(x, y, strict=True):
            for plane, result, kernel in zip(image, output, self.kernels, strict=True):
                self.filter(plane, -1, *kernel, result, self.anchor, 0, self.border)
