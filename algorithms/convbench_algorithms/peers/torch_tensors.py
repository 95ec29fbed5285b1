"""NumPy's arrays as PyTorch's tensors, and padding as PyTorch has it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

from convbench.algorithm import Array, ForeignConv, Unsupported
from convbench.spec import Boundary, ConvSpec, Pair

if TYPE_CHECKING:
    from torch import Tensor

PAD_MODES: Final[dict[Boundary, str]] = {
    "zero": "constant",
    "reflect": "reflect",
    "edge": "replicate",
    "wrap": "circular",
}


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


class TorchLayer(ForeignConv):
    """What the directions of a layer have in common: threads, a memory layout, and who pads."""

    def __init__(self, spec: ConvSpec, threads: int, memory_format: Any) -> None:
        import torch

        self.threads = threads
        self.format = memory_format
        self.pads, self.native = split_padding(spec)
        self.pad_mode = PAD_MODES.get(spec.boundary, "")
        self.pad = torch.nn.functional.pad

    def accept(self, x: Array) -> Any:
        """See `ForeignConv`."""
        import torch

        torch.set_num_threads(self.threads)
        return self.held(x)

    def held(self, array: Array) -> Tensor:
        """A tensor in the layout, which shares the array's memory where that has it already."""
        return as_tensor(array).contiguous(memory_format=self.format)
