"""What planning costs: each algorithm's plans, and the compilation that only the first run sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convbench.analysis.quantities import plural, seconds
from convbench.result import Block, RunInfo


@dataclass(frozen=True)
class Planning:
    """One algorithm's plan times, without compilation, and what Numba compiled for it in this run.

    `first_s` is the first plan that had to compile: what a call takes after installation. It is None
    where every kernel was on disk already.
    """

    algorithm: str
    median_s: float
    longest_s: float
    longest_cell: str
    first_s: float | None
    kernels: int
    compile_s: float


@dataclass(frozen=True)
class Compilation:
    """What a run compiled in all."""

    kernels: int
    seconds: float

    def sentence(self) -> str:
        """What was compiled, and what that means for the next run."""
        if self.kernels == 0:
            return "nothing was compiled: every kernel came from disk"
        return f"{plural(self.kernels, 'kernel')} in {seconds(self.seconds)}, kept on disk for the next run"


def planning(info: RunInfo, blocks: Sequence[Block]) -> list[Planning]:
    """The algorithms that planned anything, in the run's order; the median is over cells, of each its median."""
    found = []
    for name in info.algorithms:
        own = [block for block in blocks if block.algorithm == name and block.plan_s is not None]
        plans: dict[str, list[float]] = {}
        for block in own:
            plans.setdefault(block.cell, []).append(plan_alone_s(block))
        if not plans:
            continue
        medians = {cell: float(np.median(times)) for cell, times in plans.items()}
        longest = max(medians, key=lambda cell: medians[cell])
        first = next((block.plan_s for block in own if block.compiled), None)
        kernels, compile_s = sum(b.compiled or 0 for b in own), sum(b.compile_s or 0.0 for b in own)
        median_s = float(np.median(list(medians.values())))
        found.append(Planning(name, median_s, medians[longest], longest, first, kernels, compile_s))
    return found


def plan_alone_s(block: Block) -> float:
    """A plan's time less what Numba compiled in its cell, which is all but always in the plan."""
    return max((block.plan_s or 0.0) - (block.compile_s or 0.0), 0.0)


def compilation(blocks: Sequence[Block]) -> Compilation | None:
    """What the run compiled; None where that was not counted yet."""
    counted = [block for block in blocks if block.compiled is not None]
    if not counted:
        return None
    return Compilation(sum(block.compiled or 0 for block in counted), sum(block.compile_s or 0.0 for block in counted))
