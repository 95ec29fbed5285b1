"""Direct convolution with filters of one channel, straight from x: bands of rows, along which a block of sums moves.

A block of rows × vectors of y stays in registers over all taps, and every load of x serves each of its rows. Nothing
is copied: zeros around x are lanes that are masked and rows that are skipped, in the blocks at its edges only. What
a band reads again of the one above it is still in the second-level cache.
"""

from __future__ import annotations

import math
from functools import cache, partial
from typing import Any, Final, final

import numpy as np
from numba import njit, prange

from convbench.algorithm import Array, ConvPlan, PreparedConv, Resources
from convbench.spec import ConvSpec
from convbench_algorithms.emitter import REGISTERS, emitted, lanes_of
from convbench_algorithms.thread_use import run_on, worthwhile_threads

MOST_ROWS_OF_TAPS: Final = 15
"""The kernel is as long as the filter is high."""
FEWEST_BYTES: Final = 768
"""Of a row of y, lest too many blocks lie at an edge."""
SET_PERIOD_BYTES: Final = 4096
WAYS: Final = 12
"""Of a usual first-level cache, which keeps no more rows of x that lie multiples of the period apart."""
PAST_CACHES_BYTES: Final = 2**24
"""An output of this size would only push x out of the last-level cache."""
FLAGS: Final = {"contract", "reassoc", "nsz", "arcp"}


def suits_bands(spec: ConvSpec) -> bool:
    """Whether bands are the faster way: rows of some vectors, every output beside the next, and zeros all around."""
    dense = spec.c == spec.groups and spec.stride == (1, 1) and spec.dilation[0] == 1
    wide = spec.q * spec.itemsize >= FEWEST_BYTES and spec.r <= MOST_ROWS_OF_TAPS
    return dense and wide and (spec.boundary == "zero" or spec.padding == ((0, 0), (0, 0)))


