"""torch.nn.functional.conv2d, which is oneDNN's convolution in float32, and a matrix product in float64.

Held as tensors, in the layout that is faster for the shape: contiguous (NCHW) or channels last. Who runs a network
in channels last keeps all activations so; neither x nor y changes layout in the timed call. PyTorch returns a tensor
of its own: `conv2d(out=)` does not exist, and `torch.ops.aten.convolution.out` copies (0.24 instead of 0.20 ms on
a depthwise layer of 32 channels at 112², two threads of Zen 5). No tensor requires a gradient, so that autograd
records nothing, and inference mode gains nothing more. `torch.utils.mkldnn`'s prepacked weights lose to
channels last, since each call brings x into oneDNN's blocked layout (13.7 against 8.8 ms on VGG conv1_2).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, final

import numpy as np

from convbench.algorithm import (
    Array,
    ConvAlgorithm,
    ConvPlan,
    ErrorModel,
    ForeignConv,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
    unsupported_dtype,
)
from convbench.spec import ConvSpec
from convbench_algorithms.peers.library import missing
from convbench_algorithms.peers.torch_gradients import GradientPlan, unless_single_operator
from convbench_algorithms.peers.torch_tensors import PAD_MODES, as_tensor, split_padding, unless_padded
from convbench_algorithms.peers.trial import fastest

if TYPE_CHECKING:
    from torch import Tensor


@final
class TorchConv2d(ConvAlgorithm):
    """PyTorch's `conv2d`, and its gradients, in the faster of two layouts, contiguous and channels last."""

    name = "torch"
    tags = frozenset({"cpu", "peer", "layer", "allocates"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        unsupported = missing("torch", "torch", "torch") or unsupported_dtype(spec)
        return unsupported or unless_padded(spec) or unless_single_operator(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return (_TorchPlan if spec.direction == "forward" else GradientPlan)(spec, resources.threads)


@final
class _TorchPlan(ConvPlan):
    workspace_bytes = 0  # the library allocates its own

    def __init__(self, spec: ConvSpec, threads: int) -> None:
        import torch

        self.spec = spec
        self.threads = threads
        self.layouts = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
        x, w = np.ones(spec.x_shape, spec.dtype), np.ones(spec.w_shape, spec.dtype)
        convs = {layout: _TorchConv(self, layout, w) for layout in self.layouts}
        ways = {layout: partial(conv.compute, conv.accept(x)) for layout, conv in convs.items()}
        self.layout = fastest(ways)

    def prepare(self, w: Array) -> PreparedConv:
        return _TorchConv(self, self.layout, w[..., ::-1, ::-1] if self.spec.flip else w)


@final
class _TorchConv(ForeignConv):
    def __init__(self, plan: _TorchPlan, layout: str, w: Array) -> None:
        import torch

        spec = plan.spec
        self.threads = plan.threads
        self.format = plan.layouts[layout]
        self.w = self._held(np.array(w, order="C"))
        self.pads, native = split_padding(spec)
        self.pad_mode = PAD_MODES.get(spec.boundary, "")
        # All arguments in place: keywords cost as much as a small convolution's bookkeeping.
        self.options = (None, spec.stride, native, spec.dilation, spec.groups)
        self.conv2d = torch.conv2d
        self.pad = torch.nn.functional.pad

    def accept(self, x: Array) -> Any:
        import torch

        torch.set_num_threads(self.threads)
        return self._held(x)

    def compute(self, x: Any) -> Any:
        if self.pads is not None:
            x = self.pad(x, self.pads, self.pad_mode)
        return self.conv2d(x, self.w, *self.options)

    def deliver(self, result: Any, y: Array) -> None:
        y[...] = result.numpy()

    def _held(self, array: Array) -> Tensor:
        return as_tensor(array).contiguous(memory_format=self.format)
