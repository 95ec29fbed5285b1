"""What a convolution costs before anything is timed: shapes, parameters, work, memory, receptive field."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from convbench.result import Cell
from convbench.spec import ConvSpec, receptive_field


class Fact(NamedTuple):
    """One line of a description."""

    label: str
    value: str


class SpecSummary(NamedTuple):
    """One distinct spec of a suite, as numbers; `cells` is at how many thread counts it is measured."""

    spec: str
    name: str
    weight: float
    cells: int
    y_shape: tuple[int, int, int, int]
    parameters: int
    direct_flops: int
    minimal_bytes: int
    flops_per_byte: float
    columns_bytes: int


def describe_spec(spec: ConvSpec) -> tuple[Fact, ...]:
    """The figures of one convolution, in the order in which one would work them out."""
    rows, columns = spec.columns_shape
    columns_elements = spec.n * rows * columns
    times = columns_elements / math.prod(spec.x_shape)
    return (
        Fact("spec", spec.id),
        Fact("x [N,C,H,W]", _shape(spec.x_shape)),
        Fact("w [K,C/groups,R,S]", _shape(spec.w_shape)),
        Fact("y [N,K,P,Q]", f"{_shape(spec.y_shape)} = {math.prod(spec.y_shape):,} outputs"),
        Fact("computes", f"{spec.direction}: {_shape(spec.output_shape)}"),
        Fact("padded extent", _extent(spec.padded_extent)),
        Fact("stride divides evenly", "yes" if spec.divides_evenly else "no: the last rows or columns are left out"),
        Fact("receptive field", _extent((_field(spec, 0), _field(spec, 1)))),
        Fact("parameters", f"{spec.parameters:,} weights, {spec.parameters + spec.k:,} with biases"),
        Fact("multiply-adds", f"{spec.direct_flops // 2:,}"),
        Fact("direct FLOPs", f"{spec.direct_flops:,}"),
        Fact("minimal traffic", f"{size(spec.minimal_bytes)} (x, w and y once each)"),
        Fact("arithmetic intensity", f"{spec.direct_flops / spec.minimal_bytes:,.1f} FLOP/byte"),
        Fact(
            "im2col columns [CRS × PQ]",
            f"{rows:,} × {columns:,} an image, {size(columns_elements * spec.itemsize)} in all, "
            f"{times:,.1f} times the image",
        ),
    )


def describe_cells(cells: Iterable[Cell]) -> tuple[SpecSummary, ...]:
    """One row for each distinct spec, in the cells' order."""
    by_spec: dict[ConvSpec, list[Cell]] = {}
    for cell in cells:
        by_spec.setdefault(cell.spec, []).append(cell)
    return tuple(_summary(spec, same) for spec, same in by_spec.items())


def size(count_bytes: int) -> str:
    """Bytes for people: `4.2 MiB`."""
    unit, name = max((u for u in _UNITS if u[0] <= max(count_bytes, 1)), key=lambda u: u[0])
    return f"{count_bytes:,} B" if unit == 1 else f"{count_bytes / unit:,.1f} {name}"


_UNITS = tuple((2 ** (10 * power), name) for power, name in enumerate(("B", "KiB", "MiB", "GiB", "TiB")))


def _summary(spec: ConvSpec, cells: list[Cell]) -> SpecSummary:
    return SpecSummary(
        spec=spec.id,
        name=cells[0].name,
        weight=cells[0].weight,
        cells=len(cells),
        y_shape=spec.y_shape,
        parameters=spec.parameters,
        direct_flops=spec.direct_flops,
        minimal_bytes=spec.minimal_bytes,
        flops_per_byte=spec.direct_flops / spec.minimal_bytes,
        columns_bytes=spec.itemsize * spec.n * math.prod(spec.columns_shape),
    )


def _field(spec: ConvSpec, axis: int) -> int:
    return receptive_field([(spec.filter_extent[axis], spec.stride[axis])])


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{extent:,}" for extent in shape)


def _extent(extent: tuple[int, int]) -> str:
    return f"{extent[0]:,} × {extent[1]:,}"
