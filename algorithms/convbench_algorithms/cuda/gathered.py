"""A product whose columns are gathered as they are needed: what is common to the kernels that do so.

x may be copied first, with its padding written out; sums that were split are added last.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import prod
from typing import Final, final

import numpy as np
from numpy import int32, int64

from convbench.algorithm import Array, ConvPlan, PreparedConv, Resources, Unsupported
from convbench.spec import ConvSpec
from convbench_algorithms.backward import unsupported_direction
from convbench_algorithms.cuda.device import TYPES, DeviceArray, Kernel, Triple, current, unsupported_by_card
from convbench_algorithms.cuda.geometry import MOST_PLANES, Geometry

VECTOR_BYTES: Final = 16
"""Of the largest load, which is a chunk of channels."""
MOST: Final = 2**31 - 2**16
"""Of what is counted in 32 bits, beside a tile's worth."""
SUM_THREADS: Final = 256
COPY_BLOCK: Final = (32, 8, 1)


@dataclass(frozen=True)
class PaddedCopy:
    """x with its padding written out, and the launch that writes it."""

    shape: tuple[int, ...]
    dtype: str
    kernel: Kernel
    grid: Triple
    shared_bytes: int
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Product:
    """The launch of a product: its table of taps, the sizes it is told, the parts in which it leaves its sums."""

    kernel: Kernel
    grid: Triple
    threads: int
    shared_bytes: int
    table: Array
    sizes: tuple[int, ...]
    splits: int
    filter_bytes: int


def unsupported_gathering(spec: ConvSpec) -> Unsupported | None:
    """The reason of both products: groups beyond a grid, a direction, more positions or places than 32 bits count."""
    if spec.groups > MOST_PLANES:
        return Unsupported(f"needs at most {MOST_PLANES:,} groups")
    if unsupported := unsupported_direction(spec):
        return unsupported
    g = Geometry.of(spec)
    area, lanes = len(g.rows) * len(g.cols), VECTOR_BYTES // g.itemsize
    chunks = g.groups * -(-g.channels // lanes)
    if max(g.n * g.p * g.q, g.c * area, g.n * chunks * area, g.n * g.c * len(g.rows)) > MOST:
        return Unsupported("counts positions and places in 32 bits, and here they are more")
    return unsupported_by_card(spec.dtype)


class GatheredPlan(ConvPlan):
    """`[K/G, T] · [T, N·P·Q]` for each group. Subclasses lay the filter out."""

    def __init__(self, spec: ConvSpec, resources: Resources, product: Product, copy: PaddedCopy | None) -> None:
        self.spec = spec
        self.geometry = g = Geometry.of(spec)
        self.product, self.copy = product, copy
        size = g.n * g.k * g.p * g.q
        parts = product.splits * size if product.splits > 1 else 0
        copied_bytes = 0 if copy is None else prod(copy.shape) * np.dtype(copy.dtype).itemsize + g.map_bytes
        held = copied_bytes + parts * g.computed_bytes + product.table.nbytes + product.filter_bytes
        self.workspace_bytes = resources.reserve(held)
        self.device = device = current()
        self.table = device.upload(product.table)
        self.function = device.compile(product.kernel)
        self.sizes = tuple(map(int32, product.sizes))
        if copy is not None:
            self.copied = device.empty(copy.shape, copy.dtype)
            self.copying = device.compile(copy.kernel)
            self.copy_arguments = (device.upload(g.rows), device.upload(g.cols), *map(int32, copy.sizes))
        if parts:
            self.parts = device.empty((parts,), g.computed)
            self.sum = device.compile(Kernel.of("splits.cu", "sum_splits", **TYPES[g.dtype], SPLITS=product.splits))
            self.sum_grid, self.size = (-(-size // SUM_THREADS), 1, 1), int64(size)

    @abstractmethod
    def filters(self, w: Array) -> Array:
        """The filter as the kernel reads it."""

    def prepare(self, w: Array) -> PreparedConv:
        """See `ConvPlan`."""
        return _Gathered(self, self.device.upload(np.ascontiguousarray(self.filters(w))))


@final
class _Gathered(PreparedConv):
    def __init__(self, plan: GatheredPlan, filters: DeviceArray) -> None:
        self.plan = plan
        self.filters = filters

    def execute(self, x: DeviceArray, y: DeviceArray) -> None:
        plan, product, copy = self.plan, self.plan.product, self.plan.copy
        split = product.splits > 1
        if copy is not None:
            plan.copying(copy.grid, COPY_BLOCK, (x, plan.copied, *plan.copy_arguments), copy.shared_bytes)
        arguments = (
            x if copy is None else plan.copied,
            self.filters,
            plan.parts if split else y,
            plan.table,
            *plan.sizes,
        )
        plan.function(product.grid, (product.threads, 1, 1), arguments, product.shared_bytes)
        if split:
            plan.sum(plan.sum_grid, (SUM_THREADS, 1, 1), (plan.parts, y, plan.size))