def _band_plain(  # type: ignore[no-untyped-def]
    x, w, y, k, p, _shift, top, left, dilation, _past_caches, R, S, rows, _vectors, _by_rows
) -> None:
    K, _, Q = y.shape
    _, H, W = x.shape
    y[k, p : p + rows] = 0
    for j in range(rows):
        for r in range(R):
            row = p + j + r - top
            if 0 <= row < H:
                for s in range(S):
                    weight = w[k % len(w), s, r]
                    for q in range(Q):
                        column = q + s * dilation - left
                        if 0 <= column < W:
                            y[k, p + j, q] += weight * x[k // (K // len(x)), row, column]


@emitted(_band_plain)
def band_of_sums(  # type: ignore[no-untyped-def]
    e, x, w, y, k, p, shift, top, left, dilation, past_caches, R, S, rows, vectors, by_rows
) -> None:
    """y [k, p+j, q] = Σ_s Σ_r w [k,s,r] · x [c, p+j+r−top, q+s·dilation−left] for j < rows and all q, c = k // (K/C).

    Images are so many planes more, and w starts again. Blocks of columns begin `shift` before the first. R and what
    follows are constants. Where `past_caches` holds, y is aligned there, and its rows are whole vectors. `by_rows`
    takes all columns of the filter in one row of x before the next, instead of all rows for one column.
    """
    Q = y.shape[2]
    W = x.shape[2]
    block = _Block(e, x, w, y, (k, p), (top, left), dilation, (R, S), (rows, vectors), by_rows)
    width = vectors * e.lanes
    last_offset = (S - 1) * dilation
    with e.loop(Q, start=0 - shift, step=width) as q:
        column = q - left
        outside = block.some_rows_outside
        for relation, value, bound in (("<", q, 0), (">", q + width, Q), ("<", column, 0)):
            outside = e.builder.or_(outside, value.compare(relation, bound))
        outside = e.builder.or_(outside, (column + (last_offset + width)).compare(">", W))
        with e.when(outside):
            masks = e.masks_between(0 - q, Q - q, vectors)
            for j, v, total in block.sums(q, masked=True):
                e.store_masked(masks[v], total, y.at(k, p + j), q + v * e.lanes)
        with e.when(e.builder.not_(outside)):
            sums = block.sums(q, masked=False, ahead=past_caches)
            with e.when(past_caches.compare("!=", 0)):
                for j, v, total in sums:
                    e.store_past_caches(total, y.at(k, p + j), q + v * e.lanes)
            with e.when(past_caches.compare("==", 0)):
                for j, v, total in sums:
                    e.store(total, y.at(k, p + j), q + v * e.lanes)


class _Block:
    """The sums of a block of rows × vectors, from any column on."""

    def __init__(self, e, x, w, y, place, padding, dilation, taps, extent, by_rows) -> None:  # type: ignore[no-untyped-def]
        k, p = place
        top, self.left = padding
        self.e, self.dilation = e, dilation
        _, self.H, self.W = x.shape
        self.R, self.S = taps
        self.rows, self.vectors = extent
        self.by_rows = by_rows
        self.first_row = p - top
        self.rows_in = self.rows + self.R - 1
        self.source = x.at(k // (y.shape[0] // x.shape[0])) + (self.first_row * self.W - self.left)
        self.weights = w.at(k % w.shape[0])
        below = (self.first_row + self.rows_in).compare(">", self.H)
        self.some_rows_outside = e.builder.or_(self.first_row.compare("<", 0), below)

    def sums(self, q: Any, *, masked: bool, ahead: Any = None) -> list[tuple[int, int, Any]]:
        """Row, vector and value of each sum from column q on; what is outside x is 0 where `masked`.

        Where `ahead` holds, the rows that the next band reads beyond these are asked for.
        """
        e, lanes = self.e, self.e.lanes
        totals = [[e.variable(e.constant(0.0)) for _ in range(self.vectors)] for _ in range(self.rows)]
        if ahead is not None:
            with e.when(ahead.compare("!=", 0)):
                for j in range(self.rows):
                    for v in range(self.vectors):
                        e.prefetch(self.source + (self.W * (self.rows_in + j) + q), v * lanes, level=2)
        if self.by_rows and not masked:
            for h in range(self.rows_in):
                with e.loop(self.S, unroll=False) as s:
                    place = self.source + (q + s * self.dilation + self.W * h)
                    values = [e.load(place, v * lanes) for v in range(self.vectors)]
                    self._add(totals, h, self.weights + s * self.R, values)
        else:
            self._add_columns(totals, q, masked=masked)
        return [(j, v, total.get()) for j, row in enumerate(totals) for v, total in enumerate(row)]

    def _add_columns(self, totals: list[list[Any]], q: Any, *, masked: bool) -> None:
        """All rows of the block's input, for each column of the filter."""
        e, lanes = self.e, self.e.lanes
        with e.loop(self.S) as s:
            taps = self.weights + s * self.R
            place = self.source + (q + s * self.dilation)
            begin = q + s * self.dilation - self.left
            masks = e.masks_between(0 - begin, self.W - begin, self.vectors) if masked else []
            for h in range(self.rows_in):
                if masked:
                    row = self.first_row + h
                    with e.when(row.compare(">=", 0)), e.when(row.compare("<", self.H)):
                        values = [e.load_masked(mask, place, v * lanes) for v, mask in enumerate(masks)]
                        self._add(totals, h, taps, values)
                else:
                    self._add(totals, h, taps, [e.load(place, v * lanes) for v in range(self.vectors)])
                place = place + self.W

    def _add(self, totals: list[list[Any]], h: int, taps: Any, values: list[Any]) -> None:
        """What the block's input row h gives to the sums of all output rows that it belongs to."""
        e = self.e
        for j in range(max(h - self.R + 1, 0), min(h + 1, self.rows)):
            weight = e.broadcast(taps, h - j)
            for total, value in zip(totals[j], values, strict=True):
                total.set(e.fma(value, weight, total.get()))


@final
class BandPlan(ConvPlan):
    """Nothing but a kernel; there is no workspace beside the weights."""

    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.threads = threads = worthwhile_threads(spec, resources.threads)
        self.workspace_bytes = resources.reserve(math.prod(spec.w_shape) * spec.itemsize)
        self.past_caches = math.prod(spec.y_shape) * spec.itemsize >= PAST_CACHES_BYTES and (
            spec.q % lanes_of(spec.itemsize) == 0
        )
        vectors = 3 if spec.r <= 5 and not self.past_caches else 4
        rows = (REGISTERS or 16) * 3 // 4 // vectors
        rows = -(-spec.p // -(-spec.p // rows))  # as few bands, but of equal heights
        conflict = spec.w * spec.itemsize % SET_PERIOD_BYTES == 0 and rows + spec.r - 1 > WAYS
        kernel = bands_kernel(spec.r, spec.s, rows, vectors, int(conflict))
        self.call = kernel if threads == resources.threads else partial(run_on, threads, kernel)
        nothing = _BandConv(self, np.zeros(spec.w_shape, spec.dtype))
        nothing.run(np.empty((0, *spec.x_shape[1:]), spec.dtype), np.empty((0, *spec.y_shape[1:]), spec.dtype))

    def prepare(self, w: Array) -> PreparedConv:
        """See `ConvPlan`."""
        return _BandConv(self, w[..., ::-1, ::-1] if self.spec.flip else w)


@final
class _BandConv(PreparedConv):
    def __init__(self, plan: BandPlan, w: Array) -> None:
        self.plan = plan
        self.operations = plan.spec.direct_flops
        self.w = np.ascontiguousarray(w[:, 0].transpose(0, 2, 1))

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        self.run(x, y)

    def run(self, x: Array, y: Array) -> None:
        """`execute`, on any number of images."""
        plan = self.plan
        (top, _), (left, _) = plan.spec.padding
        plan.call(x, self.w, y, top, left, plan.spec.dilation[1], plan.past_caches, plan.threads)


@cache
def bands_kernel(R: int, S: int, rows: int, vectors: int, by_rows: int) -> Any:
    """The compiled kernel of one filter size, for any image."""

    @njit(parallel=True, nogil=True, cache=True, fastmath=FLAGS)
    def kernel(
        x: Array, w: Array, y: Array, top: int, left: int, dilation: int, past_caches: bool, threads: int
    ) -> None:
        """Y [N,K,P,Q] from x [N,C,H,W] and w [K,S,R]: each thread takes bands that follow each other."""
        N, K, P, Q = y.shape
        x, y = x.reshape(N * x.shape[1], x.shape[2], x.shape[3]), y.reshape(N * K, P, Q)
        lanes, width = lanes_of(y.itemsize), vectors * lanes_of(y.itemsize)
        shift = y.ctypes.data // y.itemsize % lanes if Q % lanes == 0 else 0
        if not past_caches and (Q + shift + width - 1) // width > (Q + width - 1) // width:
            shift = 0  # aligned blocks would be one more
        bands = (P + rows - 1) // rows
        for thread in prange(threads):
            for band in range(N * K * bands * thread // threads, N * K * bands * (thread + 1) // threads):
                p = min(band % bands * rows, P - rows)
                band_of_sums(
                    x, w, y, band // bands, p, shift, top, left, dilation, past_caches, R, S, rows, vectors, by_rows
                )  # fmt: skip

    return kernel
