"""Estimates from passes: a contender's time in a cell, and the ratio of two contenders.

A block holds the samples of one process. They share its memory layout, its core and its moment, so
they are not independent: a process's median moves by more from process to process than its samples
spread. The unit of evidence here is therefore the *pass* (a fresh process), never the sample. Each
pass gives one number, and Student's t over n passes with n − 1 degrees of freedom gives the interval.
One pass gives no interval at all.

Times are positive and their disturbances multiply, so all of it happens on logarithms: the estimate
is the geometric mean of the pass medians, and a ratio's interval is symmetric in a/b and b/a.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import truediv
from statistics import median
from typing import Final

import numpy as np
from scipy import special

from convbench.result import Block, Status

CONFIDENCE: Final = 0.95

DRIFT: Final = 0.0125
"""Standard deviation of the logarithm of a time from one minute of a shared machine to another, which the passes of one
run do not see. With it, 95 % intervals of times hold what other processes took within minutes 94 times in 100; without,
90 (`convbench selftest`; docs/measurement.md). Ratios within a run are free of it."""


@dataclass(frozen=True)
class Estimate:
    """A positive quantity with its 95 % interval; `low` and `high` are None where passes are too few.

    `spread` is the range from the first to the last quartile of the samples within one block, given
    only where there is no interval. It says how steady one process was, not how sure the estimate is.
    """

    value: float
    low: float | None
    high: float | None
    passes: int
    samples: int
    spread: tuple[float, float] | None = None

    @property
    def has_interval(self) -> bool:
        """Whether two passes or more stand behind it."""
        return self.low is not None

    def contains(self, value: float) -> bool | None:
        """Whether the interval contains `value`; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return self.low <= value <= self.high

    @property
    def half_width(self) -> float:
        """Half of the interval's relative width: 0.02 is ±2 %; infinite without an interval."""
        if self.low is None or self.high is None:
            return math.inf
        return math.expm1((math.log(self.high) - math.log(self.low)) / 2)

    def inverse(self) -> Estimate:
        """The estimate of 1/value."""
        low = None if self.high is None else 1 / self.high
        high = None if self.low is None else 1 / self.low
        return Estimate(1 / self.value, low, high, self.passes, self.samples)


def block_median(block: Block) -> float:
    """The median of a block's samples, in seconds per call: one disturbed sample does not move it."""
    return median(block.samples_s)


def timed(blocks: Sequence[Block]) -> dict[int, Block]:
    """The blocks that may be timed, by pass; where a pass was repeated, its last block counts."""
    return {block.pass_index: block for block in blocks if block.status is Status.PASSED and block.samples_s}


def time_estimate(blocks: Sequence[Block]) -> Estimate | None:
    """One contender's seconds per call in one cell; None where it has no samples."""
    usable = list(timed(blocks).values())
    if not usable:
        return None
    samples = sum(len(block.samples_s) for block in usable)
    estimate = from_logs([math.log(block_median(block)) for block in usable], samples, DRIFT)
    if estimate.has_interval:
        return estimate
    first, last = np.quantile(usable[0].samples_s, (0.25, 0.75))
    return Estimate(estimate.value, None, None, 1, samples, (float(first), float(last)))


def paired_log_ratios(numerator: Sequence[Block], denominator: Sequence[Block]) -> dict[int, float]:
    """log(numerator / denominator) for each pass that timed both.

    Sample i of both blocks comes from the same round of the same pass, so the machine's drift is in
    both and cancels in their ratio. The median over rounds is that pass's one number; what is left
    between passes is what differs between processes, and only that may carry the interval.
    """
    tops, bottoms = timed(numerator), timed(denominator)
    ratios = {}
    for index in sorted(tops.keys() & bottoms.keys()):
        rounds = map(truediv, tops[index].samples_s, bottoms[index].samples_s)  # as many as both have
        ratios[index] = _log_of_median(list(rounds))
    return ratios


def _log_of_median(ratios: Sequence[float]) -> float:
    """The median of their logarithms, of which it takes two at most."""
    ordered, middle = sorted(ratios), len(ratios) // 2
    if len(ordered) % 2:
        return math.log(ordered[middle])
    return (math.log(ordered[middle - 1]) + math.log(ordered[middle])) / 2


def paired_ratio(numerator: Sequence[Block], denominator: Sequence[Block]) -> Estimate | None:
    """The ratio of two contenders' times in one cell, paired by rounds; None without a common pass."""
    logs = list(paired_log_ratios(numerator, denominator).values())
    return from_logs(logs, len(logs)) if logs else None


def independent_ratio(numerator: Sequence[Block], denominator: Sequence[Block]) -> Estimate | None:
    """The ratio of times from two runs that share no rounds: Welch's t on the logs of the pass medians.

    The drift of a few minutes is in its interval. Over hours, the machine may have changed by more than that.
    """
    tops = [math.log(block_median(block)) for block in timed(numerator).values()]
    bottoms = [math.log(block_median(block)) for block in timed(denominator).values()]
    if not tops or not bottoms:
        return None
    center = float(np.mean(tops) - np.mean(bottoms))
    passes = min(len(tops), len(bottoms))
    samples = len(tops) + len(bottoms)
    if passes < 2:
        return Estimate(math.exp(center), None, None, passes, samples)
    half = _drifting([_of_mean(tops), _of_mean(bottoms)], 2 * DRIFT**2)
    return Estimate(math.exp(center), math.exp(center - half), math.exp(center + half), passes, samples)


def from_logs(logs: Sequence[float], samples: int, drift: float = 0.0) -> Estimate:
    """The geometric mean of one number a pass, with Student's interval over the passes; of a time, with its `DRIFT`."""
    passes = len(logs)
    center = math.fsum(logs) / passes
    if passes < 2:
        return Estimate(math.exp(center), None, None, passes, samples)
    error = deviation(logs, center) / math.sqrt(passes)
    half = _drifting([(error**2, passes - 1)], drift**2) if drift else student_t(passes - 1) * error
    return Estimate(math.exp(center), math.exp(center - half), math.exp(center + half), passes, samples)


def deviation(values: Sequence[float], mean: float) -> float:
    """The sample's standard deviation, of two values or more. For a handful numpy takes ten times as long."""
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def welch_half_width(first: Sequence[float], second: Sequence[float]) -> float:
    """Half of the interval of the difference of two means, of two numbers or more each, by Welch's t."""
    return _half_width([_of_mean(first), _of_mean(second)])


def _of_mean(values: Sequence[float]) -> tuple[float, float]:
    """The variance of the mean, and its degrees of freedom."""
    return float(np.var(values, ddof=1)) / len(values), len(values) - 1


def _drifting(parts: Sequence[tuple[float, float]], drift: float) -> float:
    """Half of an interval with a variance besides that is known: for two passes Satterthwaite's would be too narrow."""
    return max(_half_width(parts), _half_width([*parts, (drift, math.inf)]))


def _half_width(parts: Sequence[tuple[float, float]]) -> float:
    """Half of an interval whose variance is the sum of `parts`: (variance, degrees of freedom) each.

    Satterthwaite, Biometrics Bulletin 2 (1946) 110–114.
    """
    variance = math.fsum(part for part, _ in parts)
    if variance == 0:
        return 0.0
    spread = math.fsum(part**2 / degrees for part, degrees in parts)
    return student_t(variance**2 / spread if spread else math.inf) * math.sqrt(variance)


@lru_cache(maxsize=1024)
def student_t(degrees_of_freedom: float, confidence: float = CONFIDENCE) -> float:
    """The two-sided quantile of Student's t."""
    return float(special.stdtrit(degrees_of_freedom, (1 + confidence) / 2))
