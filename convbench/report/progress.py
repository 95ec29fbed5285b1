"""What a person sees while a run goes on: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
from time import monotonic
from types import TracebackType
from typing import Final, Self, final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from convbench.analysis.quantities import plural
from convbench.measure.coordinator import Progress as RunProgress
from convbench.measure.trial import GateProgress
from convbench.result import Block, Status

LINE_EVERY_S: Final = 10.0
WRONG: Final = (Status.DISAGREED, Status.CRASHED)
FAILURES: Final = (Status.DISAGREED, Status.CRASHED, Status.TIMEOUT, Status.OUT_OF_MEMORY)


class Bar:
    """One line on a terminal that changes; elsewhere a plain line now and then."""

    def __init__(self, console: Console, title: str = "") -> None:
        self.console = console
        self.last_line = -math.inf
        self.bar = Progress(
            TextColumn("[bold]{task.description}[/]"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}  [dim]{task.fields[cell]}[/]"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task(title, total=None, count="starting workers …", cell="")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def line(self, text: str, *, last: bool = False) -> None:
        """Print `text` where there is no terminal, if it is time again or for the last time."""
        if not self.console.is_terminal and (last or monotonic() - self.last_line >= LINE_EVERY_S):
            self.last_line = monotonic()
            self.console.print(text, highlight=False, soft_wrap=True)


@final
class ProgressView(Bar):
    """Shows the pass, the cell, and what is left; failures as they happen, each kind once a contender."""

    def __init__(self, console: Console, *, until_the_budget: bool = False) -> None:
        super().__init__(console, "pass 1")
        self.told: set[tuple[str, Status]] = set()
        self.until_the_budget = until_the_budget
        """Whether there are always more cells: how many there are says nothing then, nor that some are too large."""

    def progress(self, progress: RunProgress) -> None:
        """See `Observer`."""
        failures = WRONG if self.until_the_budget else FAILURES
        for block in progress.blocks:
            if block.status in failures:
                self._failure(block)
        left = time_left(progress)
        title = "measuring" if self.until_the_budget else f"pass {progress.pass_index + 1}"
        count = f"{progress.done} cells" if self.until_the_budget else f"{progress.done}/{progress.total} cells"
        self.bar.update(
            self.task,
            completed=progress.elapsed_s if self.until_the_budget else progress.done,
            total=progress.elapsed_s + progress.remaining_s if self.until_the_budget else progress.total,
            description=title,
            count=f"{count}, {left}",
            cell=progress.cell.key,
        )
        place = f"{title}: {count}"
        self.line(f"{place}, {progress.elapsed_s:.0f} s, {left}", last=progress.done == progress.total)

    def waiting(self, what: str) -> None:
        """See `Observer`."""
        self.bar.update(self.task, count=f"waiting for {what} …", cell="")
        self.line(f"waiting for {what}")

    def _failure(self, block: Block) -> None:
        if (block.algorithm, block.status) not in self.told:
            self.told.add((block.algorithm, block.status))
            self.console.print(f"{block.algorithm} {block.status}: {block.reason}  ({block.cell})", markup=False)


@final
class GateView(Bar):
    """Shows the round, and how many contenders are still undecided."""

    def progress(self, progress: GateProgress) -> None:
        """Called after every pair."""
        self.show(f"round {progress.round + 1}", progress)

    def trial(self, index: int, progress: GateProgress) -> None:
        """Called after every pair of a selftest's gates."""
        self.show(f"gate {index + 1}, round {progress.round + 1}", progress)

    def show(self, title: str, progress: GateProgress) -> None:
        """The bar on a terminal; elsewhere a line now and then."""
        suspects = f", {progress.suspects} suspected" if progress.suspects else ""
        count = f"{progress.open} of {progress.items} undecided{suspects}"
        self.bar.update(
            self.task,
            description=title,
            completed=progress.items - progress.open,
            total=progress.items,
            count=count,
            cell=f"{progress.item.algorithm} {progress.item.cell.key}",
        )
        self.line(f"{title}: {count}, {progress.elapsed_s:.0f} s")


def time_left(progress: RunProgress) -> str:
    """What the budget leaves; without one, what this pass still takes at its pace so far."""
    if math.isfinite(progress.remaining_s):
        return f"at most {_minutes(progress.remaining_s)} left"
    if progress.done == progress.total:
        return f"at most {plural(progress.passes - progress.pass_index - 1, 'pass', 'passes')} left"
    return f"up to {plural(progress.passes - progress.pass_index, 'pass', 'passes')} left"


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
