"""What scipy's convolutions all leave out."""

from __future__ import annotations

from convbench.algorithm import Unsupported, unsupported_dtype
from convbench.spec import ConvSpec


def unless_plain(spec: ConvSpec) -> Unsupported | None:
    """The reason where `spec` has a stride, a dilation or groups, or half precision."""
    if half := unsupported_dtype(spec):
        return half
    if spec.stride != (1, 1):
        return Unsupported("needs a stride of 1")
    if spec.dilation != (1, 1):
        return Unsupported("needs a dilation of 1")
    if spec.groups != 1:
        return Unsupported("needs groups=1")
    return None
