"""What no algorithm can pass on a machine, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from convbench.analysis.quantities import significant

HEAD: Final = ("threads or device", "multiply-adds, float32", "matrix product, float32", "copying, read and written")


def lines(ceilings: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """A line for each number of threads, and for a device; runs of before it was measured have no matrix product."""
    for one in ceilings:
        yield (
            f"{one['threads']}" if one.get("device", "cpu") == "cpu" else str(one["device"]),
            _rate(one.get("multiply_add_flops_per_s"), "GFLOP/s"),
            _rate(one.get("matrix_product_flops_per_s"), "GFLOP/s"),
            _rate(one.get("copy_bytes_per_s"), "GB/s"),
        )


def _rate(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{significant(value / 1e9)} {unit}"
