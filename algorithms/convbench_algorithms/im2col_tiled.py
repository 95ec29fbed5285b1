"""im2col in panels: the columns of some output pixels at a time, so that memory does not grow with the image.

The panels are the way of "Anatomy of High-Performance Many-Threaded Matrix Multiplication" (Smith et al. 2014) one
level up: BLAS blocks each product for the caches anyway, so a panel only has to survive from its gathering to its
product. Each thread works through its own panels, with a BLAS that keeps to one thread: then gathering scales as the
products do, and no thread of BLAS contends for a core with one of Numba that is still spinning.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Final, final

import numpy as np
from threadpoolctl import ThreadpoolController

from convbench.algorithm import (
    Array,
    ConvPlan,
    ErrorModel,
    MiB,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
    unsupported_dtype,
)
from convbench.spec import ConvSpec
from convbench_algorithms.backward import ForwardAlgorithm
from convbench_algorithms.columns import Columns

# Gathering writes T·L elements once and BLAS reads them once to pack them, for 2·K·T·L FLOP, whatever L is; W, which
# has K·T, is packed anew for every panel. So cost per pixel falls as 1/L, until the panel leaves the core's share of
# the last-level cache and the T·L elements travel through memory. A larger panel than that gains nothing.
PANEL_BYTES: Final = 4 * MiB


@final
class Im2colTiled(ForwardAlgorithm):
    """One BLAS product for each panel of output pixels, each as large as cache and `tile_limit_bytes` allow."""

    name = "im2col_tiled"
    tags = frozenset({"cpu", "gemm"})

    def supports_forward(self, spec: ConvSpec) -> Unsupported | None:
        """See `ForwardAlgorithm`."""
        return unsupported_dtype(spec)

    def forward_error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ForwardAlgorithm`."""
        return summation_error(spec)

    def plan_forward(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ForwardAlgorithm`."""
        return _PanelPlan(spec, resources)


@final
class _PanelPlan(ConvPlan):
    def __init__(self, spec: ConvSpec, resources: Resources) -> None:
        self.columns = Columns(spec)
        self.groups = spec.groups
        self.threads = resources.threads
        pixels = spec.p * spec.q
        taps = math.prod(spec.w_shape[1:])
        column_bytes = taps * spec.itemsize
        panels = -(-pixels // max(min(PANEL_BYTES, resources.tile_limit_bytes // self.threads) // column_bytes, 1))
        if spec.n * spec.groups < self.threads:
            panels = -(-panels // self.threads) * self.threads  # the same number for every thread
        width = -(-pixels // panels)
        self.jobs = [
            (n, g, start, min(width, pixels - start))
            for n, g in np.ndindex(spec.n, spec.groups)
            for start in range(0, pixels, width)
        ]
        self.workspace_bytes = resources.reserve(self.columns.nbytes + self.threads * width * column_bytes)
        self.buffers = np.empty((self.threads, taps * width), spec.dtype)
        self.others = ThreadPoolExecutor(self.threads - 1) if self.threads > 1 else None
        self.blas = ThreadpoolController().select(user_api="blas")

    def prepare(self, w: Array) -> PreparedConv:
        return _PanelConv(self, w.reshape(self.groups, len(w) // self.groups, -1).copy())


@final
class _PanelConv(PreparedConv):
    def __init__(self, plan: _PanelPlan, w: Array) -> None:
        self.plan = plan
        self.w = w  # [G,K/G,C/G·R·S]

    def execute(self, x: Array, y: Array) -> None:
        if self.plan.others is None:
            self._work(0, x, y)
            return
        with self.plan.blas.limit(limits=1):
            working = [self.plan.others.submit(self._work, thread, x, y) for thread in range(1, self.plan.threads)]
            self._work(0, x, y)
            for work in working:
                work.result()

    def _work(self, thread: int, x: Array, y: Array) -> None:
        N, C, H, W = x.shape
        _, K, P, Q = y.shape
        G = self.plan.groups
        taps = self.w.shape[2]
        images = x.reshape(N, G, C // G, H, W)
        outputs = y.reshape(N, G, K // G, P * Q)
        for n, g, start, width in self.plan.jobs[thread :: self.plan.threads]:
            panel = self.plan.buffers[thread, : taps * width].reshape(taps, width)
            self.plan.columns.gather_alone(images[n, g], panel, start)
            # BLAS writes rows of P·Q elements as they lie: no copy of the result is made.
            np.matmul(self.w[g], panel, out=outputs[n, g, :, start : start + width])
