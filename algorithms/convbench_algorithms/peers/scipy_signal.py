"""scipy.signal's three ways to convolve: direct, by one FFT, by overlap-add.

They return new arrays, transform the filter in every call, and know one filter and one image: channels are
looped over or, for the FFTs, handed over as a stack whose convolutions are summed.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Final, Literal, final

import numpy as np
import scipy  # which imports its parts when they are first asked for: scipy.signal takes half a second

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
)
from convbench.spec import Boundary, ConvSpec
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.fft_error import fft_error
from convbench_algorithms.fft_tiles import whole_extent
from convbench_algorithms.peers.plain import unless_plain

Mode = Literal["full", "same", "valid"]
Convolve = Callable[[Array, Array, Mode], Array]  # x [C,H,W], w [C,R,S] as cross-correlation has it -> y [P,Q]


@final
class ScipyDirect(ForwardAlgorithm):
    """`scipy.signal.correlate2d`, one call for each pair of channels."""

    name = "scipy_direct"
    tags = frozenset({"cpu", "peer", "direct", "allocates"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """See `ForwardAlgorithm`."""
        if spec.boundary not in _CORRELATE2D_BOUNDARIES:
            return Unsupported(f"correlate2d has no boundary={spec.boundary}")
        return unless_plain(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ForwardAlgorithm`."""
        return summation_error(spec)

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ForwardAlgorithm`."""
        boundary = _CORRELATE2D_BOUNDARIES[spec.boundary]
        correlate2d = scipy.signal.correlate2d

        def correlate(x: Array, w: Array, mode: Mode) -> Array:
            y = correlate2d(x[0], w[0], mode, boundary)
            for c in range(1, len(x)):
                y += correlate2d(x[c], w[c], mode, boundary)
            return y

        return _ScipyPlan(spec, resources, correlate, native_mode(spec, _CORRELATE2D_BOUNDARIES))


@final
class ScipyFft(ForwardAlgorithm):
    """`scipy.signal.fftconvolve`, one call for each output channel."""

    name = "scipy_fft"
    tags = frozenset({"cpu", "peer", "fft", "allocates"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """See `ForwardAlgorithm`."""
        return unless_plain(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ForwardAlgorithm`."""
        return full_fft_error(spec)

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ForwardAlgorithm`."""
        fftconvolve = scipy.signal.fftconvolve

        def convolve(x: Array, w: Array, mode: Mode) -> Array:
            y: Array = fftconvolve(x, w[:, ::-1, ::-1], mode, axes=(1, 2)).sum(axis=0)
            return y

        return _ScipyPlan(spec, resources, convolve, native_mode(spec, ("zero",)))


@final
class ScipyOverlapAdd(ForwardAlgorithm):
    """`scipy.signal.oaconvolve`, one call for each output channel."""

    name = "scipy_overlap_add"
    tags = frozenset({"cpu", "peer", "fft", "tiled", "allocates"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """See `ForwardAlgorithm`."""
        return unless_plain(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ForwardAlgorithm`."""
        return full_fft_error(spec)

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ForwardAlgorithm`."""
        oaconvolve = scipy.signal.oaconvolve

        def convolve(x: Array, w: Array, mode: Mode) -> Array:
            y: Array = oaconvolve(x, w[:, ::-1, ::-1], mode, axes=(1, 2)).sum(axis=0)
            return y

        return _ScipyPlan(spec, resources, convolve, native_mode(spec, ("zero",)))


_CORRELATE2D_BOUNDARIES: Final[dict[Boundary, Literal["fill", "symm", "wrap"]]] = {
    "zero": "fill",
    "symmetric": "symm",
    "wrap": "wrap",
}


PAD_MODES: Final[dict[Boundary, Literal["constant", "reflect", "symmetric", "edge", "wrap"]]] = {
    "zero": "constant",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "edge": "edge",
    "wrap": "wrap",
}


def full_fft_error(spec: ConvSpec) -> ErrorModel:
    """Of a convolution by one transform of the image and the filter, to their full extent."""
    rows, cols = (padded + taps - 1 for padded, taps in zip(spec.padded_extent, spec.filter_extent, strict=True))
    return fft_error(spec, whole_extent(rows) * whole_extent(cols))


def native_mode(spec: ConvSpec, boundaries: Container[Boundary]) -> Mode | None:
    """The function's own mode for the spec's padding, or None where the image is to be padded first.

    "same" cuts the middle out of "full". Where an extent is even, there are two middles, and scipy's functions
    do not all take the same: there the image is padded.
    """
    if spec.padding == ((0, 0), (0, 0)):
        return "valid"
    if spec.boundary not in boundaries:
        return None
    if spec.padding == tuple((extent - 1, extent - 1) for extent in spec.filter_extent):
        return "full"
    if spec.padding == tuple((extent / 2 - 0.5, extent / 2 - 0.5) for extent in spec.filter_extent):
        return "same"
    return None


@final
class _ScipyPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources, convolve: Convolve, mode: Mode | None) -> None:
        self.spec = spec
        self.threads = resources.threads
        self.convolve = convolve
        self.mode = mode
        self.workspace_bytes = 0  # the calls allocate their own

    def prepare(self, w: Array) -> PreparedConv:
        return _ScipyConv(self, np.ascontiguousarray(w[..., ::-1, ::-1] if self.spec.flip else w))


@final
class _ScipyConv(PreparedConv):
    def __init__(self, plan: _ScipyPlan, w: Array) -> None:
        self.plan = plan
        self.w = w

    def execute(self, x: Array, y: Array) -> None:
        plan, spec = self.plan, self.plan.spec
        mode = plan.mode
        if mode is None:
            x = np.pad(x, ((0, 0), (0, 0), *spec.padding), PAD_MODES[spec.boundary])
            mode = "valid"
        with scipy.fft.set_workers(plan.threads):
            for n in range(spec.n):
                for k in range(spec.k):
                    y[n, k] = plan.convolve(x[n], self.w[k], mode)
