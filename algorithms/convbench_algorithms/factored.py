"""Convolution with a filter of low rank: for each of its terms one pass along the rows, one down the columns.

    y[p,q] = Σ_c Σ_t Σ_r column_t[r] · line[p·u + d·r, q],    line[h,q] = Σ_s row_t[s] · x[h, q·v + d·s]

R + S multiplications a term instead of R·S. The passes are fused strip by strip: see `strips`.
"""

from __future__ import annotations

from math import gcd
from typing import Final, final

import numpy as np

from convbench.algorithm import Array, ConvPlan, PreparedConv, Resources, Unsupported
from convbench.boundary import OUTSIDE, IndexMap, index_maps
from convbench.spec import ConvSpec
from convbench.staged import StagedConv, Stages
from convbench_algorithms.aligned import aligned_zeros
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.kernel_clock import CLOCK, stages_of
from convbench_algorithms.operations import factored_operations
from convbench_algorithms.rank import Factors, factorise
from convbench_algorithms.short_strips import EDGE, ZEROS, band_rows, short_kernel
from convbench_algorithms.short_sums import is_short
from convbench_algorithms.strips import BATCH, kernel
from convbench_algorithms.tap_sums import GROUP
from convbench_algorithms.units import output_units

WINDOW_BYTES: Final = 2**19
"""Of one thread's window: half of a usual second-level cache."""
LEAST_COLUMNS: Final = 128
"""Of a strip: the columns that its ends share with the next are read twice."""
STAGES: Final = ("fill lines", "horizontal pass", "vertical pass")
"""Of a strip; short filters make both passes in registers."""
APART_BYTES: Final = 2**12
"""Between the buffers of two threads: a core fetches ahead, and takes from the other what it writes there."""


