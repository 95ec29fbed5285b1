"""What plain filters leave out: scipy's, and in part those of other libraries."""

from __future__ import annotations

from convbench.algorithm import Unsupported, unsupported_dtype
from convbench.spec import ConvSpec


def unless_plain(spec: ConvSpec) -> Unsupported | None:
    """The reason where `spec` has a stride, a dilation or groups, or half precision."""
    if half := unsupported_dtype(spec):
        return half
    if steps := unless_unit_steps(spec):
        return steps
    if spec.groups != 1:
        return Unsupported("needs groups=1")
    return None


def unless_unit_steps(spec: ConvSpec) -> Unsupported | None:
    """The reason where `spec` has a stride or a dilation."""
    if spec.stride != (1, 1):
        return Unsupported("needs a stride of 1")
    if spec.dilation != (1, 1):
        return Unsupported("needs a dilation of 1")
    return None


def unless_same_extent(spec: ConvSpec) -> Unsupported | None:
    """The reason where the output is not of the image's extent."""
    if (spec.p, spec.q) != (spec.h, spec.w):
        return Unsupported("gives outputs of the image's extent: needs padding=same")
    return None
