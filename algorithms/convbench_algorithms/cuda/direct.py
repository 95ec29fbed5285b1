"""Sums of products in registers, the filter in constant memory: for few channels, and filters that are not wide.

In tiles here; on large planes of one channel down the columns, see `stream`.

Register tiles over rows that each load once are Iandola et al., "Communication-minimizing 2D convolution in GPU
registers" (ICIP 2013), and Chen et al., "Versatile software-managed register caches" (SC 2019).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, final

from numpy import int32

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
)
from convbench.spec import ConvSpec
from convbench_algorithms.backward import unsupported_direction
from convbench_algorithms.cuda.device import (
    CONSTANT_BYTES,
    TYPES,
    CudaAlgorithm,
    DeviceArray,
    Function,
    Kernel,
    Triple,
    current,
    unsupported_by_card,
)
from convbench_algorithms.cuda.geometry import MOST_PLANES, Geometry, correlation_filter
from convbench_algorithms.cuda.stream import THREADS, VECTOR_BYTES, WARP, StreamPlan

MOST_TAPS: Final = 31
"""Along an axis: the loop over a row's taps is unrolled."""

MOST_SUMS: Final = 32
"""Outputs of a thread: registers hold them and what of x they see."""

MOST_OF_ONE: Final = 16
"""Outputs of one filter: more are more instructions, which then do not stay in the first cache for them."""

MOST_PRODUCTS: Final = 2048
"""Unrolled multiply-adds of a thread and channel: instructions of 16 bytes."""

STREAMED_TAPS: Final = frozenset((*range(1, 7), *range(12, 20)))
"""Rows of a filter of one channel with which it goes down the columns: with 3, 5, 7, 9, 11 and 15 of them, 4096² pixels
took 42, 50, 73, 97, 151 and 268 µs on an H200, and 43, 50, 66, 91, 130 and 292 in tiles."""

STREAMED_PIXELS: Final = 2**18
"""Of a plane of y, from which on it does: small ones have no strips for all threads."""

MOST_BLOCK_DEPTH: Final = 64
"""Threads of a block along z."""


@final
class CudaDirect(CudaAlgorithm):
    """A register tile of outputs a thread, vector loads, taps from constant memory."""

    name = "cuda_direct"
    tags = frozenset({"cuda", "direct"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if unsupported := unsupported_direction(spec):
            return unsupported
        if max(spec.r, spec.s) > MOST_TAPS:
            return Unsupported(f"needs a filter of at most {MOST_TAPS}×{MOST_TAPS}: the loop over its rows is unrolled")
        nbytes = math.prod(spec.w_shape) * (8 if spec.dtype == "float64" else 4)
        if nbytes > CONSTANT_BYTES:
            return Unsupported(
                f"its filter takes {nbytes // 1024:,} KiB; constant memory holds {CONSTANT_BYTES // 1024}"
            )
        if max(spec.n * spec.k, spec.n * spec.c) > MOST_PLANES:
            return Unsupported(f"needs at most {MOST_PLANES:,} planes of y in a batch")
        return unsupported_by_card(spec.dtype)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _StreamedPlan(spec, resources) if streams(Geometry.of(spec)) else _DirectPlan(spec, resources)


def streams(geometry: Geometry) -> bool:
    """Whether it goes down the columns, and does not work in tiles: for filters of one channel, on large planes."""
    g = geometry
    steps = g.stride == g.dilation == (1, 1)
    return steps and g.channels == 1 and g.r in STREAMED_TAPS and g.p * g.q >= STREAMED_PIXELS


@final
class _StreamedPlan(StreamPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        super().__init__(spec, resources, factored=False)

    def prepare(self, w: Array) -> PreparedConv:
        return self.bound(correlation_filter(self.spec, w).astype(self.geometry.computed))


class ThreadTile(NamedTuple):
    """A thread's outputs, and whether it loads x anew for each row of the filter."""

    rows: int
    cols: int
    filters: int
    rolled: bool


def thread_tile(geometry: Geometry) -> ThreadTile:
    """Several filters where there are channels to sum over: each element of x that was loaded then serves all of them.

    Else a tile whose rows share what they see; a wide one where the filter is too large for that, or the stride leaves
    little to share.
    """
    filters = next(f for f in (4, 2, 1) if geometry.filters % f == 0) if geometry.channels > 1 else 1
    cols = max(VECTOR_BYTES // geometry.itemsize, 4)
    rows = min(MOST_SUMS // (cols * filters), MOST_OF_ONE // cols, max(geometry.p, 1))
    products = rows * cols * filters * geometry.r * geometry.s
    if geometry.stride == (1, 1) and products <= MOST_PRODUCTS:
        return ThreadTile(rows, cols, filters, rolled=False)
    return ThreadTile(rows, cols, filters, rolled=True)


def block_of(geometry: Geometry, tile: ThreadTile) -> Triple:
    """A warp along the columns; where y is not as wide, or high, the rest of the block has other planes."""
    across, down = (
        1 << (-(-extent // outputs) - 1).bit_length()
        for extent, outputs in ((geometry.q, tile.cols), (geometry.p, tile.rows))
    )
    x = min(across, WARP)
    y = min(down, THREADS // x)
    return x, y, min(THREADS // (x * y), MOST_BLOCK_DEPTH)


@final
class _DirectPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.geometry = g = Geometry.of(spec)
        self.device = current()
        tile = thread_tile(g)
        self.workspace_bytes = resources.reserve(g.map_bytes)
        self.rows, self.cols = self.device.upload(g.rows), self.device.upload(g.cols)
        planes = g.n * g.k // tile.filters
        self.block = block_of(g, tile)
        self.grid: Triple = (
            -(-g.q // (self.block[0] * tile.cols)),
            -(-g.p // (self.block[1] * tile.rows)),
            -(-planes // self.block[2]),
        )
        self.kernel = Kernel.of(
            "direct.cu",
            "direct",
            **TYPES[g.dtype],
            TAPS=g.k * g.channels * g.r * g.s,
            R=g.r,
            S=g.s,
            U=g.stride[0],
            V=g.stride[1],
            D=g.dilation[0],
            E=g.dilation[1],
            ROWS=tile.rows,
            COLS=tile.cols,
            FILTERS=tile.filters,
            ROLLED=int(tile.rolled),
            LEFT=g.left,
            TOP=g.top,
        )
        self.sizes = tuple(map(int32, (g.c, g.h, g.w, g.k, g.p, g.q, g.channels, g.filters, planes)))

    def prepare(self, w: Array) -> PreparedConv:
        taps = correlation_filter(self.spec, w).astype(self.geometry.computed)
        return _Direct(self, self.device.compile(self.kernel, {"taps": taps}))


@final
class _Direct(PreparedConv):
    def __init__(self, plan: _DirectPlan, function: Function) -> None:
        self.plan = plan
        self.function = function

    def execute(self, x: DeviceArray, y: DeviceArray) -> None:
        plan = self.plan
        self.function(plan.grid, plan.block, (x, y, plan.rows, plan.cols, *plan.sizes))