@final
class FactoredPlan(ConvPlan):
    """The plan of `name`, for filters of rank ≤ `max_rank`."""

    def __init__(self, name: str, spec: ConvSpec, resources: Resources, max_rank: int) -> None:
        self.name = name
        self.spec = spec
        self.max_rank = max_rank
        lanes = lanes_of(spec.itemsize)
        row_map, col_map = index_maps(spec)
        self.maps = np.append(row_map, [OUTSIDE] * lanes), col_map  # rows are taken by whole vectors
        (u, v), (extent_h, extent_w) = spec.stride, spec.filter_extent
        self.short = short = spec.stride == spec.dilation == (1, 1) and is_short(spec.r, spec.s)
        bands = resources.threads // gcd(spec.n * spec.k, resources.threads)
        window = (BATCH - 1) * u + extent_h + lanes
        width = min(WINDOW_BYTES, resources.tile_limit_bytes) // (window * spec.itemsize * max_rank)
        self.units = (
            output_units(spec.y_shape, bands, 1, lanes) if short else _strips(spec, resources.threads, lanes, width)
        )
        threads = min(resources.threads, len(self.units))
        shapes: list[tuple[int, ...]]
        if short:
            band = band_rows(spec.r, spec.s, spec.w * spec.itemsize)
            shapes = [(band + spec.r - 1, (EDGE + -(-spec.s // lanes)) * lanes)]
            self.kernel = short_kernel(spec.r, spec.s)
        else:
            panels = -(-int((self.units[:, 5] - self.units[:, 4]).max()) // lanes) + 1
            apart = APART_BYTES // (lanes * spec.itemsize)
            shapes = [
                (panels * lanes * v + extent_w + lanes + apart, lanes),
                (max_rank, panels + -(-apart // window), window, lanes),
            ]
            self.kernel = kernel(u, v)
        factors = spec.k * spec.c // spec.groups * max_rank * (spec.r + spec.s)
        elements = threads * sum(int(np.prod(shape)) for shape in shapes) + factors
        self.workspace_bytes = resources.reserve(elements * spec.itemsize + self.units.nbytes)
        self.buffers = [aligned_zeros((threads, *shape), spec.dtype) for shape in shapes]
        self.buffers.insert(0, np.zeros(ZEROS, spec.dtype))
        if short:
            self.buffers.insert(0, np.arange(shapes[0][0]))
        self.spent = np.zeros((threads, len(STAGES)), np.int64)
        self._compile()

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        """The factors of w [K,C/groups,R,S], unless they are too many."""
        if not np.isfinite(w).all():
            return Unsupported("the filter has values that are not finite, and so no rank")
        factors = factorise(w)
        if factors.rank > self.max_rank:
            return Unsupported(f"the filter has rank {factors.rank}; {self.name} needs {self._wanted}")
        conv = FactoredConv(self, factors)
        return conv if self.short else StagedFactoredConv(conv)

    @property
    def _wanted(self) -> str:
        return "1" if self.max_rank == 1 else f"{self.max_rank} or less"

    def _compile(self) -> None:
        """Nothing to compute: the kernel is compiled, and does it."""
        spec = self.spec
        factors = [np.zeros((spec.k, spec.c // spec.groups, 1, taps), spec.dtype) for taps in (spec.r, spec.s)]
        x, y = (np.zeros((0, *shape[1:]), spec.dtype) for shape in (spec.x_shape, spec.y_shape))
        FactoredConv(self, Factors(*factors)).compute(x, y, self.units[:0])


@final
class FactoredConv(PreparedConv):
    """A `FactoredPlan` with its factors."""

    def __init__(self, plan: FactoredPlan, factors: Factors) -> None:
        self.plan = plan
        order = -1 if plan.spec.flip else 1
        self.columns, self.rows = (
            np.ascontiguousarray(factor[..., ::order]) for factor in (factors.columns, factors.rows)
        )
        spec = plan.spec
        self.operations = factored_operations(spec, factors.rank)
        self.pairs: list[IndexMap] = []
        mirrored = all((factor == factor[..., ::-1]).all() for factor in (self.columns, self.rows))
        self.geometry = np.array((spec.padding[1][0], spec.c, spec.h, spec.w, mirrored, *spec.dilation), np.int64)
        if not plan.short:
            for factor, step, dilation in zip((self.columns, self.rows), spec.stride, spec.dilation, strict=True):
                self.pairs.append(_mirrored_taps(factor) * (step == dilation == 1))

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        self.compute(x, y, self.plan.units)

    def compute(self, x: Array, y: Array, units: IndexMap, clock: int = 0) -> None:
        """Those outputs that `units` name. With a `clock`, the plan's `spent` gets what the stages of strips took."""
        plan = self.plan
        watch = () if plan.short else (clock, plan.spent)
        plan.kernel(
            x.reshape(-1), y, self.columns, self.rows, *plan.maps, self.geometry, units, *self.pairs, *plan.buffers,
            *watch,
        )  # fmt: skip


@final
class StagedFactoredConv(StagedConv):
    """A `FactoredConv` of strips."""

    def __init__(self, conv: FactoredConv) -> None:
        self.conv = conv
        self.operations = conv.operations

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        self.conv.execute(x, y)

    def execute_staged(self, x: Array, y: Array) -> Stages:
        """See `StagedConv`."""
        plan = self.conv.plan
        plan.spent.fill(0)
        self.conv.compute(x, y, plan.units, CLOCK)
        return stages_of(STAGES, plan.spent)


def _mirrored_taps(factor: Array) -> IndexMap:
    """How many weights of each term […,taps] are summed with their mirror images: whole groups of them, or none."""
    mirrored = (factor == factor[..., ::-1]).all(axis=-1)
    return np.where(mirrored, factor.shape[-1] // 2 // GROUP * GROUP, 0)


def _strips(spec: ConvSpec, threads: int, lanes: int, columns: int) -> IndexMap:
    """Units of about `columns`, in bands of rows for every thread to have one; of fewer where bands would be low.

    Bands share no line of x or y but at their ends, at the price of filtering the rows between them twice.
    """
    images = spec.n * spec.k
    bands = max(1, min(threads // gcd(images, threads), spec.p // spec.filter_extent[0]))
    strips = max(-(-spec.q // max(columns, LEAST_COLUMNS)), -(-threads // (images * bands)))
    return output_units(spec.y_shape, bands, min(-(-spec.q // lanes), strips), lanes)
