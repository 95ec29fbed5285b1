"""How a run spent its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convbench.result import Block, RunInfo


@dataclass(frozen=True)
class Effort:
    """Seconds by what they were spent on; `harness_s` is the wall time that no worker accounts for."""

    sampled_s: float
    warmed_s: float
    planned_s: float
    prepared_s: float
    checked_s: float
    harness_s: float
    wall_s: float

    @property
    def sampled_share(self) -> float:
        """The share of wall time inside timed samples."""
        return self.sampled_s / self.wall_s if self.wall_s > 0 else 0.0

    def parts(self) -> list[tuple[str, float]]:
        """Each part and its seconds, largest first."""
        parts = [
            ("samples", self.sampled_s),
            ("warm-up", self.warmed_s),
            ("planning", self.planned_s),
            ("preparing filters", self.prepared_s),
            ("agreement and operands", self.checked_s),
            ("processes and the harness", self.harness_s),
        ]
        return sorted((part for part in parts if part[1] > 0), key=lambda part: -part[1])


def effort(info: RunInfo, blocks: Sequence[Block]) -> Effort:
    """Add up the blocks; without a `wall_s` among the run's options, the wall time is that of the workers."""
    sampled = sum(sum(block.samples_s) * max(block.batch, 1) for block in blocks)
    warmed = sum(sum(block.warmup_s) for block in blocks)
    planned = sum(block.plan_s or 0.0 for block in blocks)
    prepared = sum(block.prepare_s or 0.0 for block in blocks)
    working = max(sum(block.worker_s for block in blocks), sampled + warmed + planned + prepared)
    wall = max(float(info.options.get("wall_s", 0.0)), working)
    checked = working - sampled - warmed - planned - prepared
    return Effort(sampled, warmed, planned, prepared, checked, wall - working, wall)
