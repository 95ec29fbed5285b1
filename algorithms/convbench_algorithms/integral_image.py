"""A filter of one value through a table of sums: four look-ups an output, whatever the window holds.

    I[h,w] = Σ x[i,j] over i < h, j < w        y[p,q] = w·(I[b,r] − I[b,l] − I[a,r] + I[a,l]),  b = a + R, r = l + S

Crow, "Summed-Area Tables for Texture Mapping" (SIGGRAPH 1984); Viola & Jones, "Rapid Object Detection using a Boosted
Cascade of Simple Features" (CVPR 2001), who named it. The table is in float64, since differences of its large entries
are what counts. Each band of outputs has a table of its own, which begins with the band: threads need not wait for each
other's sums, and a table that stays in a cache is not written to memory. The textbook has one for the image.
"""

from __future__ import annotations

from math import gcd
from typing import ClassVar, Final, final

import numpy as np
from numba import njit, prange

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    unit_roundoff,
    unsupported_dtype,
)
from convbench.boundary import IndexMap, index_maps
from convbench.spec import ConvSpec
from convbench_algorithms.aligned import aligned_zeros
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.box_filter import unless_box, unless_constant
from convbench_algorithms.short_strips import pad
from convbench_algorithms.table_rows import add_row, look_up
from convbench_algorithms.thread_use import run_on
from convbench_algorithms.two_passes import WORTH_A_THREAD
from convbench_algorithms.units import output_units

TABLE_BYTES: Final = 2**22
"""Of one table, if that leaves a band four times as high as the filter."""
ROOM: Final = 16
"""Elements behind each row, for vectors."""


@final
class IntegralImage(ForwardAlgorithm):
    """The textbook's summed-area table, in float64: a band of the image at a time."""

    name: ClassVar[str] = "integral_image"
    tags: ClassVar[frozenset[str]] = frozenset({"cpu", "box", "textbook"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """Boxes without gaps, neither in them nor between them."""
        if unsupported := unsupported_dtype(spec) or unless_box(spec):
            return unsupported
        if spec.dilation != (1, 1):
            return Unsupported("a table has the sums of areas without gaps: needs dilation 1")
        if spec.stride[0] > spec.r or spec.stride[1] > spec.s:
            return Unsupported(
                "what no window sees would enter the sums with its rounding: needs strides within R and S"
            )
        return None

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """Normwise, and growing with the image: each look-up carries the rounding of all that lies above and left.

        |e| ≤ |w|·4γ̃·Σ|x| over the table, and Σ|x| ≤ √(its size)·‖x‖₂, while ‖s‖₂ ≥ |w|·‖x‖₂, as each x is seen:
        ‖e‖₂/‖s‖₂ ≤ 4γ̃·√(P·Q·size), with γ̃ of as many additions as the table has rows and columns (Higham & Mary 2019,
        λ = 10), in float64. Sums over channels add theirs, and y is rounded once more.
        """
        rows, columns = table_extent(spec)
        Cg = spec.c // spec.groups
        roots = 10 * np.sqrt(rows + columns + 4)
        bound = 4 * roots * unit_roundoff("float64") * float(np.sqrt(spec.p * spec.q * rows * columns))
        bound += 10 * float(np.sqrt(Cg + 2)) * unit_roundoff(spec.dtype)
        return ErrorModel("normwise", bound, "Higham & Mary 2019 for the table's sums, Cauchy & Schwarz for their size")

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """A table and a line for each thread."""
        return _IntegralPlan(spec, resources)


def table_extent(spec: ConvSpec) -> tuple[int, int]:
    """Rows and columns of the padded x that windows see."""
    return (spec.p - 1) * spec.stride[0] + spec.r, (spec.q - 1) * spec.stride[1] + spec.s


@final
class _IntegralPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.spec = spec
        self.maps = index_maps(spec)
        self.threads = resources.threads if spec.n * spec.k * spec.p * spec.q >= WORTH_A_THREAD else 1
        columns = table_extent(spec)[1]
        rows = max(min(TABLE_BYTES, resources.tile_limit_bytes) // (8 * columns * spec.stride[0]), 4 * spec.r)
        bands = -(-spec.p // rows)
        bands += -bands % (self.threads // gcd(spec.n * spec.groups, self.threads))
        self.units = output_units((spec.n, spec.groups, spec.p, spec.q), bands, 1, 1)
        height = int((self.units[:, 3] - self.units[:, 2]).max())
        rows = (height - 1) * spec.stride[0] + spec.r
        threads = min(self.threads, len(self.units))
        self.geometry = np.array((*spec.x_shape[1:], spec.padding[1][0], *spec.stride, spec.r, spec.s), np.int64)
        table, line = (threads, rows + 1, columns + 1 + ROOM), (threads, 1, columns + ROOM)
        nbytes = 8 * int(np.prod(table)) + spec.itemsize * int(np.prod(line))
        self.workspace_bytes = resources.reserve(nbytes + self.units.nbytes)
        self.tables, self.lines = aligned_zeros(table, np.float64), aligned_zeros(line, spec.dtype)
        x, y = (np.zeros((0, *shape[1:]), spec.dtype) for shape in (spec.x_shape, spec.y_shape))
        self.run(x, y, np.zeros((spec.k, spec.c // spec.groups), spec.dtype), self.units[:0])

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        return unless_constant(w) or _IntegralConv(self, w[:, :, 0, 0].copy())

    def run(self, x: Array, y: Array, scales: Array, units: IndexMap) -> None:
        """Those outputs that `units` name."""
        arguments = (x.reshape(-1), y, scales, *self.maps, self.geometry, units, self.lines, self.tables)
        run_on(self.threads, _convolve, *arguments)


@final
class _IntegralConv(PreparedConv):
    def __init__(self, plan: _IntegralPlan, scales: Array) -> None:
        self.plan = plan
        self.scales = scales
        spec, units = plan.spec, plan.units
        rows = (units[:, 3] - units[:, 2] - 1) * spec.stride[0] + spec.r
        table = 2 * int(rows.sum()) * table_extent(spec)[1] * (spec.c // spec.groups)
        self.operations = table + spec.n * spec.k * spec.p * spec.q * (5 * (spec.c // spec.groups) - 1)

    def execute(self, x: Array, y: Array) -> None:
        self.plan.run(x, y, self.scales, self.plan.units)


@njit(parallel=True, nogil=True, cache=True, error_model="numpy")
def _convolve(
    x: Array, y: Array, scales: Array, row_map: IndexMap, col_map: IndexMap, geometry: IndexMap, units: IndexMap,
    lines: Array, tables: Array,
) -> None:  # fmt: skip
    C, H, W, left, u, v, R, S = geometry
    K, Cg = scales.shape
    Q = y.shape[3]
    columns = (Q - 1) * v + S
    threads, total = len(tables), len(units)
    for thread in prange(threads):
        table, line = tables[thread], lines[thread]
        for i in range(thread * total // threads, (thread + 1) * total // threads):
            n, group, p_first, p_last = units[i, 0], units[i, 1], units[i, 2], units[i, 3]
            per_group = K // (C // Cg)
            for c in range(Cg):
                channel = (n * C + group * Cg + c) * H * W
                for row in range((p_last - p_first - 1) * u + R):
                    pad(x, channel, W, row_map, p_first * u + row, 1, col_map, left, 0, columns, line)
                    add_row(table, row, line, columns)
                for k in range(group * per_group, (group + 1) * per_group):
                    for p in range(p_first, p_last):
                        look_up(table, (p - p_first) * u, R, S, v, scales[k, c], y[n, k, p], int(c > 0))
