"""Shapes from a CSV file, one layer a row: `source,name,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dilation,groups`.

A name that ends in `*4` stands for a layer that a network has four times: its weight.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from convbench.errors import SpecError, SuiteError
from convbench.spec import ConvSpec
from convbench.suite.yaml_lines import read_text, shorten, unknown

EXTENTS: Final = ("n", "c", "h", "w", "k", "r", "s")
COLUMNS: Final = (*EXTENTS, "pad_h", "pad_w", "stride_h", "stride_w", "dilation", "groups")
REQUIRED: Final = ("h", "w", "r", "s")


@dataclass(frozen=True)
class TableShape:
    """A row: its settings, and where it stands (`file:line`)."""

    settings: dict[str, Any]
    name: str
    weight: float
    where: str


def read_shape_table(
    path: Path, sources: Sequence[str], batch: int | None, most_gflop: float | None = None
) -> list[TableShape]:
    """The rows of the given sources (all, if none are given); `batch` replaces their n.

    With `most_gflop`, images are halved until a layer's direct sums take no more: see `shrunk`.

    Raises `SuiteError`, `file:line: …`, for a file that is no such table and for an unknown source.
    """
    text = read_text(path)
    lines = csv.reader(text.splitlines(), strict=True)
    try:
        rows = [(lines.line_num, row) for row in lines if row]
    except csv.Error as error:
        raise SuiteError(f"{path}:{lines.line_num}: not valid CSV: {error}") from error
    if not rows:
        raise SuiteError(f"{path}:1: the file is empty")
    (_, header), *body = rows
    valid = ("source", "name", *COLUMNS)
    for column in header:
        if column not in valid or header.count(column) > 1:
            problem = (
                "a column is given twice: " + shorten(column) if column in valid else unknown("column", column, valid)
            )
            raise SuiteError(f"{path}:1: {problem}")
    for column in REQUIRED:
        if column not in header:
            raise SuiteError(f"{path}:1: the column '{column}' is missing")
    found = {row[header.index("source")] for _, row in body if len(row) == len(header)} if "source" in header else set()
    for source in sources:
        if source not in found:
            raise SuiteError(f"{path}:1: {unknown('source', source, found)}")
    shapes = []
    for line, row in body:
        where = f"{path}:{line}"
        if len(row) != len(header):
            raise SuiteError(f"{where}: {len(row)} values for {len(header)} columns")
        cells = dict(zip(header, row, strict=True))
        if not sources or cells.get("source") in sources:
            shape = _shape(cells, batch, where)
            shapes.append(shape if most_gflop is None else shrunk(shape, 1e9 * most_gflop))
    return shapes


def shrunk(shape: TableShape, most_flops: float) -> TableShape:
    """The layer with its image halved until it takes no more than `most_flops`, or is no larger than its filter.

    Channels, filter, stride, padding and dilation stay; the name says how many times smaller the image is.
    """
    settings, times = dict(shape.settings), 1
    while _flops(settings) > most_flops:
        smaller = {extent: -(-settings[extent] // 2) for extent in ("h", "w")}
        reach = [settings.get("dilation", 1) * (settings[taps] - 1) + 1 for taps in ("r", "s")]
        if smaller["h"] < reach[0] or smaller["w"] < reach[1]:
            break
        settings |= smaller
        times *= 2
    return shape if times == 1 else replace(shape, settings=settings, name=f"{shape.name} ÷{times}")


def _flops(settings: Mapping[str, Any]) -> float:
    try:
        return ConvSpec(**settings).direct_flops
    except SpecError:
        return 0.0  # what cannot exist is told where it is resolved


def _shape(cells: dict[str, str], batch: int | None, where: str) -> TableShape:
    numbers: dict[str, int] = {column: _number(cells[column], column, where) for column in COLUMNS if column in cells}
    settings: dict[str, Any] = {name: numbers[name] for name in (*EXTENTS, "dilation", "groups") if name in numbers}
    if batch is not None:
        settings["n"] = batch
    for name, vertical, horizontal, absent in (
        ("padding", "pad_h", "pad_w", 0),
        ("stride", "stride_h", "stride_w", 1),
    ):
        if vertical in numbers or horizontal in numbers:
            settings[name] = numbers.get(vertical, absent), numbers.get(horizontal, absent)
    name, star, times = cells.get("name", "").rpartition("*")
    if star and times.isascii() and times.isdigit() and 0 < int(times[:7]) <= 10**6:
        return TableShape(settings, name, float(times), where)
    return TableShape(settings, cells.get("name", ""), 1.0, where)


def _number(text: str, column: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise SuiteError(f"{where}: {column}: expected a whole number, not {shorten(repr(text))}")
    return int(text)
