"""cuDNN's convolutions, through PyTorch: with `cudnn.benchmark` it tries its algorithms and keeps the fastest.

Held as tensors on the card, in the layout that is faster for the shape: contiguous (NCHW) or channels last. In float32,
PyTorch lets cuDNN round the operands to TF32 unless it is told otherwise: that is a contender of its own, of another
class of precision.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, final

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
from convbench_algorithms.cuda.device import CudaAlgorithm, DeviceArray, current, unsupported_by_card
from convbench_algorithms.cuda.tf32 import TF32_ROUNDOFF
from convbench_algorithms.peers.library import missing, unless_direction_forward
from convbench_algorithms.peers.torch_tensors import PAD_MODES, split_padding, unless_padded
from convbench_algorithms.peers.trial import fastest

if TYPE_CHECKING:
    from torch import Tensor


class _Cudnn(CudaAlgorithm):
    tags: ClassVar[frozenset[str]] = frozenset({"cuda", "peer", "layer", "allocates"})
    fp32_precision: ClassVar[str]

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        unsupported = unless_direction_forward(spec) or missing("torch", "torch", "torch")
        return unsupported or unless_padded(spec) or unsupported_by_card(spec.dtype)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:  # noqa: ARG002 - cuDNN allocates its own
        """See `ConvAlgorithm`."""
        return _CudnnPlan(spec, self.fp32_precision)


@final
class Cudnn(_Cudnn):
    """`torch.nn.functional.conv2d` on the card, in full float32 or float64."""

    name = "cudnn"
    fp32_precision = "ieee"

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`: it may take Winograd or an FFT."""
        direct = summation_error(spec)
        return ErrorModel("normwise", 30 * direct.bound, f"30 times {direct.source}: cuDNN may take Winograd or FFT")


@final
class CudnnTf32(_Cudnn):
    """The same as PyTorch does it by default: both factors rounded to TF32."""

    name = "cudnn_tf32"
    precision = "tf32"
    fp32_precision = "tf32"

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if spec.dtype != "float32":
            return Unsupported("TF32 is a way to compute in float32")
        return super().supports(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        direct = summation_error(spec)
        return ErrorModel("normwise", 2.1 * TF32_ROUNDOFF + 30 * direct.bound, "two factors rounded to 11 bits each")


@final
class _CudnnPlan(ConvPlan):
    workspace_bytes = 0

    def __init__(self, spec: ConvSpec, fp32_precision: str) -> None:
        import torch

        self.spec = spec
        self.fp32_precision = fp32_precision
        self.device = device = current()
        self.layouts = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
        self._settle()
        x, w = device.upload(np.ones(spec.x_shape, spec.dtype)), np.ones(spec.w_shape, spec.dtype)
        convs = {layout: _CudnnConv(self, layout, w) for layout in self.layouts}
        self.layout = fastest({layout: partial(self._once, conv, conv.accept(x)) for layout, conv in convs.items()})

    def prepare(self, w: Array) -> PreparedConv:
        self._settle()
        return _CudnnConv(self, self.layout, w[..., ::-1, ::-1] if self.spec.flip else w)

    def _once(self, conv: _CudnnConv, x: Any) -> None:
        conv.compute(x)
        self.device.synchronise()

    def _settle(self) -> None:
        """PyTorch's settings are the process's, which is this contender's alone."""
        import torch

        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.conv.fp32_precision = self.fp32_precision


@final
class _CudnnConv(ForeignConv):
    def __init__(self, plan: _CudnnPlan, layout: str, w: Array) -> None:
        import torch

        spec = plan.spec
        self.device = plan.device
        self.format = plan.layouts[layout]
        self.w = self._held(plan.device.upload(np.ascontiguousarray(w)))
        self.pads, native = split_padding(spec)
        self.pad_mode = PAD_MODES.get(spec.boundary, "")
        self.options = (None, spec.stride, native, spec.dilation, spec.groups)
        self.conv2d = torch.conv2d
        self.pad = torch.nn.functional.pad

    def accept(self, x: DeviceArray) -> Any:
        return self._held(x)

    def compute(self, x: Any) -> Any:
        if self.pads is not None:
            x = self.pad(x, self.pads, self.pad_mode)
        return self.conv2d(x, self.w, *self.options)

    def deliver(self, result: Any, y: DeviceArray) -> None:
        y[...] = self.device.numpy().from_dlpack(result.contiguous())

    def _held(self, array: DeviceArray) -> Tensor:
        import torch

        return torch.from_dlpack(array).contiguous(memory_format=self.format)
