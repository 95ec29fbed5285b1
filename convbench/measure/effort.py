"""How much measuring is enough: the constants, and the arithmetic of budgets."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from time import monotonic


@dataclass(frozen=True)
class Effort:
    """What one block (a contender in a cell in a pass) may cost."""

    sample_s: float = 3e-3
    """Length of a sample: a batch of calls at least this long, three times the clock's needs."""
    block_s: float = 0.06
    """Time to spend on samples in a block."""
    min_samples: int = 3
    """In a block, unless they would take twice `block_s`: long calls average over themselves."""
    max_samples: int = 12
    warm_up_s: float = 0.06
    """Warm-up is detected; this bounds it. A call longer than this is its own warm-up."""
    rewarm_s: float = 5e-3
    """Calls shorter than this are preceded by an untimed one, since other contenders emptied the caches."""

    def batch(self, call_s: float) -> int:
        """Calls in a sample."""
        return max(1, round(self.sample_s / max(call_s, 1e-9)))

    def samples(self, call_s: float, share_s: float) -> int:
        """Samples in a block that may take `share_s`."""
        sample_s = max(call_s * self.batch(call_s), 1e-9)
        least = self.min_samples if self.min_samples * sample_s <= 2 * self.block_s else 1
        wanted = round(min(self.block_s, share_s) / sample_s)
        return min(max(wanted, least), self.max_samples)


QUICK = Effort(block_s=0.02, max_samples=5, warm_up_s=0.02)
"""For a first look (`--quick`), and for tests."""


class Budget:
    """The wall time that a run may take, from now on; unbounded without a limit."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.start = monotonic()

    @property
    def elapsed_s(self) -> float:
        """Since the run started."""
        return monotonic() - self.start

    @property
    def remaining_s(self) -> float:
        """Until the budget is spent; never negative."""
        return inf if self.seconds is None else max(0.0, self.seconds - self.elapsed_s)

    @property
    def spent(self) -> bool:
        """Whether nothing more may be started."""
        return self.remaining_s <= 0

    def longest_call_s(self, timeout_s: float) -> float:
        """A call predicted to take longer is not worth starting: one may cost a fifth of a percent of a budget."""
        return timeout_s if self.seconds is None else min(timeout_s, self.seconds / 500)
