"""torch.fft: the whole image's transform, multiplied with the filter's, which is kept; MKL's FFT on x86.

y = crop F⁻¹(F x · F w'), w' the filter flipped, at the next extents that are products of 2, 3 and 5. What wraps
around lands in front of the crop, so that the extents need not hold the whole "full" convolution.
"""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np
import scipy.fft

from convbench.algorithm import (
    Array,
    ConvAlgorithm,
    ConvPlan,
    ErrorModel,
    ForeignConv,
    PreparedConv,
    Resources,
    Unsupported,
)
from convbench.spec import ConvSpec, Pair
from convbench_algorithms.fft_error import fft_error
from convbench_algorithms.peers.library import missing, unless_forward
from convbench_algorithms.peers.plain import unless_unit_steps
from convbench_algorithms.peers.torch_tensors import PAD_MODES, as_tensor, unless_padded


@final
class TorchFft(ConvAlgorithm):
    """`torch.fft.rfft2` of the image, times the filter's spectrum, and back."""

    name = "torch_fft"
    tags = frozenset({"cpu", "peer", "fft", "allocates"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        absent = missing("torch", "torch", "torch")
        return absent or unless_forward(spec) or unless_padded(spec) or unless_unit_steps(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return fft_error(spec, math.prod(_extents(spec)))

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _TorchFftPlan(spec, resources)


def _pads_first(spec: ConvSpec) -> bool:
    """Whether the padding is more than the zeros of the transform give."""
    if spec.boundary != "zero":
        return spec.padding != ((0, 0), (0, 0))
    return any(max(side) >= taps for side, taps in zip(spec.padding, (spec.r, spec.s), strict=True))


def _crop(spec: ConvSpec) -> tuple[slice, slice]:
    """Where y lies in the "full" convolution of the image: it begins R−1 rows before the "valid" one, less the top."""
    (top, _), (left, _) = ((0, 0), (0, 0)) if _pads_first(spec) else spec.padding
    row, col = spec.r - 1 - top, spec.s - 1 - left
    return slice(row, row + spec.p), slice(col, col + spec.q)


def _extents(spec: ConvSpec) -> Pair:
    """Extents L of the transforms: "full" has H+R−1 rows, and those from L on wrap around to row 0 and those after."""
    image = spec.padded_extent if _pads_first(spec) else (spec.h, spec.w)
    rows, cols = (
        scipy.fft.next_fast_len(max(extent + taps - 1 - crop.start, extent, crop.stop), real=True)
        for extent, taps, crop in zip(image, (spec.r, spec.s), _crop(spec), strict=True)
    )
    return rows, cols


@final
class _TorchFftPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.threads = resources.threads
        self.extents = _extents(spec)
        rows, cols = self.extents
        spectrum_bytes = 2 * spec.itemsize * math.prod(spec.w_shape[:2]) * rows * (cols // 2 + 1)
        self.workspace_bytes = resources.reserve(spectrum_bytes)

    def prepare(self, w: Array) -> PreparedConv:
        return _TorchFftConv(self, w if self.spec.flip else w[..., ::-1, ::-1])


@final
class _TorchFftConv(ForeignConv):
    def __init__(self, plan: _TorchFftPlan, w: Array) -> None:
        import torch

        spec, G = plan.spec, plan.spec.groups
        self.threads = plan.threads
        self.extents = plan.extents
        self.crop = (..., *_crop(spec))
        (top, bottom), (left, right) = spec.padding
        self.pads = (left, right, top, bottom) if _pads_first(spec) else None
        self.pad_mode = PAD_MODES.get(spec.boundary, "")
        self.depthwise = spec.c == spec.k == G
        self.rfft2, self.irfft2, self.einsum, self.pad = (
            torch.fft.rfft2,
            torch.fft.irfft2,
            torch.einsum,
            torch.nn.functional.pad,
        )
        torch.set_num_threads(plan.threads)
        spectra = self.rfft2(as_tensor(np.array(w, order="C")), s=self.extents)  # [K,C/G,M,F]
        if self.depthwise:
            self.w = spectra[:, 0].clone()
        else:
            grouped = spectra.reshape(G, spec.k // G, spec.c // G, *spectra.shape[2:])
            self.w = grouped.permute(0, 3, 4, 2, 1).contiguous()  # [G,M,F,C/G,K/G]: a matrix at each frequency
        self.grouped = (spec.n, G, spec.c // G, *spectra.shape[2:])
        self.ungrouped = (spec.n, spec.k, *spectra.shape[2:])

    def accept(self, x: Array) -> Any:
        import torch

        torch.set_num_threads(self.threads)
        return as_tensor(x)

    def compute(self, x: Any) -> Any:
        if self.pads is not None:
            x = self.pad(x, self.pads, self.pad_mode)
        spectra = self.rfft2(x, s=self.extents)
        if self.depthwise:
            spectra *= self.w
        else:
            spectra = self.einsum("ngcij,gijck->ngkij", spectra.view(self.grouped), self.w).reshape(self.ungrouped)
        return self.irfft2(spectra, s=self.extents)[self.crop]

    def deliver(self, result: Any, y: Array) -> None:
        y[...] = result.numpy()
