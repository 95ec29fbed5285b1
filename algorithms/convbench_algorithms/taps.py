"""Where each filter tap reads: stride, dilation, boundary and flip folded into one table an axis."""

from __future__ import annotations

import numpy as np

from convbench.boundary import IndexMap, index_map
from convbench.spec import ConvSpec


def tap_offsets(spec: ConvSpec, axis: int) -> IndexMap:
    """The padded offset of each tap of w along H (axis 0) or W (axis 1): dilation·r, from the far end if flipped.

    Flipping where a tap reads is the same as flipping w, and serves all three directions alike.
    """
    taps = np.arange((spec.r, spec.s)[axis], dtype=np.int64) * spec.dilation[axis]
    return taps[::-1].copy() if spec.flip else taps


def source_table(spec: ConvSpec, axis: int) -> IndexMap:
    """The index along H (axis 0) or W (axis 1) of x that output p reads through tap r, or `OUTSIDE`: [P,R] or [Q,S]."""
    extent, outputs = ((spec.h, spec.p), (spec.w, spec.q))[axis]
    padded = np.arange(outputs, dtype=np.int64)[:, None] * spec.stride[axis] + tap_offsets(spec, axis)
    table: IndexMap = index_map(extent, spec.padding[axis], spec.boundary)[padded]
    return table
