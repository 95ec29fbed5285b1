"""When a filter is a box: each slice w[k,c] of one value."""

from __future__ import annotations

from convbench.algorithm import Array, Unsupported
from convbench.spec import ConvSpec


def unless_box(spec: ConvSpec) -> Unsupported | None:
    """The reason where the spec's filter family is known not to be constant over the window."""
    if spec.filter == "box" or spec.r * spec.s == 1:
        return None
    return Unsupported(f"filter={spec.filter} of {spec.r}×{spec.s} is not constant; running sums need a box")


def unless_constant(w: Array) -> Unsupported | None:
    """The reason where the values of w [K,C/groups,R,S] are not the same all over each window."""
    if (w == w[:, :, :1, :1]).all():
        return None
    return Unsupported("w is not constant over each R×S window, whatever its family says")
