"""SciPy's filters on a card, as CuPy has them: what its users call today.

They return new arrays and filter one plane in a call. The module is the device's own (`Device.scipy`), so that all of
this is tried where there is no card: SciPy's functions have the same names, arguments and meaning.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, final

import numpy as np

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    ForeignConv,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
)
from convbench.spec import ConvSpec
from convbench_algorithms.cuda.device import CudaAlgorithm, Device, DeviceArray, current, unsupported_by_card
from convbench_algorithms.peers.gaussian_filter import is_gaussian, sigma_of, truncation
from convbench_algorithms.peers.library import unless_plane_by_plane
from convbench_algorithms.peers.scipy_ndimage import MODES
from convbench_algorithms.peers.scipy_signal import PAD_MODES, full_fft_error, native_mode
from convbench_algorithms.rank import factored_error

Filter = Callable[[DeviceArray], DeviceArray]
"""Of one plane [H,W], to [P,Q]."""


class CupyxFilter(CudaAlgorithm):
    """A function of CuPy's that filters planes, each channel by itself and to its own extent."""

    tags: ClassVar[frozenset[str]] = frozenset({"cuda", "peer", "allocates"})

    @abstractmethod
    def filter(self, spec: ConvSpec, device: Device, w: Array) -> Filter:
        """What filters with w [R,S] (the host's; never flipped)."""

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if spec.dtype == "float16":
            return Unsupported("computes in float32 and float64")
        return unless_plane_by_plane(spec) or unsupported_by_card(spec.dtype)

    def unsuitable(self, spec: ConvSpec, w: Array) -> Unsupported | None:  # noqa: ARG002 - most take any
        """The reason where the values of w [K,1,R,S] do not suit."""
        return None

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:  # noqa: ARG002 - the calls allocate their own
        """See `ConvAlgorithm`."""
        return _CupyxPlan(self, spec)


@final
class CupyxConvolve2d(CupyxFilter):
    """`cupyx.scipy.signal.convolve2d`."""

    name = "cupyx_convolve2d"

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return summation_error(spec)

    def filter(self, spec: ConvSpec, device: Device, w: Array) -> Filter:
        """See `CupyxFilter`."""
        return _signal(spec, device, w, "convolve2d")


@final
class CupyxFftconvolve(CupyxFilter):
    """`cupyx.scipy.signal.fftconvolve`."""

    name = "cupyx_fftconvolve"

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return full_fft_error(spec)

    def filter(self, spec: ConvSpec, device: Device, w: Array) -> Filter:
        """See `CupyxFilter`."""
        return _signal(spec, device, w, "fftconvolve")


@final
class CupyxOaconvolve(CupyxFilter):
    """`cupyx.scipy.signal.oaconvolve`."""

    name = "cupyx_oaconvolve"

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return full_fft_error(spec)

    def filter(self, spec: ConvSpec, device: Device, w: Array) -> Filter:
        """See `CupyxFilter`."""
        return _signal(spec, device, w, "oaconvolve")


@final
class CupyxNdimage(CupyxFilter):
    """`cupyx.scipy.ndimage.correlate`."""

    name = "cupyx_ndimage"

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return summation_error(spec)

    def filter(self, spec: ConvSpec, device: Device, w: Array) -> Filter:
        """See `CupyxFilter`. It centres a filter on its element R//2, and `origin` shifts it from there."""
        correlate, taps = device.scipy("ndimage").correlate, device.upload(w)
        sides = zip(spec.padding, spec.filter_extent, strict=True)
        options = {
            "mode": MODES[spec.boundary],
            "origin": tuple(before - extent // 2 for (before, _), extent in sides),
        }
        return lambda plane: correlate(plane, taps, **options)


@final
class CupyxGaussianFilter(CupyxFilter):
    """`cupyx.scipy.ndimage.gaussian_filter`."""

    name = "cupyx_gaussian_filter"

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if sigma_of(spec) is None or any(before != after for before, after in spec.padding):
            return Unsupported("has no general filter, only centred Gaussians of an odd extent")
        return super().supports(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return factored_error(spec, 1)

    def unsuitable(self, spec: ConvSpec, w: Array) -> Unsupported | None:
        """See `CupyxFilter`."""
        sigma = sigma_of(spec)
        if sigma is None or not is_gaussian(w, sigma):
            return Unsupported(f"w is not the Gaussian that filter={spec.filter} says")
        return None

    def filter(self, spec: ConvSpec, device: Device, w: Array) -> Filter:  # noqa: ARG002 - it makes its own taps
        """See `CupyxFilter`."""
        gaussian_filter, sigma = device.scipy("ndimage").gaussian_filter, sigma_of(spec)
        assert sigma is not None
        options = {"mode": MODES[spec.boundary], "truncate": truncation(spec, sigma)}
        return lambda plane: gaussian_filter(plane, sigma, **options)


def _signal(spec: ConvSpec, device: Device, w: Array, function: str) -> Filter:
    """A function of `scipy.signal`, which convolves: on the image as it is, where it has a mode for the padding."""
    convolve = getattr(device.scipy("signal"), function)
    taps = device.upload(np.ascontiguousarray(w[::-1, ::-1]))
    if mode := native_mode(spec, ("zero",)):
        return lambda plane: convolve(plane, taps, mode)
    pad, boundary = device.numpy().pad, PAD_MODES[spec.boundary]
    return lambda plane: convolve(pad(plane, spec.padding, boundary), taps, "valid")


@final
class _CupyxPlan(ConvPlan):
    workspace_bytes = 0

    def __init__(self, algorithm: CupyxFilter, spec: ConvSpec) -> None:
        self.algorithm = algorithm
        self.spec = spec
        self.device = current()

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        spec = self.spec
        if unsuitable := self.algorithm.unsuitable(spec, w):
            return unsuitable
        straight = w[..., ::-1, ::-1] if spec.flip else w
        return _CupyxConv([self.algorithm.filter(spec, self.device, taps[0].copy()) for taps in straight])


@final
class _CupyxConv(ForeignConv):
    def __init__(self, filters: list[Filter]) -> None:
        self.filters = filters

    def accept(self, x: DeviceArray) -> DeviceArray:
        return x

    def compute(self, x: DeviceArray) -> Any:
        return [[one(plane) for one, plane in zip(self.filters, image, strict=True)] for image in x]

    def deliver(self, result: Any, y: DeviceArray) -> None:
        for planes, outputs in zip(result, y, strict=True):
            for plane, output in zip(planes, outputs, strict=True):
                output[...] = plane
