"""Direct convolution with small filters, one channel from one channel, straight from x: a ring of sums moves down.

Each input row is loaded once for each of the filter's columns, and added at once to the sums of all output rows that
it belongs to: they stay in registers from the first of their rows to the last (for R rows and stride u, 1 + (R−1)//u
rows of them). Zeros around x are lanes that are masked and rows that are skipped: there is no padded copy. A stride
along W takes whole vectors of x apart in registers.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from typing import Any, Final, final

import numpy as np
from numba import njit, prange

from convbench.algorithm import Array, ConvPlan, PreparedConv, Resources
from convbench.spec import ConvSpec
from convbench_algorithms.emitter import REGISTERS, emitted, lanes_of
from convbench_algorithms.padded_tiles import even_share, every_nth
from convbench_algorithms.thread_use import run_on, worthwhile_threads

BAND_ROWS: Final = 32
"""Of one thread's unit of work: enough to pay for the rows that two bands both read."""
PLANES_BYTES: Final = 2**14
"""Small planes are taken together: half of a usual first-level cache."""
FEW_TAPS: Final = 9
FEW_TAPS_OF_NARROW_IMAGES: Final = 25
NARROW_COLUMNS: Final = 256
"""In wider images, blocks that move down read too little of a row at a time for the memory's taste."""
PAST_CACHES_BYTES: Final = 2**24
FLAGS: Final = {"contract", "reassoc", "nsz", "arcp"}


def suits_rows(spec: ConvSpec) -> bool:
    """Whether the ring is the faster way: few taps, one channel a group, and zeros all around."""
    depthwise = spec.c == spec.groups and spec.dilation[0] == 1 and max(spec.stride) <= 4
    taps = FEW_TAPS_OF_NARROW_IMAGES if spec.w <= NARROW_COLUMNS else FEW_TAPS
    return depthwise and spec.r * spec.s <= taps and (spec.boundary == "zero" or spec.padding == ((0, 0), (0, 0)))


