"""torch.nn.functional.conv2d, which is oneDNN's convolution in float32, and a matrix product in float64.

Held as tensors, in the layout that is faster for the shape: contiguous (NCHW) or channels last. Who runs a network
in channels last keeps all activations so; neither x nor y changes layout in the timed call. PyTorch returns a tensor
of its own: `conv2d(out=)` does not exist, and `torch.ops.aten.convolution.out` copies (0.24 instead of 0.20 ms on
a depthwise layer of 32 channels at 112², two threads of Zen 5). No tensor requires a gradient, so that autograd
records nothing, and inference mode gains nothing more. `torch.utils.mkldnn`'s prepacked weights lose to
channels last, since each call brings x into oneDNN's blocked layout (13.7 against 8.8 ms on VGG conv1_2).
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

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
)
from convbench.spec import Boundary, ConvSpec, Pair
from convbench_algorithms.peers.library import missing, unless_forward
from convbench_algorithms.peers.trial import fastest

if TYPE_CHECKING:
    from torch import Tensor

PAD_MODES: Final[dict[Boundary, str]] = {
    "zero": "constant",
    "reflect": "reflect",
    "edge": "replicate",
    "wrap": "circular",
}


@final
class TorchConv2d(ConvAlgorithm):
    """PyTorch's `conv2d` in the faster of its two layouts, contiguous and channels last."""

    name = "torch"
    tags = frozenset({"cpu", "peer", "layer", "allocates"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        return missing("torch", "torch", "torch") or unless_forward(spec) or unless_padded(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _TorchPlan(spec, resources.threads)


def unless_padded(spec: ConvSpec) -> Unsupported | None:
    """The reason where `torch.nn.functional.pad` cannot make the spec's padding."""
    if spec.padding == ((0, 0), (0, 0)):
        return None
    if spec.boundary not in PAD_MODES:
        return Unsupported(f"torch.nn.functional.pad has no boundary={spec.boundary}")
    most = {"reflect": -1, "wrap": 0}.get(spec.boundary)
    if most is not None and any(max(side) > extent + most for side, extent in _sides(spec)):
        return Unsupported(f"boundary={spec.boundary} pads by less than the image's extent")
    return None


def _sides(spec: ConvSpec) -> tuple[tuple[tuple[int, int], int], ...]:
    return (spec.padding[0], spec.h), (spec.padding[1], spec.w)


def split_padding(spec: ConvSpec) -> tuple[tuple[int, int, int, int] | None, Pair]:
    """What `torch.nn.functional.pad` has to do (left, right, top, bottom; None: nothing), and what `conv2d` does."""
    (top, bottom), (left, right) = spec.padding
    if top == bottom and left == right and (spec.boundary == "zero" or not top + left):
        return None, (top, left)
    return (left, right, top, bottom), (0, 0)


def as_tensor(array: Array) -> Tensor:
    """A tensor that shares the array's memory."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it must not be written to where the array is read-only
        return torch.from_numpy(array)


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
