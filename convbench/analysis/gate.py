"""Did the candidate become slower than the base? Decisions from pairs of processes, one number a pair.

A pair's number is log(candidate / base). Half of the slowdown that must not be missed is the *boundary*: what lies
above it raises an alarm. A true slowdown of the stated size then is as far from the boundary as no change at all.

1. *Screening.* After six pairs or more, the distribution-free interval of their median (order statistics, 95 %)
   lies below the boundary: not slower. Above it: a suspect. Else more pairs.
2. *Confirmation.* A suspect is measured again from nothing, by fresh processes. Of n pairs without a true excess,
   at most half lie above the boundary, so the number above it is at most binomial(n, ½), whatever the noise looks like:
   the sign test. Its p-value, by Holm's rule over all questions that the suite asks, and divided over the
   looks that are taken, must be below 1 % to raise the alarm. So a suite in which nothing changed raises
   one in at most 1 of 100 gates.

What is neither within the time given is *inconclusive*.

Sources: David & Nagaraja, Order Statistics (2003), §7.1; Holm, Scand. J. Stat. 6 (1979) 65–70.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from statistics import median
from typing import Final, NamedTuple, final

from scipy import special

from convbench.analysis.statistics import CONFIDENCE

FAMILY_ERROR: Final = 0.01
"""How often a gate over a suite in which nothing changed may raise an alarm."""

LOOKS: Final = (10, 14, 20, 28, 40, 60, 90)
"""After how many pairs a suspect is judged."""

FEWEST_PAIRS: Final = 6  # the least for which (smallest, largest) is a 95 % interval of the median


class Verdict(StrEnum):
    """What the pairs say of one quantity of one contender in one cell."""

    OPEN = "open"
    SUSPECT = "suspect"
    SAME = "same"
    SLOWER = "slower"
    FASTER = "faster"


class Interval(NamedTuple):
    """The median of pairs' numbers, and its interval."""

    median: float
    low: float
    high: float


def median_interval(logs: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """The sample median between the order statistics that hold the true one with `confidence` at least.

    None for fewer pairs than that takes.
    """
    trim = _trim(len(logs), confidence)
    if trim is None:
        return None
    ordered = sorted(logs)
    return Interval(median(ordered), ordered[trim], ordered[-1 - trim])


@lru_cache(maxsize=4096)
def _trim(count: int, confidence: float) -> int | None:
    """How many of `count` order statistics lie outside the interval at each end."""
    outside = (1 - confidence) / 2
    if special.bdtr(0, count, 0.5) > outside:
        return None
    trim = 0
    while special.bdtr(trim + 1, count, 0.5) <= outside:
        trim += 1
    return trim


def sign_test(logs: Sequence[float], boundary: float) -> float:
    """The probability of as many numbers above `boundary` where the true median is not above it."""
    above = sum(log > boundary for log in logs)
    return float(special.bdtrc(above - 1, len(logs), 0.5)) if above else 1.0


def holm(p_values: Mapping[Question, float], family: int, error: float) -> set[Question]:
    """Those rejected by Holm's step-down rule, where `family` hypotheses are tested and the others have p = 1."""
    rejected: set[Question] = set()
    for rank, question in enumerate(sorted(p_values, key=lambda one: p_values[one])):
        if p_values[question] > error / (family - rank):
            break
        rejected.add(question)
    return rejected


@final
@dataclass(eq=False)
class Question:
    """Has one quantity (the time to execute, plan or prepare) of one contender in one cell changed?"""

    cell: str
    algorithm: str
    quantity: str
    boundary: float
    """Of log(candidate / base): half of the logarithm of the slowdown that must be found."""
    screening: list[float] = field(default_factory=list)
    confirming: list[float] = field(default_factory=list)
    verdict: Verdict = Verdict.OPEN

    def add(self, log: float) -> None:
        """One more pair's log(candidate / base); it changes nothing that is decided."""
        if not self.decided:
            (self.confirming if self.verdict is Verdict.SUSPECT else self.screening).append(log)

    @property
    def decided(self) -> bool:
        """Whether no more pairs are needed."""
        return self.verdict not in (Verdict.OPEN, Verdict.SUSPECT)

    @property
    def direction(self) -> int:
        """Where the screening points: 1 towards slower, −1 towards faster."""
        return 1 if sum(log > 0 for log in self.screening) * 2 >= len(self.screening) else -1

    @property
    def logs(self) -> list[float]:
        """The pairs that the estimate is made of: those of the confirmation, where there are enough."""
        return self.confirming if len(self.confirming) >= FEWEST_PAIRS else self.screening

    @property
    def interval(self) -> Interval | None:
        """Of log(candidate / base)."""
        return median_interval(self.logs)


def decide(questions: Iterable[Question], error: float = FAMILY_ERROR, *, closing: bool = False) -> None:
    """Take every decision that the pairs so far allow; `closing` when there will be no more of them."""
    family = list(questions)
    for question in family:
        if question.verdict is Verdict.OPEN:
            question.verdict = _screened(question)
    due = {question: _p_value(question) for question in family if _is_due(question, closing)}
    alarms = holm(due, len(family), error / len(LOOKS))
    for question in due:
        if question in alarms:
            question.verdict = Verdict.SLOWER if question.direction > 0 else Verdict.FASTER
        elif _refuted(question):
            question.verdict = Verdict.SAME


def _screened(question: Question) -> Verdict:
    interval = median_interval(question.screening)
    if interval is None:
        return Verdict.OPEN
    if interval.low > question.boundary or interval.high < -question.boundary:
        return Verdict.SUSPECT
    return Verdict.SAME if interval.high < question.boundary else Verdict.OPEN


def _is_due(question: Question, closing: bool) -> bool:
    """At the looks only: judged after every pair, chance would be given too many tries."""
    look = len(question.confirming) in LOOKS or (closing and len(question.confirming) > 0)
    return question.verdict is Verdict.SUSPECT and look


def _p_value(question: Question) -> float:
    return sign_test([question.direction * log for log in question.confirming], question.boundary)


def _refuted(question: Question) -> bool:
    interval = median_interval([question.direction * log for log in question.confirming])
    return interval is not None and interval.high < question.boundary


def boundary(slowdown: float) -> float:
    """The boundary for a slowdown (0.05 is 5 %) that must be found."""
    return math.log1p(slowdown) / 2
