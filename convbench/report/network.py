"""A network as `describe` prints it: a line a layer, as much of it as the terminal is wide, and what all come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from convbench.analysis.quantities import percent, significant
from convbench.describe import Fact, LayerSummary

BAR: Final = 6
"""Characters of a bar as long as the largest layer's."""


@dataclass(frozen=True)
class Column:
    """A head and what stands under it; `more` is left out where the table would be too wide, the largest first."""

    head: str
    cell: Callable[[LayerSummary], str]
    is_text: bool = False
    more: int = 0


def _join(extents: Sequence[int]) -> str:
    return "×".join(map(str, extents))


def _same(pair: Sequence[int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else _join(pair)


def _columns(one: LayerSummary) -> str:
    return "" if one.columns_shape is None else _join(one.columns_shape)


def _nonzero(count: int) -> str:
    return f"{count:,}" if count else ""


def _megabytes(count: int) -> str:
    if 0 < count < 2**20 / 100:
        return "<0.01"
    return significant(count / 2**20, 2 if count < 2**20 else 3) if count else ""


def _short(count: int) -> str:
    for name, unit in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= unit:
            return f"{significant(count / unit)} {name}"
    return str(count) if count else ""


EXACT: Final = (
    Column("layer", lambda one: one.name),
    Column("kind", lambda one: one.kind),
    Column("input", lambda one: _join(one.x_shape)),
    Column("kernel", lambda one: "" if one.is_join else one.kernel),
    Column("output", lambda one: _join(one.y_shape)),
    Column("weights", lambda one: f"{one.weights:,}"),
    Column("parameters", lambda one: f"{one.parameters:,}"),
    Column("multiply-adds", lambda one: f"{one.multiply_adds:,}"),
    Column("FLOPs", lambda one: f"{2 * one.multiply_adds:,}"),
    Column("share", lambda one: percent(one.share)),
    Column("activation bytes", lambda one: f"{one.activation_bytes:,}"),
    Column("field", lambda one: _same(one.field)),
    Column("jump", lambda one: _same(one.jump)),
    Column("im2col columns", _columns),
    Column("im2col bytes", lambda one: f"{one.columns_bytes:,}"),
    Column("FFT bytes", lambda one: f"{one.fft_bytes:,}"),
)
"""For a pipe: every figure in full."""


def columns(most: float) -> tuple[Column, ...]:
    """For a terminal; `most` is the largest layer's share, the length of a whole bar."""
    return (
        Column("layer", lambda one: "  " * one.level + (one.name.rpartition("/")[2] or one.name), is_text=True),
        Column("input", lambda one: _join(one.x_shape), more=5),
        Column("kernel", lambda one: one.kernel.replace("concatenate", "concat"), is_text=True),
        Column("output", lambda one: _join(one.y_shape)),
        Column("weights", lambda one: _nonzero(one.weights), more=6),
        Column("parameters", lambda one: _nonzero(one.parameters)),
        Column("multiply-\nadds", lambda one: _nonzero(one.multiply_adds), more=7),
        Column("FLOP", lambda one: _short(2 * one.multiply_adds)),
        Column("share", lambda one: "" if one.is_join else _bar(one.share / most, BAR), is_text=True, more=4),
        Column("values\nMiB", lambda one: _megabytes(one.activation_bytes), more=2),
        Column("field", lambda one: _same(one.field), more=1),
        Column("jump", lambda one: _same(one.jump), more=3),
        Column("im2col\ncolumns", _columns, more=8),
        Column("im2col\nMiB", lambda one: _megabytes(one.columns_bytes)),
        Column("FFT\nMiB", lambda one: _megabytes(one.fft_bytes)),
    )


def print_network(console: Console, layers: Sequence[LayerSummary], totals: Sequence[Fact]) -> None:
    """The table and the totals; for a pipe, tab-separated lines with every figure in full."""
    if not console.is_terminal:
        for line in ([column.head for column in EXACT], *([column.cell(one) for column in EXACT] for one in layers)):
            console.file.write("\t".join(line) + "\n")  # rich would turn the tabs into spaces
        for label, value in totals:
            console.file.write(f"{label}: {value}\n")
        return
    all_columns = columns(max(one.share for one in layers if not one.is_join))
    shown = fitting(all_columns, layers, console.width)
    table = Table(header_style="bold", show_edge=False, box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for column in shown:
        table.add_column(column.head, justify="left" if column.is_text else "right", no_wrap=True)
    for one in layers:
        table.add_row(*(escape(column.cell(one)) for column in shown), style="dim" if one.is_join else None)
    console.print(table)
    console.print()
    facts = Table.grid(padding=(0, 2))
    for label, value in totals:
        facts.add_row(f"[bold]{label}[/]", escape(value))
    console.print(facts)
    if any(one.is_join for one in layers):
        console.print("[dim]A dim line has the sums over its parts, and the largest of their workspaces.[/]")


def fitting(columns: Sequence[Column], layers: Sequence[LayerSummary], width: int) -> list[Column]:
    """As many of the columns as `width` characters hold."""
    shown = list(columns)
    while sum(_width(column, layers) + 1 for column in shown) - 1 > width and any(column.more for column in shown):
        shown.remove(max(shown, key=lambda column: column.more))
    return shown


def _width(column: Column, layers: Sequence[LayerSummary]) -> int:
    return max(map(len, [*column.head.split("\n"), *(column.cell(one) for one in layers)]))


def _bar(length: float, most: int) -> str:
    """A bar of so many characters in eighths; what is more than nothing is seen."""
    eighths = max(round(8 * most * length), 1 if length > 0 else 0)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
