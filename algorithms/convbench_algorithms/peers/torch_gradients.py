"""PyTorch's gradients of a convolution, by the operator that its autograd calls: `aten::convolution_backward`.

Of dx and dw only the one that is asked for. Held as tensors, in the layout that is faster for the shape.
"""

from __future__ import annotations

from typing import Any, final

import numpy as np

from convbench.algorithm import Array, Unsupported
from convbench.spec import ConvSpec
from convbench_algorithms.peers.torch_tensors import TorchLayer


def unless_single_operator(spec: ConvSpec) -> Unsupported | None:
    """The reason where dx goes back through a padding that is not zeros."""
    if spec.direction == "backward_data" and spec.boundary != "zero" and spec.padding != ((0, 0), (0, 0)):
        return Unsupported("dx under a boundary other than zero is no single operator")
    return None


@final
class Gradient(TorchLayer):
    """Of w and dy it binds `bound`: w for dx, dy for dw."""

    def __init__(self, spec: ConvSpec, threads: int, memory_format: Any, bound: Array) -> None:
        import torch

        super().__init__(spec, threads, memory_format)
        self.spec = spec
        self.of_data = spec.direction == "backward_data"
        self.given = np.array(bound, order="C") if self.of_data else bound
        self.bound = self.held(self.given)
        extent = spec.padded_extent if self.pads is not None else (spec.h, spec.w)
        # The operator wants the one that it need not read, too: for its shape.
        like = (spec.n, spec.c, *extent) if self.of_data else spec.w_shape
        self.unread = torch.empty(like, dtype=self.bound.dtype).contiguous(memory_format=self.format)
        self.options = (None, spec.stride, self.native, spec.dilation, False, (0, 0), spec.groups)
        self.mask = (self.of_data, not self.of_data, False)
        self.gradients: Any = torch.ops.aten.convolution_backward

    def accept(self, x: Array) -> Any:
        """See `ForeignConv`: x is dy for backward_data."""
        self.bound = self.held(self.given)  # dy may have changed since
        return super().accept(x)

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
