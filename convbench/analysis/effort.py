"""How a run spent its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convbench.analysis.planning import plan_alone_s
from convbench.analysis.quantities import percent, seconds
from convbench.result import Block, RunInfo


@dataclass(frozen=True)
class Effort:
    """Seconds by what they were spent on.

    `checked_s` is agreement: operands, the reference, the verdicts and the arrays that travel for them.
    `harness_s` is the rest of the wall time: starting processes, messages, the journal. `overhead_s` is
    what the sampling loop itself adds to one sample.
    """

    sampled_s: float
    warmed_s: float
    planned_s: float
    compiled_s: float
    prepared_s: float
    staged_s: float
    checked_s: float
    harness_s: float
    overhead_s: float

    @property
    def wall_s(self) -> float:
        """All of it."""
        return self.measuring_s + self.harness_s

    @property
    def measuring_s(self) -> float:
        """Inside samples, warm-up, stages, planning or agreement."""
        calls_s = self.sampled_s + self.warmed_s + self.staged_s
        return calls_s + self.planned_s + self.compiled_s + self.prepared_s + self.checked_s

    def parts(self) -> list[tuple[str, float]]:
        """Each part and its seconds, largest first."""
        parts = [
            ("samples", self.sampled_s),
            ("warm-up", self.warmed_s),
            ("planning", self.planned_s),
            ("compiling", self.compiled_s),
            ("preparing filters", self.prepared_s),
            ("stages", self.staged_s),
            ("agreement", self.checked_s),
            ("processes and the harness", self.harness_s),
        ]
        return sorted((part for part in parts if part[1] > 0), key=lambda part: -part[1])

    def sentence(self) -> str:
        """Where the time went, in one line."""
        wall = self.wall_s or 1.0
        shares = ", ".join(f"{name} {percent(spent / wall)}" for name, spent in self.parts() if spent / wall >= 0.01)
        text = f"{seconds(self.wall_s)}, {percent(self.measuring_s / wall)} of it measuring ({shares})"
        return text + (f"; the sampling loop adds {seconds(self.overhead_s)} to a sample" if self.overhead_s else "")


def effort(info: RunInfo, blocks: Sequence[Block]) -> Effort:
    """Add up the blocks; the run's options tell the wall time and how much of it was useful, once it has ended."""
    sampled = sum(sum(block.samples_s) * max(block.batch, 1) for block in blocks)
    warmed = sum(sum(block.warmup_s) for block in blocks)
    planned = sum(plan_alone_s(block) for block in blocks)
    compiled = sum((block.plan_s or 0.0) - plan_alone_s(block) for block in blocks)
    prepared = sum(block.prepare_s or 0.0 for block in blocks)
    staged = sum(sum(times) for block in blocks for times in block.stages_s.values())
    known = sampled + warmed + planned + compiled + prepared + staged
    working = max(sum(block.worker_s for block in blocks), known)
    useful = max(float(info.options.get("useful_s", 0.0)), working)
    wall = max(float(info.options.get("wall_s", 0.0)), useful)
    overhead = float(info.options.get("overhead_s", 0.0))
    return Effort(
        sampled, warmed, planned, compiled, prepared, staged, useful - known, wall - useful, overhead
    )  # fmt: skip
