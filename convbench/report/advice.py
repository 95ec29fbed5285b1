"""What the dispatch table says: a recommendation, and how often its choices were good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console

from convbench.analysis.cost_model import Measured
from convbench.analysis.dispatch import Choice, DispatchTable
from convbench.analysis.quantities import percent, plural, seconds
from convbench.analysis.regret import Overhead, Regret
from convbench.report.listings import print_table

SHOWN: Final = 8
"""Of the worst choices."""


def print_advice(console: Console, threads: int, choices: Sequence[Choice], near: Measured, source: str) -> None:
    """Two lines: whom to take, and what that is based on."""
    first, *others = choices
    range_s = f"{seconds(first.low_s)} … {seconds(first.high_s)}"
    line = f"[bold]{first.algorithm}[/]: about {seconds(first.seconds)} at {plural(threads, 'thread')} ({range_s})"
    if others:
        times = others[0].seconds / first.seconds
        line += f"; next {others[0].algorithm}, {seconds(others[0].seconds)}, {times:.2g} times as long"
    console.print(line, soft_wrap=True)
    took = f"took {near.algorithm} {seconds(near.seconds)}"
    console.print(f"{source}; the nearest measured shape, {near.spec.id}@{near.threads}t, {took}", soft_wrap=True)


def source(table: DispatchTable, doubt: str) -> str:
    """Where predictions come from."""
    shapes = plural(len({one.spec for one in table.measured}), "shape")
    told = f" ({doubt}: run convbench tune)" if doubt else ""
    return f"by {shapes} measured on {table.machine.get('cpu', 'this machine')}, {table.measured_utc[:10]}{told}"


def print_overhead(console: Console, found: Overhead) -> None:
    """What a call costs beside the algorithm."""
    by_name, bare, kept = (seconds(max(one, 0.0)) for one in (found.prepared_s, found.checked_s, found.conv2d_s))
    console.print(
        f"beside execute without any checks, a call of what prepare returned takes {bare} more ({by_name} of that for"
        f' "auto" instead of a name), one of conv2d {kept}',
        soft_wrap=True,
    )


def print_regrets(console: Console, regrets: Sequence[Regret]) -> None:
    """A line for each way to choose, then the worst choices of "auto"."""
    if not regrets:
        return
    print_table(
        console,
        ("chosen by", "shapes × threads", "within 5 %", "within 25 %", "median", "mean"),
        [
            (
                one.by,
                str(len(one.choices)),
                percent(one.near),
                percent(one.far),
                percent(one.median),
                percent(one.mean),
            )
            for one in regrets
        ],
    )
    for one in regrets:
        if one.by.startswith('"auto"'):
            _print_worst(console, one)


def _print_worst(console: Console, found: Regret) -> None:
    lines = [
        (one.spec.id, str(one.threads), one.algorithm, one.best, percent(one.regret), seconds(one.best_s))
        for one in found.worst(SHOWN)
        if one.regret > 0
    ]
    if lines:
        print_table(console, (f"worst of {found.by}", "threads", "took", "best", "regret", "best time"), lines)
