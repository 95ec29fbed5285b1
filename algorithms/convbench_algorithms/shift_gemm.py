"""Convolution as one matrix product on shifted copies of an image that are never made.

Row (c,r,s) of the matrix of columns is the padded image of channel c, begun at row r and column s. So the product's
kernel reads the image itself, with a table of where each of the C·R·S rows begins: the sum over all taps stays in
registers, and no column is ever written. Anderson et al., "Low-memory GEMM-based convolution algorithms for deep
neural networks" (2017), add up R·S products of shifted images; Dukhan, "The Indirect Convolution Algorithm" (2019),
has the table. A stride splits the padded image into its u·v phases, where each tap is a shift again (see `phases`).

Each thread works on tiles of output pixels, whose padded input it copies into cache: the one copy of x that is made.
"""

from __future__ import annotations

import math
from typing import final

import numpy as np
from numba import njit, prange

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    Resources,
    Unsupported,
    summation_error,
    unsupported_dtype,
)
from convbench.boundary import IndexMap, index_maps
from convbench.spec import ConvSpec
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.blocking import Jobs, Part, best_blocking, largest_part
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.kernel_clock import lapped, now_ns
from convbench_algorithms.panels import PackedPlan, conflict, panel_bytes, writes_past_caches
from convbench_algorithms.phase_tiles import fill_tile
from convbench_algorithms.product import multiply, split, sums_length
from convbench_algorithms.taps import tap_offsets


