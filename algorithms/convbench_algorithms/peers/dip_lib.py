"""DIPlib: finite and recursive Gaussians, and its convolution for everything else. It writes to the caller's memory.

`Gauss` with method FIR samples and cuts its kernel as w is made, and knows that it is symmetric. `Convolution`
chooses among separable, direct and Fourier by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

import numpy as np

from convbench.algorithm import (
    Array,
    ConvAlgorithm,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
)
from convbench.spec import Boundary, ConvSpec
from convbench_algorithms.fft_error import fft_error
from convbench_algorithms.peers.gaussian_filter import is_gaussian, sigma_of, truncation
from convbench_algorithms.peers.library import missing, unless_plane_by_plane
from convbench_algorithms.rank import factored_error

BOUNDARIES: Final[dict[Boundary, str]] = {
    "zero": "add zeros",
    "reflect": "mirror",
    "edge": "zero order",
    "wrap": "periodic",
}

RECURSIVE_ERROR: Final = 0.1
"""What its recursive Gaussian differs from the sampled one by, in norm (impulses: 0.07 at σ 1, 0.02 from σ 3 on)."""

Filter = Callable[..., None]  # (image, out=…)


@final
class DipLib(ConvAlgorithm):
    """DIPlib's `Gauss` of finite support for Gaussians, its `Convolution` for other filters."""

    name = "diplib"
    tags = frozenset({"cpu", "peer", "direct", "allocates"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if unsupported := _unless_centred(spec):
            return unsupported
        if spec.r * spec.s == 1:
            return Unsupported("takes a filter of one tap for a constant")
        return None

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return fft_error(spec, 4 * spec.h * spec.w) if sigma_of(spec) is None else factored_error(spec, 1)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _DipPlan(spec, resources.threads, "FIR")


@final
class DipLibRecursive(ConvAlgorithm):
    """DIPlib's `Gauss` by recursion: as fast for any σ, but its impulse response is only nearly Gaussian."""

    name = "diplib_iir"
    precision = "approximate"
    tags = frozenset({"cpu", "peer", "recursive", "allocates"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if unsupported := _unless_centred(spec):
            return unsupported
        sigma = sigma_of(spec)
        if sigma is None:
            return Unsupported("has recursive filters for Gaussians of an odd extent only")
        if sigma < 1 or spec.r < 2 * round(3 * sigma) + 1:
            return Unsupported("is near a Gaussian of σ ≥ 1 that is not cut before 3σ")
        return None

    def error_model(self, spec: ConvSpec) -> ErrorModel:  # noqa: ARG002 - the same for all
        """See `ConvAlgorithm`."""
        return ErrorModel(
            "normwise", RECURSIVE_ERROR, "the filter is another one: measured against the sampled Gaussian"
        )

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _DipPlan(spec, resources.threads, "IIR")


def _unless_centred(spec: ConvSpec) -> Unsupported | None:
    if unsupported := missing("diplib", "diplib") or unless_plane_by_plane(spec):
        return unsupported
    if 1 in (spec.h, spec.w):
        return Unsupported("does not filter along an extent of 1")
    if any(before != after for before, after in spec.padding):
        return Unsupported("centres its filters: needs as much padding before as after")
    if spec.padding != ((0, 0), (0, 0)) and spec.boundary not in BOUNDARIES:
        return Unsupported(f"DIPlib has no boundary={spec.boundary}")
    return None


@final
class _DipPlan(ConvPlan):
    workspace_bytes = 0  # the library allocates its own

    def __init__(self, spec: ConvSpec, threads: int, gauss_method: str) -> None:
        self.spec = spec
        self.threads = threads
        self.gauss_method = gauss_method

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        import diplib

        sigma = sigma_of(self.spec)
        boundary = {"boundaryCondition": [BOUNDARIES.get(self.spec.boundary, "add zeros")]}
        if sigma is not None:
            if not is_gaussian(w, sigma):
                return Unsupported(f"w is not the Gaussian that filter={self.spec.filter} says")
            options: dict[str, Any] = {"sigmas": [sigma], "method": self.gauss_method, **boundary}
            if self.gauss_method == "FIR":
                options["truncation"] = truncation(self.spec, sigma)
            return _DipConv(self.threads, [lambda x, out: diplib.Gauss(x, out=out, **options)] * self.spec.c)
        # DIPlib convolves: it flips what is to be cross-correlated.
        filters = [
            diplib.Image(np.array(plane if self.spec.flip else plane[::-1, ::-1], order="C"), None) for plane in w[:, 0]
        ]
        return _DipConv(
            self.threads, [lambda x, out, w=w: diplib.Convolution(x, w, out=out, **boundary) for w in filters]
        )


@final
class _DipConv(PreparedConv):
    def __init__(self, threads: int, filters: list[Filter]) -> None:
        import diplib

        self.threads = threads
        self.filters = filters
        self.image = diplib.Image
        self.set_threads = diplib.SetNumberOfThreads

    def execute(self, x: Array, y: Array) -> None:
        self.set_threads(self.threads)
        for image, output in zip(x, y, strict=True):
            for plane, result, convolve in zip(image, output, self.filters, strict=True):
                out = self.image(result, None)
                out.Protect(True)  # it must write here, not into an array of its own
                convolve(self.image(plane, None), out)
