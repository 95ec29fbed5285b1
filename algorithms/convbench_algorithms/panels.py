"""Products of packed weights and the columns of an image, a panel of pixels at a time.

A panel is gathered by the thread that multiplies it, stays in its second-level cache, and is what the kernels read: no
matrix of all columns, and nothing packed twice. Where the image itself is the matrix of columns, nothing is gathered.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Final, final

import numpy as np
from numba import njit, prange

from convbench.algorithm import Array, ConvPlan, MiB, PreparedConv, Resources
from convbench.boundary import IndexMap
from convbench.spec import ConvSpec
from convbench.staged import StagedConv, Stages
from convbench_algorithms.blocking import Blocking, Jobs, Part, best_blocking, largest_part
from convbench_algorithms.columns import Columns, gather_alone
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.kernel_clock import CLOCK, lapped, now_ns, stages_of
from convbench_algorithms.product import multiply, sums_length

KiB: Final = 2**10
PANEL_BYTES: Final = 512 * KiB
"""Half of the second-level cache of recent server cores; the rest is for the weights that stream past."""

PAGE_BYTES: Final = 4096
WORST_CONFLICT: Final = 1024
"""Rows that lie a multiple of this apart fall on a few sets of the first-level cache, and evict each other."""

PAST_CACHES_BYTES: Final = 4 * MiB
"""A y of this size is written past the caches: bringing its lines in first costs more than a sum of 27 products."""


class PackedPlan(ConvPlan):
    """A convolution as products of packed weights, cut into `jobs` by `blocking`."""

    spec: ConvSpec
    groups: int
    blocking: Blocking
    jobs: Jobs
    stages: tuple[str, ...]
    """What each job does."""
    spent: Array
    """[threads,stages]: see `kernel_clock`."""

    @abstractmethod
    def run(self, W: Array, x: Array, y: Array, jobs: Jobs, clock: int = 0) -> None:
        """Y = W ⋆ x for all of `jobs`; W [G,·] packed. With a `clock`, `spent` gets what each stage took."""

    def prepare(self, w: Array) -> PreparedConv:
        """See `ConvPlan`."""
        W = self.blocking.packed(w.reshape(self.groups, len(w) // self.groups, -1))
        return StagedPackedConv(self, W) if len(self.stages) > 1 else PackedConv(self, W)


@final
class PackedConv(PreparedConv):
    """A `PackedPlan` with its weights."""

    def __init__(self, plan: PackedPlan, W: Array) -> None:
        self.plan = plan
        self.operations = plan.spec.direct_flops
        self.W = W

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        self.plan.run(self.W, x, y, self.plan.jobs)


@final
class StagedPackedConv(StagedConv):
    """The same, where each job first brings its pixels into the layout of the product."""

    def __init__(self, plan: PackedPlan, W: Array) -> None:
        self.plan = plan
        self.operations = plan.spec.direct_flops
        self.W = W

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        self.plan.run(self.W, x, y, self.plan.jobs)

    def execute_staged(self, x: Array, y: Array) -> Stages:
        """See `StagedConv`."""
        self.plan.spent.fill(0)
        self.plan.run(self.W, x, y, self.plan.jobs, CLOCK)
        return stages_of(self.plan.stages, self.plan.spent)


@final
class PanelPlan(PackedPlan):
    """A convolution as products; `in_place` where each channel of x is a row of columns as it lies."""

    def __init__(self, spec: ConvSpec, resources: Resources, *, in_place: bool) -> None:
        self.spec = spec
        self.past_caches = writes_past_caches(spec)
        self.groups = spec.groups
        self.in_place = in_place
        self.stages = ("product",) if in_place else ("gather columns", "product")
        self.spent = np.zeros((resources.threads, 2), np.int64)
        T, pixels, size = math.prod(spec.w_shape[1:]), spec.p * spec.q, spec.itemsize
        lanes = lanes_of(size)

        def part(parts: int, wide: bool) -> Part:
            length = largest_part(pixels, parts, 1 if wide else lanes)
            return 1, length, 0 if in_place else T * length

        most_pixels = max(panel_bytes(resources) // (T * size), lanes)
        self.blocking = best_blocking(
            spec.n * spec.groups, spec.k // spec.groups, T, resources.threads, size, -(-pixels // most_pixels), part
        )
        edges = self.blocking.pixel_edges(pixels, size)
        self.jobs = self.blocking.jobs(spec.n * spec.groups, edges, size)
        # An odd number of vectors, so that the rows of a panel spread over all sets of the cache.
        pitch = 0 if in_place else (-(-int(max(np.diff(edges))) // lanes) | 1) * lanes
        self.starts = np.arange(T, dtype=np.int64) * (pixels if in_place else pitch)
        self.columns = Columns(spec)
        elements = (T * pitch, sums_length(size))
        self.workspace_bytes = resources.reserve(self.columns.nbytes + resources.threads * sum(elements) * size)
        self.panels, self.sums = (np.zeros((resources.threads, count), spec.dtype) for count in elements)
        nothing = np.empty((0, *spec.x_shape[1:]), spec.dtype), np.empty((0, *spec.y_shape[1:]), spec.dtype)
        self.run(np.empty((self.groups, 0), spec.dtype), *nothing, self.jobs[:0])  # compiles

    def run(self, W: Array, x: Array, y: Array, jobs: Jobs, clock: int = 0) -> None:
        """See `PackedPlan`."""
        N, C, H, width = x.shape
        _, K, P, Q = y.shape
        G, columns = self.groups, self.columns
        images = x.reshape(N * G, C // G, H, width)
        outputs = y.reshape(N * G, K // G, 1, P * Q)
        tables = (columns.rows, columns.cols, columns.inside)
        _multiply_panels(
            W,
            images,
            outputs,
            jobs,
            self.blocking.wide,
            self.starts,
            self.in_place,
            *tables,
            columns.stride,
            self.panels,
            self.sums,
            self.past_caches,
            clock,
            self.spent,
        )


def panel_bytes(resources: Resources) -> int:
    """What a thread's copy of some pixels should take at most."""
    return min(PANEL_BYTES, resources.tile_limit_bytes // resources.threads)


def writes_past_caches(spec: ConvSpec) -> bool:
    """Whether y is too long to be kept in a cache, and the first elements of all channels lie alike in their lines."""
    return (
        math.prod(spec.y_shape) * spec.itemsize >= PAST_CACHES_BYTES and spec.p * spec.q % lanes_of(spec.itemsize) == 0
    )


def conflict(step_bytes: int) -> int:
    """How much rows `step_bytes` apart evict each other from the first-level cache: 1 … PAGE_BYTES."""
    return math.gcd(step_bytes, PAGE_BYTES)


@njit(parallel=True, nogil=True, cache=True)
def _multiply_panels(
    W: Array,
    images: Array,
    Y: Array,
    jobs: Jobs,
    wide: bool,
    starts: IndexMap,
    in_place: bool,
    rows: IndexMap,
    cols: IndexMap,
    inside: IndexMap,
    stride: int,
    panels: Array,
    sums: Array,
    past_caches: bool,
    clock: int,
    spent: Array,
) -> None:
    """Y [N·G,K/G,1,P·Q] of images [N·G,C/G,H,W]; a panel, `sums` and, with a clock, `spent` for each thread."""
    threads = len(panels)
    T = len(starts)
    for thread in prange(threads):
        panel = panels[thread]
        at = now_ns(clock) if clock else 0
        for job in range(thread * len(jobs) // threads, (thread + 1) * len(jobs) // threads):
            image, k, k_end, left, right = jobs[job]
            weights = W[image % len(W), k * T :]
            target = Y[image, k:k_end, :, left:right]
            if in_place:
                source = images[image].reshape(-1)[left:]
                multiply(wide, weights, source, starts, 0, target, sums[thread], past_caches)
            else:
                columns = panel.reshape(T, len(panel) // T)[:, : right - left]
                gather_alone(images[image], columns, left, rows, cols, inside, stride)
                if clock:
                    at = lapped(clock, at, spent[thread], 0)
                multiply(wide, weights, panel, starts, 0, target, sums[thread], past_caches)
                if clock:
                    at = lapped(clock, at, spent[thread], 1)