def _ring_plain(  # type: ignore[no-untyped-def]
    x, w, y, planes, until, q, width, first, last, top, left, _past_caches, R, S, _vectors, u, v, dilation
) -> None:
    C, H, W = x.shape
    copies = len(y) // C
    for plane in range(planes, until):
        for p in range(first, last):
            y[plane, p, q : q + width] = 0
            for r in range(R):
                row = p * u + r - top
                if 0 <= row < H:
                    for s in range(S):
                        weight = w[plane % len(w), r * S + s]
                        for column in range(q, q + width):
                            at = column * v + s * dilation - left
                            if 0 <= at < W:
                                y[plane, p, column] += weight * x[plane // copies, row, at]


@emitted(_ring_plain)
def ring_of_rows(  # type: ignore[no-untyped-def]
    e, x, w, y, planes, until, q, width, first, last, top, left, past_caches, R, S, vectors, u, v, dilation
) -> None:
    """y [k, first … last, q … q + width] = Σ_r Σ_s w [k,r·S+s] · x [c, p·u + r − top, q·v + s·dilation − left].

    For each k from `planes` below `until`, with c = k // (K/C). Images are so many planes more, and w starts again.
    `width` is at most that of `vectors` vectors. From R on, all are constants. Where `past_caches` holds, y is
    aligned at column q, and the width whole.
    """
    C, H, W = x.shape
    copies = y.shape[0] // C
    columns = _Columns(e, q * v - left, W, [s * dilation for s in range(S)], vectors, v)
    stored = [e.first_lanes(width - i * e.lanes) for i in range(vectors)]
    with e.loop(until, start=planes) as k:
        source, target, weights = x.at(k // copies), y.at(k), w.at(k % w.shape[0])
        carried = (R - 1) // u
        kept = R * S + (carried + 2) * vectors <= e.registers
        taps = [e.broadcast(weights, t) for t in range(R * S)] if kept else None
        sums = [[e.variable(e.constant(0.0)) for _ in range(vectors)] for _ in range(carried + 1)]
        with e.loop(last, start=first - carried) as p:
            for new in range(u):
                r_first = R - u + new  # the tap that this row is for the row of sums about to end
                users = [(ahead, r_first - ahead * u) for ahead in range(carried + 1) if 0 <= r_first - ahead * u < R]
                row = p * u + (r_first - top)
                if users:
                    with e.when(row.compare(">=", 0)), e.when(row.compare("<", H)):
                        for s, loaded in columns.of(source + row * W):
                            for ahead, r in users:
                                weight = taps[r * S + s] if taps else e.broadcast(weights, r * S + s)
                                for total, values in zip(sums[ahead], loaded, strict=True):
                                    total.set(e.fma(values, weight, total.get()))
            with e.when(p.compare(">=", first)):
                place = target + (p * y.shape[2] + q)
                with e.when(past_caches.compare("!=", 0)):
                    for i, total in enumerate(sums[0]):
                        e.store_past_caches(total.get(), place, i * e.lanes)
                with e.when(past_caches.compare("==", 0)):
                    for i, total in enumerate(sums[0]):
                        e.store_masked(stored[i], total.get(), place, i * e.lanes)
            for ended, following in pairwise(sums):
                for total, ahead in zip(ended, following, strict=True):
                    total.set(ahead.get())
            for total in sums[-1]:
                total.set(e.constant(0.0))


class _Columns:
    """What each column of the filter reads of a row of x: every v-th element from column `start` + offset on."""

    def __init__(self, e: Any, start: Any, W: Any, offsets: list[int], vectors: int, v: int) -> None:
        self.e, self.v, self.vectors, self.start = e, v, vectors, start
        self.groups: dict[int, list[tuple[int, int]]] = {}  # offsets that are equal but for the phase share their loads
        for s, offset in enumerate(offsets):
            self.groups.setdefault(offset // v * v, []).append((s, offset % v))
        self.masks = {
            group: [
                e.lanes_between(0 - begin, W - begin)
                for i in range(vectors * v)
                for begin in [start + (group + i * e.lanes)]
            ]
            for group in self.groups
        }

    def of(self, row: Any) -> Any:
        e, v = self.e, self.v
        for group, members in self.groups.items():
            masks = enumerate(self.masks[group])
            loaded = [e.load_masked(mask, row + self.start, group + i * e.lanes) for i, mask in masks]
            for s, phase in members:
                yield s, [every_nth(e, loaded[i * v : (i + 1) * v], phase) for i in range(self.vectors)]


@final
class RowsPlan(ConvPlan):
    """Nothing but a kernel; there is no workspace beside the weights."""

    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.threads = threads = worthwhile_threads(spec, resources.threads)
        self.workspace_bytes = resources.reserve(math.prod(spec.w_shape) * spec.itemsize)
        lanes = lanes_of(spec.itemsize)
        rows_of_sums = (spec.r - 1) // spec.stride[0] + 1
        registers = REGISTERS or 32
        kept = spec.r * spec.s if spec.r * spec.s <= registers // 2 else 1
        vectors = min(max((registers - kept - 2) // (rows_of_sums + spec.stride[1]), 1), 4, -(-spec.q // lanes))
        self.past_caches = math.prod(spec.y_shape) * spec.itemsize >= PAST_CACHES_BYTES and spec.q % lanes == 0
        (u, v), dilation = spec.stride, spec.dilation[1]
        self.kernel = rows_kernel(spec.r, spec.s, vectors, u, v, dilation)
        self.bands = min(even_share(-(-spec.p // BAND_ROWS), spec.n * spec.k, threads), spec.p)
        self.planes = max(min(PLANES_BYTES // (spec.h * spec.w * spec.itemsize), spec.n * spec.k // threads), 1)
        nothing = _RowsConv(self, np.zeros(spec.w_shape, spec.dtype))
        nothing.run(np.empty((0, *spec.x_shape[1:]), spec.dtype), np.empty((0, *spec.y_shape[1:]), spec.dtype))

    def prepare(self, w: Array) -> PreparedConv:
        """See `ConvPlan`."""
        return _RowsConv(self, w)


@final
class _RowsConv(PreparedConv):
    def __init__(self, plan: RowsPlan, w: Array) -> None:
        self.plan = plan
        self.operations = plan.spec.direct_flops
        self.w = (w[..., ::-1, ::-1] if plan.spec.flip else w).reshape(len(w), -1).copy()

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        self.run(x, y)

    def run(self, x: Array, y: Array) -> None:
        """`execute`, on any number of images."""
        plan = self.plan
        (top, _), (left, _) = plan.spec.padding
        run_on(
            plan.threads,
            plan.kernel,
            x.reshape(-1, *x.shape[2:]),
            self.w,
            y.reshape(-1, *y.shape[2:]),
            top,
            left,
            plan.bands,
            plan.planes,
            plan.past_caches,
            plan.threads,
        )


@cache
def rows_kernel(R: int, S: int, vectors: int, u: int, v: int, dilation: int) -> Any:
    """The compiled kernel of one filter size and step, for any image."""

    @njit(parallel=True, nogil=True, cache=True, fastmath=FLAGS)
    def kernel(
        x: Array, w: Array, y: Array, top: int, left: int, bands: int, planes: int, past_caches: bool, threads: int
    ) -> None:
        """Y [N·K,P,Q] from x [N·C,H,W] and w [K,R·S], so many `planes` and so many `bands` of rows at a time."""
        K, P, Q = y.shape
        lanes = lanes_of(y.itemsize)
        # Where y is written past the caches, all blocks of columns but the first begin where its vectors are aligned.
        shift = y.ctypes.data // y.itemsize % lanes if past_caches else 0
        units = (K + planes - 1) // planes * bands
        for thread in prange(threads):
            for unit in range(units * thread // threads, units * (thread + 1) // threads):
                band, k = unit % bands, unit // bands * planes
                first, last = P * band // bands, P * (band + 1) // bands
                for begin in range(-shift, Q, vectors * lanes):
                    q = max(begin, 0)
                    width = min(begin + vectors * lanes, Q) - q
                    whole = past_caches and width == vectors * lanes
                    ring_of_rows(
                        x, w, y, k, min(k + planes, K), q, width, first, last, top, left, whole,
                        R, S, vectors, u, v, dilation,
                    )  # fmt: skip

    return kernel
