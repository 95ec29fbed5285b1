"""A filter that is the same along every row, and along every column: tile by tile, for any such filter of lines.

    tile of x  → transposed → lines [columns,width]   a position of many rows, side by side
                 filtered, transposed → panels [panel][rows][width]   a position of many columns
                 filtered → y

Neither pass loads a vector that is not aligned, and what a tile needs stays in the second-level cache. Tiles read what
their filters reach of their neighbours, and wait for none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import gcd
from typing import Any, Final, final

import numpy as np
from numba import njit, prange

from convbench.algorithm import Array, Resources
from convbench.boundary import OUTSIDE, IndexMap, index_map
from convbench.spec import ConvSpec, Pair
from convbench_algorithms.aligned import aligned_zeros
from convbench_algorithms.compilation_cache import named
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.line_squares import turn_lines, write_lines
from convbench_algorithms.output_writes import alignment
from convbench_algorithms.strips import fill_lines
from convbench_algorithms.thread_use import run_on
from convbench_algorithms.units import output_units

VECTORS: Final = 2
"""Side by side in a line: as few as hide how long an addition takes."""
TILE: Final = 512
"""Outputs along either axis: tiles of float32 that fill half of a usual second-level cache."""
WORTH_A_THREAD: Final = 2**13
"""Outputs: some microseconds."""


@final
class TwoPasses:
    """The tiles of a spec, with what their filtering needs, for a filter of `taps` along H and W.

    `taps` may be more than the spec's, by as many on both sides. `work` says how many lines of its own `along` needs.
    """

    def __init__(
        self, spec: ConvSpec, resources: Resources, along: Callable[[int], Any], taps: Pair, work: int
    ) -> None:
        self.spec = spec
        lanes, pitch = lanes_of(spec.itemsize), lanes_of(spec.itemsize) * VECTORS
        self.taps = taps
        extents, more = (spec.h, spec.w), ((taps[0] - spec.r) // 2, (taps[1] - spec.s) // 2)
        padding = [(before + m, after + m) for (before, after), m in zip(spec.padding, more, strict=True)]
        rows, cols = (index_map(n, sides, spec.boundary) for n, sides in zip(extents, padding, strict=True))
        self.maps = np.append(rows, [OUTSIDE] * pitch), cols  # rows are taken by whole lines
        self.left = padding[1][0]
        self.steps = np.array((*spec.stride, *taps, *spec.dilation), np.int64)
        self.threads = resources.threads if spec.n * spec.k * spec.p * spec.q >= WORTH_A_THREAD else 1
        self.units = _tiles(spec, taps, self.threads, lanes, resources.tile_limit_bytes)
        threads = min(self.threads, len(self.units))
        seen_h, seen_w = (seen(spec, self.units, taps, axis) for axis in (0, 1))
        panels = -(-int((self.units[:, 5] - self.units[:, 4]).max()) // pitch)
        longest = int(max(seen_h.max(), seen_w.max())) + lanes * max(spec.stride)
        shapes = [(longest, pitch), (panels, int(seen_h.max()) + pitch, pitch), (work, pitch), (longest, pitch)]
        elements = threads * sum(int(np.prod(shape)) for shape in shapes)
        self.workspace_bytes = resources.reserve(elements * spec.itemsize + self.units.nbytes)
        self.buffers = [aligned_zeros((threads, *shape), spec.dtype) for shape in shapes]
        self.zeros = np.zeros(lanes, spec.dtype)
        self.shape = np.array(spec.x_shape[1:], np.int64)
        self.kernel = kernel(along(VECTORS), VECTORS)

    def compile(self, weights: Array, scales: Array) -> None:
        """Nothing to compute: the kernel is compiled, and does it."""
        x, y = (np.zeros((0, *shape[1:]), self.spec.dtype) for shape in (self.spec.x_shape, self.spec.y_shape))
        self._run(x, y, weights, scales, self.units[:0])

    def run(self, x: Array, y: Array, weights: Array, scales: Array) -> None:
        """y = Σ_c scales[k,c]·(the filter of lines that `weights` make, along both axes, of x's channel c)."""
        self._run(x, y, weights, scales, self.units)

    def _run(self, x: Array, y: Array, weights: Array, scales: Array, units: IndexMap) -> None:
        arguments = (x.reshape(-1), y, self.maps, self.left, self.shape, units, self.steps, weights, scales)
        run_on(self.threads, self.kernel, *arguments, self.zeros, *self.buffers)


def seen(spec: ConvSpec, units: IndexMap, taps: Pair, axis: int) -> IndexMap:
    """How many rows (axis 0) or columns each of `units` reads, for a filter of `taps`."""
    outputs = units[:, 3 + 2 * axis] - units[:, 2 + 2 * axis]
    return (outputs - 1) * spec.stride[axis] + (taps[axis] - 1) * spec.dilation[axis] + 1


def _tiles(spec: ConvSpec, taps: Pair, threads: int, lanes: int, limit_bytes: int) -> IndexMap:
    """Units of about TILE² outputs, or of more where a tile would read little but what its neighbours read too.

    They are as many for each thread, if that leaves them as high as the filter.
    """
    height, width = max(TILE, 4 * taps[0]), max(TILE, 2 * taps[1])
    while threads * height * width * spec.itemsize > limit_bytes and max(height, width) > lanes:
        height, width = (height // 2, width) if height > width else (height, width // 2)
    strips, bands = -(-spec.q // width), -(-spec.p // height)
    images = spec.n * spec.k * strips
    bands += -bands % (threads // gcd(images, threads))
    return output_units((spec.n, spec.k, spec.p, spec.q), min(bands, max(1, spec.p // lanes)), strips, lanes)


@cache
def kernel(along: Any, vectors: int) -> Any:
    """The convolution by `along(lines, outputs, taps, dilation, weights, work, sums)`, a `named` function.

    It sets sums[i] for i below `outputs` from lines[i] … lines[i + (taps − 1)·dilation], both [positions,width].
    """

    def one_tile(
        x: Array, channel: int, W: int, maps: tuple[IndexMap, IndexMap], left: int, tile: IndexMap, steps: IndexMap,
        weights: Array, scale: Any, y: Array, add: int, stream: int, zeros: Array, lines: Array, panels: Array,
        work: Array, sums: Array,
    ) -> None:  # fmt: skip
        u, v, R, S, dh, dw = steps
        p, height, q, width = tile[0], tile[1] - tile[0], tile[2], tile[3] - tile[2]
        lanes = lines.shape[1] // vectors
        pitch = lanes * vectors
        below, beside = (height - 1) * u + 1, (width - 1) * v + 1
        rows, columns = below + (R - 1) * dh, beside + (S - 1) * dw
        for top in range(0, rows, pitch):
            for part in range(vectors):
                some = lines[:, part * lanes : (part + 1) * lanes]
                fill_lines(
                    x, channel, maps[0], p * u + top + part * lanes, zeros, maps[1], left, W, q * v, columns, some
                )
            along(lines, beside, S, dw, weights, work, sums)
            for i in range(0, width, lanes):
                turn_lines(sums, i * v, v, panels, i, top, vectors)
        for panel in range((width + pitch - 1) // pitch):
            along(panels[panel], below, R, dh, weights, work, sums)
            for i in range(0, height, lanes):
                some_rows = min(lanes, height - i)
                write_lines(
                    sums, i * u, u, scale, y, p + i, q + panel * pitch, some_rows, width - panel * pitch, add, stream,
                    vectors,
                )  # fmt: skip

    one_tile.__qualname__ += f"_{along.py_func.__qualname__}"
    filter_tile = njit(nogil=True, cache=True, error_model="numpy")(named(one_tile, vectors))

    @njit(parallel=True, nogil=True, cache=True, error_model="numpy")
    def convolve(
        x: Array, y: Array, maps: tuple[IndexMap, IndexMap], left: int, shape: IndexMap, units: IndexMap,
        steps: IndexMap, weights: Array, scales: Array, zeros: Array, all_lines: Array, all_panels: Array,
        all_work: Array, all_sums: Array,
    ) -> None:  # fmt: skip
        C, H, W = shape
        K, Cg = scales.shape
        threads, total = len(all_lines), len(units)
        shift, stream = alignment(y)
        past_caches = int(stream and shift == 0 and Cg == 1)
        for thread in prange(threads):
            for i in range(thread * total // threads, (thread + 1) * total // threads):
                n, k = units[i, 0], units[i, 1]
                for c in range(Cg):
                    channel = (n * C + k // (K // (C // Cg)) * Cg + c) * H * W
                    filter_tile(
                        x, channel, W, maps, left, units[i, 2:], steps, weights, scales[k, c], y[n, k], int(c > 0),
                        past_caches, zeros, all_lines[thread], all_panels[thread], all_work[thread], all_sums[thread],
                    )  # fmt: skip

    return convolve
