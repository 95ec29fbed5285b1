"""Convolution with a filter of low rank: for each of its terms one pass down the columns, one along the rows.

    y[p,q] = Σ_c Σ_t Σ_s row_t[s] · line[q·v + d·s],    line[j] = Σ_r column_t[r] · x[p·u + d·r, j]

R + S multiplications a term instead of R·S. The passes are fused: an output row needs one line of
W elements between them, which never leaves the first-level cache.
"""

from __future__ import annotations

from typing import Final, final

import numpy as np
from numba import njit, prange

from convbench.algorithm import Array, ConvPlan, PreparedConv, Resources, Unsupported
from convbench.boundary import OUTSIDE, IndexMap, index_map
from convbench.spec import ConvSpec
from convbench_algorithms.rank import Factors, factorise
from convbench_algorithms.taps import source_table, tap_offsets

FASTMATH: Final = {"contract", "reassoc", "nsz", "arcp"}  # NaN and Inf keep their meaning


@final
class FactoredPlan(ConvPlan):
    """The plan of `name`, for filters of rank ≤ `max_rank`."""

    def __init__(self, name: str, spec: ConvSpec, resources: Resources, max_rank: int) -> None:
        self.name = name
        self.spec = spec
        self.max_rank = max_rank
        sources = source_table(spec, 0)
        self.row_starts: IndexMap = sources * spec.w
        inside = sources != OUTSIDE  # [P,R]: for each p one run of taps, as padding is only above and below
        self.runs: IndexMap = np.stack([inside.argmax(axis=1), inside.argmax(axis=1) + inside.sum(axis=1)], axis=1)
        self.cols = index_map(spec.w, spec.padding[1], spec.boundary)
        # Split by phase, a line is read in order by every tap: j = q·v + o is element q + o//v of phase o%v.
        v = spec.stride[1]
        offsets = tap_offsets(spec, 1)
        self.pitch = -(-len(self.cols) // v)
        self.starts: IndexMap = offsets % v * self.pitch + offsets // v
        lines_bytes = 2 * resources.threads * self.pitch * v * spec.itemsize
        factors_bytes = spec.k * spec.c // spec.groups * max_rank * (spec.r + spec.s) * spec.itemsize
        self.workspace_bytes = resources.reserve(lines_bytes + factors_bytes + self.row_starts.nbytes)
        self.lines = np.zeros((resources.threads, 2, self.pitch * v), spec.dtype)
        self._compile()

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        """The factors of w [K,C/groups,R,S], unless they are too many."""
        if not np.isfinite(w).all():
            return Unsupported("the filter has values that are not finite, and so no rank")
        factors = factorise(w)
        if factors.rank > self.max_rank:
            return Unsupported(f"the filter has rank {factors.rank}; {self.name} needs {self._wanted}")
        return FactoredConv(self, factors)

    @property
    def _wanted(self) -> str:
        return "1" if self.max_rank == 1 else f"{self.max_rank} or less"

    def _compile(self) -> None:
        """An empty batch: the kernel is compiled and computes nothing."""
        spec = self.spec
        factors = [np.zeros((spec.k, spec.c // spec.groups, 1, taps), spec.dtype) for taps in (spec.r, spec.s)]
        x, y = (np.zeros((0, *shape[1:]), spec.dtype) for shape in (spec.x_shape, spec.y_shape))
        FactoredConv(self, Factors(*factors)).execute(x, y)


@final
class FactoredConv(PreparedConv):
    """A `FactoredPlan` with its factors."""

    def __init__(self, plan: FactoredPlan, factors: Factors) -> None:
        self.plan = plan
        self.factors = factors

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        plan, spec = self.plan, self.plan.spec
        _convolve(
            x.reshape(len(x), spec.c, spec.h * spec.w),
            y,
            self.factors.columns,
            self.factors.rows,
            plan.row_starts,
            plan.runs,
            plan.cols,
            (spec.padding[1][0], spec.w, spec.stride[1], plan.pitch),
            plan.starts,
            plan.lines,
        )


@njit(parallel=True, nogil=True, cache=True, fastmath=FASTMATH, error_model="numpy")
def _convolve(
    x: Array,
    y: Array,
    columns: Array,
    rows: Array,
    row_starts: IndexMap,
    runs: IndexMap,
    cols: IndexMap,
    width: tuple[int, int, int, int],
    starts: IndexMap,
    lines: Array,
) -> None:
    """Fill y [N,K,P,Q] from x [N,C,H·W]: each thread has a range of y's rows, and two of `lines`.

    Through `row_starts` [P,R] each tap of a column reads a row of x, but only the taps from runs[p,0] to runs[p,1];
    through `starts` [S] each tap of a row reads the phases of a line. `cols` [W'] maps to columns of x, and
    `width` is the padding at the left, W, the stride v and the pitch of a phase.
    """
    N, K, P, _ = y.shape
    _, Cg, rank, _ = columns.shape
    C = x.shape[1]
    left, W, v, pitch = width
    threads = len(lines)
    total = N * K * P
    for thread in prange(threads):
        line = lines[thread, 0]
        phases = lines[thread, 1]
        for nkp in range(thread * total // threads, (thread + 1) * total // threads):
            n = nkp // (K * P)
            k = nkp // P % K
            p = nkp % P
            first, last = runs[p]
            out = y[n, k, p]
            for c in range(Cg):
                image = x[n, k // (K // (C // Cg)) * Cg + c]
                for t in range(rank):
                    middle = line[left : left + W]
                    _sum_shifted(middle, image, row_starts[p, first:last], columns[k, c, t, first:last], False)
                    for col in range(left):
                        line[col] = 0 if cols[col] == OUTSIDE else middle[cols[col]]
                    for col in range(left + W, len(cols)):
                        line[col] = 0 if cols[col] == OUTSIDE else middle[cols[col]]
                    if v == 1:
                        _sum_shifted(out, line, starts, rows[k, c, t], c + t > 0)
                    else:
                        for phase in range(v):
                            for j in range(pitch):
                                phases[phase * pitch + j] = line[j * v + phase]
                        _sum_shifted(out, phases, starts, rows[k, c, t], c + t > 0)


@njit(nogil=True, cache=True, fastmath=FASTMATH, error_model="numpy")
def _sum_shifted(out: Array, source: Array, starts: IndexMap, taps: Array, add: bool) -> None:
    """out[i] = Σ_t taps[t]·source[starts[t] + i], added to what `out` holds if `add`.

    Eight taps at a time, so that `out` is loaded and stored seldom.
    """
    length = len(out)
    zero = out.dtype.type(0)
    if len(starts) == 0 and not add:
        for i in range(length):
            out[i] = zero
    t = 0
    while len(starts) - t >= 8:
        a, b, c, d = taps[t], taps[t + 1], taps[t + 2], taps[t + 3]
        e, f, g, h = taps[t + 4], taps[t + 5], taps[t + 6], taps[t + 7]
        sa, sb, sc, sd = source[starts[t] :], source[starts[t + 1] :], source[starts[t + 2] :], source[starts[t + 3] :]
        se, sf, sg = source[starts[t + 4] :], source[starts[t + 5] :], source[starts[t + 6] :]
        sh = source[starts[t + 7] :]
        for i in range(length):
            out[i] = (
                (out[i] if add else zero)
                + ((a * sa[i] + b * sb[i]) + (c * sc[i] + d * sd[i]))
                + ((e * se[i] + f * sf[i]) + (g * sg[i] + h * sh[i]))
            )
        t += 8
        add = True
    if len(starts) - t >= 4:
        a, b, c, d = taps[t], taps[t + 1], taps[t + 2], taps[t + 3]
        sa, sb, sc, sd = source[starts[t] :], source[starts[t + 1] :], source[starts[t + 2] :], source[starts[t + 3] :]
        for i in range(length):
            out[i] = (out[i] if add else zero) + ((a * sa[i] + b * sb[i]) + (c * sc[i] + d * sd[i]))
        t += 4
        add = True
    if len(starts) - t == 3:
        a, b, c = taps[t], taps[t + 1], taps[t + 2]
        sa, sb, sc = source[starts[t] :], source[starts[t + 1] :], source[starts[t + 2] :]
        for i in range(length):
            out[i] = (out[i] if add else zero) + (a * sa[i] + b * sb[i] + c * sc[i])
    elif len(starts) - t == 2:
        a, b = taps[t], taps[t + 1]
        sa, sb = source[starts[t] :], source[starts[t + 1] :]
        for i in range(length):
            out[i] = (out[i] if add else zero) + (a * sa[i] + b * sb[i])
    elif len(starts) - t == 1:
        a = taps[t]
        sa = source[starts[t] :]
        for i in range(length):
            out[i] = (out[i] if add else zero) + (a * sa[i])
