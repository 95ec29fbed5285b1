"""How much measuring is enough: the constants, and the arithmetic of budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from time import monotonic

from convbench.spec import ConvSpec


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
    yardsticks: bool = True
    """Whether to time fixed computations between the samples; pairs that live side by side need none."""
    samples_a_place: int | None = None
    """After how many samples x and y are moved, so that a block's median is not that of one lucky place."""
    cold_samples: int = 7
    """Single calls with cold caches, where a suite asks for them."""
    staged_s: float = 0.05
    """Time for calls that tell their stages, in a block; 0 for none."""
    staged_calls: int = 7
    """As many at most; one at least."""
    longest_retaken_s: float = 10e-3
    """A sample that takes longer stands, however disturbed."""
    rewarm_s: float = 5e-3
    """Calls shorter than this are preceded by an untimed one, since other contenders emptied the caches."""

    def batch(self, call_s: float) -> int:
        """Calls in a sample."""
        return max(1, round(self.sample_s / max(call_s, 1e-9)))

    def moves(self, taken: int) -> bool:
        """Whether x and y are moved before the next sample."""
        return self.samples_a_place is not None and taken > 0 and taken % self.samples_a_place == 0

    def retakes(self, call_s: float) -> int:
        """How often a disturbed sample is taken again: a long one is likely to be disturbed each time."""
        return 4 if call_s * self.batch(call_s) < self.longest_retaken_s else 0

    def stagings(self, call_s: float) -> int:
        """Calls that tell their stages."""
        return min(max(round(self.staged_s / max(call_s, 1e-9)), 1), self.staged_calls) if self.staged_s else 0

    def samples(self, call_s: float, share_s: float) -> int:
        """Samples in a block that may take `share_s`."""
        sample_s = max(call_s * self.batch(call_s), 1e-9)
        least = self.min_samples if self.min_samples * sample_s <= 2 * self.block_s else 1
        wanted = round(min(self.block_s, share_s) / sample_s)
        return min(max(wanted, least), self.max_samples)


QUICK = Effort(block_s=0.02, max_samples=5, warm_up_s=0.02, staged_s=0.02)
"""For a first look (`--quick`), and for tests."""


def predicted_call_s(spec: ConvSpec, known: Sequence[tuple[ConvSpec, float]]) -> float:
    """What a call will take at least, to judge by a contender's cells with no more work; 0 without any.

    Time is taken to grow with the direct work from the largest of them, and from the largest with the same
    filter's extent: the lesser counts. Growing the image costs every algorithm in proportion, growing the
    filter costs a transform next to nothing.
    """
    smaller = [(one.direct_flops, time_s, one) for one, time_s in known if one.direct_flops <= spec.direct_flops]
    alike = [entry for entry in smaller if (entry[2].r, entry[2].s) == (spec.r, spec.s)]
    largest = [max(entries, key=lambda entry: entry[0]) for entries in (smaller, alike) if entries]
    return min((time_s * spec.direct_flops / flops for flops, time_s, _ in largest), default=0.0)


class Budget:
    """The wall time that a run may take, from now on; unbounded without a limit."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.start = monotonic()
        self.forgiven_s = 0.0
        """Spent on what is not to count."""

    @property
    def elapsed_s(self) -> float:
        """Since the run started."""
        return monotonic() - self.start

    @property
    def remaining_s(self) -> float:
        """Until the budget is spent; never negative."""
        return inf if self.seconds is None else max(0.0, self.seconds + self.forgiven_s - self.elapsed_s)

    @property
    def spent(self) -> bool:
        """Whether nothing more may be started."""
        return self.remaining_s <= 0

    def longest_call_s(self, timeout_s: float) -> float:
        """A call predicted to take longer is not worth starting: one may cost a fifth of a percent of a budget."""
        return timeout_s if self.seconds is None else min(timeout_s, self.seconds / 500)
