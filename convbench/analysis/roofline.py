"""What no algorithm can pass on a machine, and where each came: Williams, Waterman & Patterson, CACM 52 (2009).

A cell's *intensity* is its operations over the bytes of its operands, each moved once. Direct-equivalent, operations
are those of direct sums, so that all contenders of a cell stand one above the other, and whoever needs fewer may stand
above the roof. By the operations that a contender really does it moves down and left, along the slope of the memory's
bandwidth, and nobody can pass but by data that lie in a cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from convbench.analysis.contenders import Contender, Contenders
from convbench.result import RunInfo
from convbench.spec import ConvSpec


@dataclass(frozen=True)
class Roof:
    """A machine's ceilings at a number of threads, or a device's: FLOP/s and bytes/s."""

    threads: int
    device: str
    flops_per_s: float
    bytes_per_s: float
    product_flops_per_s: float | None = None

    @property
    def ridge(self) -> float:
        """The intensity, in FLOP a byte, from which the arithmetic is the limit."""
        return self.flops_per_s / self.bytes_per_s

    def at(self, intensity: float) -> float:
        """The most FLOP/s at an intensity."""
        return min(self.flops_per_s, intensity * self.bytes_per_s)

    def least_s(self, spec: ConvSpec) -> float:
        """The least that direct sums could take: by their operations, or by reading x and w and writing y once."""
        return max(spec.direct_flops / self.flops_per_s, spec.minimal_bytes / self.bytes_per_s)


@dataclass(frozen=True)
class Spot:
    """A contender under its roof: (FLOP a byte, FLOP/s) by direct sums and, where it counts them, as it really does."""

    contender: Contender
    direct: tuple[float, float]
    actual: tuple[float, float] | None


def roof_of(info: RunInfo, contender: Contender) -> Roof | None:
    """The card's for what runs there, else that of as many threads; None in runs that measured none, and in float64."""
    if contender.cell.spec.dtype == "float64":
        return None  # they are measured in float32
    on_card = "cuda" in info.tags.get(contender.algorithm, ())
    for one in info.machine.get("ceilings", ()):
        if on_card != (one.get("device", "cpu") == "cpu") and (on_card or one["threads"] == contender.cell.threads):
            return _roof(one)
    return None


def _roof(one: Mapping[str, float]) -> Roof:
    return Roof(
        threads=int(one["threads"]),
        device=str(one.get("device", "cpu")),
        flops_per_s=one["multiply_add_flops_per_s"],
        bytes_per_s=one["copy_bytes_per_s"],
        product_flops_per_s=one.get("matrix_product_flops_per_s"),
    )


def spots(info: RunInfo, merged: Contenders) -> Iterator[tuple[Roof, Spot]]:
    """Every timed contender with its roof, in the run's order."""
    for one in merged.values():
        roof = roof_of(info, one)
        if one.time is None or roof is None:
            continue
        spec, counted = one.cell.spec, [block.operations for block in one.blocks if block.operations is not None]
        actual = _place(max(counted), spec, one.time.value) if counted else None
        yield roof, Spot(one, _place(spec.direct_flops, spec, one.time.value), actual)


def _place(operations: float, spec: ConvSpec, time_s: float) -> tuple[float, float]:
    return operations / spec.minimal_bytes, operations / time_s
