"""Every cell and contender of a run, with the blocks of all its passes merged into one status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from convbench.analysis.statistics import Estimate, time_estimate
from convbench.result import Block, Cell, RunInfo, Status

# Gravest first. A contender that failed in any pass has failed: a result that is wrong or that
# crashes one time in five is not one to pick, however fast the other four were.
_GRAVITY: Final = {
    status: rank
    for rank, status in enumerate(
        (
            Status.DISAGREED,
            Status.CRASHED,
            Status.TIMEOUT,
            Status.OUT_OF_MEMORY,
            Status.UNSUPPORTED,
            Status.PASSED,
            Status.NOT_REACHED,
        )
    )
}


@dataclass(frozen=True)
class Contender:
    """One algorithm in one cell, over all passes."""

    cell: Cell
    algorithm: str
    precision: str
    status: Status
    reason: str
    blocks: tuple[Block, ...]

    @cached_property
    def time(self) -> Estimate | None:
        """Seconds per call; None unless it passed and was timed."""
        return time_estimate(self.blocks) if self.status is Status.PASSED else None


Contenders = dict[tuple[str, str], Contender]


def contenders(info: RunInfo, blocks: Sequence[Block]) -> Contenders:
    """(cell key, algorithm) → contender, for every pair of the suite, in the run's order.

    Whoever has no block is not_reached. Blocks of cells or algorithms that the run does not name are
    left out.
    """
    collected: dict[tuple[str, str], dict[int, Block]] = {}
    for block in blocks:
        collected.setdefault((block.cell, block.algorithm), {})[block.pass_index] = block
    merged: Contenders = {}
    for cell in info.cells:
        key = cell.key
        for algorithm in info.algorithms:
            passes = collected.get((key, algorithm), {})
            ordered = tuple(passes[index] for index in sorted(passes))
            status, reason = merged_status(ordered)
            precision = info.precision.get(algorithm, "strict")
            merged[key, algorithm] = Contender(cell, algorithm, precision, status, reason, ordered)
    return merged


def merged_status(blocks: Sequence[Block]) -> tuple[Status, str]:
    """The gravest status of any pass, and its reason; the pass is named where there were several."""
    if not blocks:
        return Status.NOT_REACHED, "the run ended before its turn"
    decisive = min(blocks, key=lambda block: _GRAVITY[block.status])
    if len(blocks) == 1 or decisive.status in (Status.PASSED, Status.NOT_REACHED, Status.UNSUPPORTED):
        return decisive.status, decisive.reason
    return decisive.status, f"pass {decisive.pass_index + 1}: {decisive.reason}"


def ranked(cell: Cell, merged: Contenders, info: RunInfo) -> list[Contender]:
    """A cell's timed contenders of one precision class: strict, or the first class that anyone is of."""
    key = cell.key
    timed = [c for name in info.algorithms if (c := merged[key, name]).time is not None]
    classes = {contender.precision for contender in timed}
    for precision in ("strict", "emulated", "tf32", "half", "approximate"):
        if precision in classes:
            return [contender for contender in timed if contender.precision == precision]
    return []
