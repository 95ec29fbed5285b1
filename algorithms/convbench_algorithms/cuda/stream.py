"""Filters of one channel, down the columns of an image: what sums of products and two passes have in common.

That a thread keeps the sums of all rows which are not complete is the "streaming" of stencil codes, with registers for
their ring (Rawat et al., "Domain-specific optimization and generation of high-performance GPU code for stencil
computations", Proc. IEEE 106, 2018).
"""

from __future__ import annotations

from typing import Final, NamedTuple, final

from numpy import int32

from convbench.algorithm import Array, ConvPlan, PreparedConv, Resources
from convbench.spec import ConvSpec
from convbench_algorithms.cuda.device import MULTIPROCESSORS, TYPES, DeviceArray, Function, Kernel, Triple, current
from convbench_algorithms.cuda.geometry import Geometry

THREADS: Final = 128
WARP: Final = 32
VECTOR_BYTES: Final = 16
"""Of what one instruction loads."""

MOST_SUM_WORDS: Final = 128
"""Registers of a thread for sums: it has 255 for everything."""
AHEAD_WORDS: Final = 36
"""… of which at most so many leave room for a row that is on its way."""

THREAD_WORDS: Final = 32
"""Registers of a thread for anything else."""
MOST_RESIDENT: Final = 2048
"""Threads of a multiprocessor, and of its 65,536 registers what each may have."""


class Stream(NamedTuple):
    """A thread's columns, whether it loads a row ahead of the one it adds, and the rows of y that it goes down."""

    cols: int
    ahead: bool
    length: int


def stream_of(geometry: Geometry) -> Stream:
    """As many columns as registers hold sums for; then strips that fill the card, none shorter than the filter."""
    g = geometry
    words = g.computed_bytes // 4
    cols = next(n for n in _halves(max(VECTOR_BYTES // g.itemsize, 4)) if n * g.r * words <= MOST_SUM_WORDS or n == 1)
    sums = cols * g.r * words
    ahead = sums <= AHEAD_WORDS
    registers = sums + (2 if ahead else 1) * (cols + g.s - 1) * words + THREAD_WORDS
    resident = MULTIPROCESSORS * min(2**16 // registers // THREADS * THREADS, MOST_RESIDENT)
    strips = max(resident // (g.n * g.k * -(-g.q // cols)), 1)
    return Stream(cols, ahead, min(max(-(-g.p // strips), g.r), g.p))


def _halves(count: int) -> list[int]:
    return [count >> power for power in range(count.bit_length())]


class StreamPlan(ConvPlan):
    """Subclasses prepare: they lay the taps out as the kernel has them, and bind them."""

    def __init__(self, spec: ConvSpec, resources: Resources, *, factored: bool) -> None:
        self.spec = spec
        self.geometry = g = Geometry.of(spec)
        self.device = current()
        self.workspace_bytes = resources.reserve(g.map_bytes)
        self.rows, self.cols = self.device.upload(g.rows), self.device.upload(g.cols)
        stream = stream_of(g)
        across = min(WARP, 1 << (-(-g.q // stream.cols) - 1).bit_length())
        self.block: Triple = (across, THREADS // across, 1)
        self.grid: Triple = (
            -(-g.q // (stream.cols * self.block[0])),
            -(-g.p // (stream.length * self.block[1])),
            g.n * g.k,
        )
        self.kernel = Kernel.of(
            "stream.cu",
            "stream",
            **TYPES[g.dtype],
            PLANES=g.k,
            FACTORED=int(factored),
            R=g.r,
            S=g.s,
            V=1,
            E=1,
            COLS=stream.cols,
            AHEAD=int(stream.ahead),
            LEFT=g.left,
            TOP=g.top,
        )
        self.sizes = tuple(map(int32, (g.c, g.h, g.w, g.k, g.p, g.q, g.filters, stream.length)))

    def bound(self, taps: Array) -> PreparedConv:
        """With the taps of each filter, [K, R·S] or [K, R + S] where it is factored."""
        return _Streaming(self, self.device.compile(self.kernel, {"taps": taps}))


@final
class _Streaming(PreparedConv):
    def __init__(self, plan: StreamPlan, function: Function) -> None:
        self.plan = plan
        self.function = function

    def execute(self, x: DeviceArray, y: DeviceArray) -> None:
        plan = self.plan
        self.function(plan.grid, plan.block, (x, y, plan.rows, plan.cols, *plan.sizes))
