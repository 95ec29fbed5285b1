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
from typing import Any, final

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
    unsupported_dtype,
)
from convbench.spec import ConvSpec
from convbench_algorithms.peers.library import missing
from convbench_algorithms.peers.torch_gradients import Gradient, unless_single_operator
from convbench_algorithms.peers.torch_tensors import TorchLayer, unless_padded
from convbench_algorithms.peers.trial import fastest


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
        return _TorchPlan(spec, resources.threads)


@final
class _TorchPlan(ConvPlan):
    workspace_bytes = 0  # the library allocates its own

    def __init__(self, spec: ConvSpec, threads: int) -> None:
        import torch

        self.spec = spec
        self.threads = threads
        self.layouts = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
        bound, seen = np.ones(spec.prepared_shape, spec.dtype), np.ones(spec.input_shape, spec.dtype)
        convs = {layout: self._conv(layout, bound) for layout in self.layouts}
        ways = {layout: partial(conv.compute, conv.accept(seen)) for layout, conv in convs.items()}
        self.layout = fastest(ways)

    def prepare(self, w: Array) -> PreparedConv:
        flips = self.spec.flip and self.spec.direction != "backward_weights"  # whose operand is dy
        return self._conv(self.layout, w[..., ::-1, ::-1] if flips else w)

    def _conv(self, layout: str, bound: Array) -> TorchLayer:
        kind = _Forward if self.spec.direction == "forward" else Gradient
        return kind(self.spec, self.threads, self.layouts[layout], bound)


@final
class _Forward(TorchLayer):
    def __init__(self, spec: ConvSpec, threads: int, memory_format: Any, w: Array) -> None:
        import torch

        super().__init__(spec, threads, memory_format)
        self.w = self.held(np.array(w, order="C"))
        # All arguments in place: keywords cost as much as a small convolution's bookkeeping.
        self.options = (None, spec.stride, self.native, spec.dilation, spec.groups)
        self.conv2d = torch.conv2d

    def compute(self, x: Any) -> Any:
        if self.pads is not None:
            x = self.pad(x, self.pads, self.pad_mode)
        return self.conv2d(x, self.w, *self.options)

    def deliver(self, result: Any, y: Array) -> None:
        y[...] = result.numpy()
