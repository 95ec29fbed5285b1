"""A convolution as the kernels see it: a correlation of an image whose padding and boundary are two index maps.

backward_data is one too: dy spread by the stride has zeros between its elements, which its maps show as `OUTSIDE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from convbench.algorithm import Array, computing_dtype
from convbench.boundary import OUTSIDE, index_map
from convbench.spec import ConvSpec, Pair
from convbench_algorithms.backward import spread_along, transposed_filter

Map = npt.NDArray[np.int32]

MOST_PLANES: Final = 65535
"""Of a grid along y and z."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """y[n,k,p,q] = Σ_{c,r,s} w[k,c,r,s]·x[n, g·C/G + c, rows[u·p + d·r], cols[v·q + e·s]], zero where a map says -1.

    x [N,C,H,W]   w [K,C/G,R,S]   y [N,K,P,Q]   stride (u, v)   dilation (d, e)   g = k div K/G
    """

    n: int
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    p: int
    q: int
    stride: Pair
    dilation: Pair
    groups: int
    dtype: str
    rows: Map
    """For each padded row, its row in x or `OUTSIDE`."""
    cols: Map
    """For each padded column, its column in x or `OUTSIDE`."""

    @classmethod
    def of(cls, spec: ConvSpec) -> Geometry:
        """The forward problem, or backward_data as one."""
        _, c, h, w = spec.input_shape
        _, k, p, q = spec.output_shape
        forward = spec.direction == "forward"
        return cls(
            n=spec.n,
            c=c,
            h=h,
            w=w,
            k=k,
            r=spec.r,
            s=spec.s,
            p=p,
            q=q,
            stride=spec.stride if forward else (1, 1),
            dilation=spec.dilation,
            groups=spec.groups,
            dtype=spec.dtype,
            rows=_map(spec, 0),
            cols=_map(spec, 1),
        )

    @property
    def channels(self) -> int:
        """C/G: those of x that each output channel sees."""
        return self.c // self.groups

    @property
    def filters(self) -> int:
        """K/G: output channels that see the same channels of x."""
        return self.k // self.groups

    @property
    def itemsize(self) -> int:
        """Bytes of an element of x, w or y."""
        return np.dtype(self.dtype).itemsize

    @property
    def computed(self) -> str:
        """The dtype of sums and of what lies between x and y."""
        return computing_dtype(self.dtype)

    @property
    def computed_bytes(self) -> int:
        """Of a number between x and y."""
        return np.dtype(self.computed).itemsize

    @property
    def map_bytes(self) -> int:
        """Of both index maps."""
        return self.rows.nbytes + self.cols.nbytes

    @property
    def zeros_around(self) -> tuple[int | None, int | None]:
        """Zeros above and before an image that lies as it is among zeros, negative where it is cut; else None."""
        return _zeros_before(self.rows, self.h), _zeros_before(self.cols, self.w)

    @cached_property
    def left(self) -> int:
        """Padding before the columns where what is not padding is the image as it lies; -1 where it is spread."""
        return _before_the_image(self.cols, self.w)

    @cached_property
    def top(self) -> int:
        """The same of the rows."""
        return _before_the_image(self.rows, self.h)


def correlation_filter(spec: ConvSpec, w: Array) -> Array:
    """w [K,C/G,R,S] as the filter of the geometry: never flipped, and transposed for backward_data; contiguous."""
    if spec.direction == "backward_data":
        return transposed_filter(spec, w)
    return np.ascontiguousarray(w[..., ::-1, ::-1]) if spec.flip else w


def _before_the_image(positions: Map, extent: int) -> int:
    for before in np.flatnonzero(positions == 0).tolist():
        inside = positions[before : before + extent]
        if np.array_equal(inside, np.arange(len(inside))):
            return int(before)
    return -1


def _zeros_before(map: Map, extent: int) -> int | None:
    inside = np.flatnonzero(map != OUTSIDE)
    if not inside.size:
        return len(map)
    before = int(inside[0] - map[inside[0]])
    places = np.arange(len(map)) - before
    as_it_is = np.where((places >= 0) & (places < extent), places, OUTSIDE)
    return before if np.array_equal(map, as_it_is) else None


def _map(spec: ConvSpec, axis: int) -> Map:
    if spec.direction == "forward":
        return index_map((spec.h, spec.w)[axis], spec.padding[axis], spec.boundary).astype(np.int32)
    offset, extent, padding = spread_along(spec, axis)
    positions = np.arange(extent, dtype=np.int32) - offset
    stride, outputs = spec.stride[axis], (spec.p, spec.q)[axis]
    hit = (positions % stride == 0) & (positions >= 0) & (positions // stride < outputs)
    spread = np.where(hit, positions // stride, OUTSIDE).astype(np.int32)
    return np.pad(spread, padding, constant_values=OUTSIDE)