@final
class ShiftGemm(ForwardAlgorithm):
    """Products of packed weights and tiles of the padded image, shifted by each tap."""

    name = "shift_gemm"
    tags = frozenset({"cpu", "gemm"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """See `ForwardAlgorithm`."""
        return unsupported_dtype(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ForwardAlgorithm`."""
        return summation_error(spec)

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ForwardAlgorithm`."""
        return ShiftPlan(spec, resources)


@final
class ShiftPlan(PackedPlan):
    """Tiles of the padded image for each thread, and the jobs that they are for."""

    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.past_caches = writes_past_caches(spec)
        self.groups, self.stride, self.left = spec.groups, spec.stride, spec.padding[1][0]
        self.rows, self.cols = index_maps(spec)
        size, threads = spec.itemsize, resources.threads
        self.stages = ("fill tiles", "product")
        self.spent = np.zeros((threads, len(self.stages)), np.int64)
        C, images = spec.c // spec.groups, spec.n * spec.groups
        # A filter smaller than the stride reads some of the phases only.
        phases = [min(extent, step) for extent, step in zip(spec.filter_extent, spec.stride, strict=True)]
        phase_count = math.prod(phases)
        reach = [(extent - 1) // step for extent, step in zip(spec.filter_extent, spec.stride, strict=True)]

        def tile_shape(lines: int, length: int) -> tuple[int, ...]:
            return C, *phases, lines + reach[0], length + reach[1]

        def fits(lines: int, length: int) -> bool:
            return math.prod(tile_shape(lines, length)) * size <= panel_bytes(resources)

        widths = (largest_part(spec.q, parts) for parts in range(1, spec.q + 1))
        width = next((width for width in widths if fits(1, width)), 1)
        heights = (largest_part(spec.p, parts) for parts in range(1, spec.p + 1))
        height = next((height for height in heights if fits(height, width)), 1)

        def part(parts: int, wide: bool) -> Part:
            lines = largest_part(spec.p, parts)
            copied = math.prod(tile_shape(lines, width))
            joined = reach[1] == 0 or (not wide and width == spec.q)
            return (1, lines * width, copied) if joined else (lines, width, copied)

        col_edges = split(spec.q, -(-spec.q // width))
        self.col_edges = np.array(col_edges, np.int64)
        self.blocking = best_blocking(
            images * (len(col_edges) - 1),
            spec.k // spec.groups,
            C * spec.r * spec.s,
            threads,
            size,
            -(-spec.p // height),
            part,
        )
        row_edges = split(spec.p, self.blocking.pixel_parts)
        self.jobs = self.blocking.jobs(images * (len(col_edges) - 1), row_edges, size)
        shape = tile_shape(int(max(np.diff(row_edges))), width)
        self.pitch = shape[4]
        length = shape[3] * self.pitch
        # What keeps the channels from distances at which they evict each other.
        spare = min(
            range(0, 4 * lanes_of(size), lanes_of(size)), key=lambda n: conflict((length + n) * phase_count * size)
        )
        self.starts = _starts(spec, length + spare, self.pitch)
        elements = (C * phase_count * (length + spare), sums_length(size))
        self.workspace_bytes = resources.reserve(threads * sum(elements) * size + self.starts.nbytes)
        self.tiles = np.zeros((threads, C, *phases, length + spare), spec.dtype)
        self.sums = np.zeros((threads, elements[1]), spec.dtype)
        nothing = np.empty((0, *spec.x_shape[1:]), spec.dtype), np.empty((0, *spec.y_shape[1:]), spec.dtype)
        self.run(np.empty((self.groups, 0), spec.dtype), *nothing, self.jobs[:0])  # compiles

    def run(self, W: Array, x: Array, y: Array, jobs: Jobs, clock: int = 0) -> None:
        """See `PackedPlan`."""
        G = self.groups
        _multiply_tiles(
            W,
            x.reshape(len(x) * G, x.shape[1] // G, *x.shape[2:]),
            y.reshape(len(y) * G, y.shape[1] // G, *y.shape[2:]),
            jobs,
            self.blocking.wide,
            self.starts,
            self.rows,
            self.cols,
            self.left,
            *self.stride,
            self.col_edges,
            self.pitch,
            self.tiles,
            self.sums,
            self.past_caches,
            clock,
            self.spent,
        )


def _starts(spec: ConvSpec, length: int, pitch: int) -> IndexMap:
    """Where each tap's row begins in a tile [C,a,b,length] of the first a of u, b of v phases."""
    down, right = (tap_offsets(spec, axis) for axis in (0, 1))
    u, v = spec.stride
    a, b = (min(extent, step) for extent, step in zip(spec.filter_extent, spec.stride, strict=True))
    row_starts = down % u * (b * length) + down // u * pitch
    col_starts = right % v * length + right // v
    channels = np.arange(spec.c // spec.groups, dtype=np.int64) * (a * b * length)
    starts: IndexMap = (channels[:, None, None] + row_starts[:, None] + col_starts).ravel()
    return starts


@njit(parallel=True, nogil=True, cache=True)
def _multiply_tiles(
    W: Array,
    images: Array,
    Y: Array,
    jobs: Jobs,
    wide: bool,
    starts: IndexMap,
    rows: IndexMap,
    cols: IndexMap,
    left: int,
    u: int,
    v: int,
    col_edges: IndexMap,
    pitch: int,
    tiles: Array,
    sums: Array,
    past_caches: bool,
    clock: int,
    spent: Array,
) -> None:
    """Y [N·G,K/G,P,Q] of images [N·G,C/G,H,W]; a tile, `sums` and, with a clock, `spent` for each thread."""
    threads = len(tiles)
    T = len(starts)
    P, Q = Y.shape[2:]
    across = len(col_edges) - 1
    for thread in prange(threads):
        tile = tiles[thread]
        at = now_ns(clock) if clock else 0
        for job in range(thread * len(jobs) // threads, (thread + 1) * len(jobs) // threads):
            place, k, k_end, p, p_end = jobs[job]
            image = place // across
            q = col_edges[place % across]
            q_end = col_edges[place % across + 1]
            fill_tile(images[image], tile, rows, cols, left, u, v, pitch, p, q)
            if clock:
                at = lapped(clock, at, spent[thread], 0)
            weights = W[image % len(W), k * T :]
            if pitch == Q:  # no gaps between the lines: they are one
                target = Y.reshape(len(Y), Y.shape[1], 1, P * Q)[image, k:k_end, :, p * Q : p_end * Q]
            else:
                target = Y[image, k:k_end, p:p_end, q:q_end]
            multiply(wide, weights, tile.reshape(-1), starts, pitch, target, sums[thread], past_caches)
            if clock:
                at = lapped(clock, at, spent[thread], 1)
