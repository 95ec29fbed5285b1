"""PyTorch's gradients of a convolution, by the operator that its autograd calls: `aten::convolution_backward`.

Of dx and dw only the one that is asked for. Held as tensors, in the layout that is faster for the shape.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, final

import numpy as np

from convbench.algorithm import (
    Array,
    ConvPlan,
    ForeignConv,
    PreparedConv,
    Unsupported,
)
from convbench.spec import ConvSpec
from convbench_algorithms.peers.torch_tensors import PAD_MODES, as_tensor, split_padding
from convbench_algorithms.peers.trial import fastest

if TYPE_CHECKING:
    from torch import Tensor


def unless_single_operator(spec: ConvSpec) -> Unsupported | None:
    """The reason where dx goes back through a padding that is not zeros."""
    if spec.direction == "backward_data" and spec.boundary != "zero" and spec.padding != ((0, 0), (0, 0)):
        return Unsupported("dx under a boundary other than zero is no single operator")
    return None


@final
class GradientPlan(ConvPlan):
    """The layout that is faster for the shape."""

    workspace_bytes = 0  # the library allocates its own

    def __init__(self, spec: ConvSpec, threads: int) -> None:
        import torch

        self.spec = spec
        self.threads = threads
        self.layouts = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
        bound, seen = np.ones(spec.prepared_shape, spec.dtype), np.ones(spec.input_shape, spec.dtype)
        convs = {layout: _Gradient(self, layout, bound) for layout in self.layouts}
        self.layout = fastest({layout: partial(conv.compute, conv.accept(seen)) for layout, conv in convs.items()})

    def prepare(self, w: Array) -> PreparedConv:
        """See `ConvPlan`: `w` is dy for backward_weights."""
        flips = self.spec.flip and self.spec.direction == "backward_data"
        return _Gradient(self, self.layout, w[..., ::-1, ::-1] if flips else w)


@final
class _Gradient(ForeignConv):
    def __init__(self, plan: GradientPlan, layout: str, bound: Array) -> None:
        import torch

        self.spec = spec = plan.spec
        self.threads = plan.threads
        self.format = plan.layouts[layout]
        self.of_data = spec.direction == "backward_data"
        self.given = np.array(bound, order="C") if self.of_data else bound
        self.bound = self._held(self.given)
        self.pads, native = split_padding(spec)
        self.pad_mode = PAD_MODES.get(spec.boundary, "")
        extent = spec.padded_extent if self.pads is not None else (spec.h, spec.w)
        # The operator wants the one that it need not read, too: for its shape.
        like = (spec.n, spec.c, *extent) if self.of_data else spec.w_shape
        self.unread = torch.empty(like, dtype=self.bound.dtype).contiguous(memory_format=self.format)
        self.options = (None, spec.stride, native, spec.dilation, False, (0, 0), spec.groups)
        self.mask = (self.of_data, not self.of_data, False)
        self.gradients: Any = torch.ops.aten.convolution_backward
        self.pad = torch.nn.functional.pad

    def accept(self, x: Array) -> Any:
        """See `ForeignConv`: x is dy for backward_data."""
        import torch

        torch.set_num_threads(self.threads)
        self.bound = self._held(self.given)  # dy may have changed since
        return self._held(x)

    def compute(self, x: Any) -> Any:
        """See `ForeignConv`."""
        if self.of_data:
            dx = self.gradients(x, self.unread, self.bound, *self.options, self.mask)[0]
            if self.pads is None:
                return dx
            left, _, top, _ = self.pads
            return dx[..., top : top + self.spec.h, left : left + self.spec.w]
        if self.pads is not None:
            x = self.pad(x, self.pads, self.pad_mode)
        return self.gradients(self.bound, x, self.unread, *self.options, self.mask)[1]

    def deliver(self, result: Any, y: Array) -> None:
        """See `ForeignConv`."""
        found = result.numpy()
        y[...] = found[..., ::-1, ::-1] if self.spec.flip and not self.of_data else found

    def _held(self, array: Array) -> Tensor:
        return as_tensor(array).contiguous(memory_format=self.format)
