"""Did the candidate become slower than the base? Decisions from pairs of processes, one number a pair.

A pair's number is log(candidate / base). Two fifths of the slowdown that must not be missed are the *boundary*: what
lies above it raises an alarm. A slowdown of three fifths of the limit is as far from it as one of a fifth.

1. *Screening.* After six pairs or more, the distribution-free interval of their median (order statistics, 95 %)
   lies below the boundary: not slower. Above it: a suspect. Else more pairs.
2. *Confirmation.* A suspect is measured again from nothing, by fresh processes. Two sign tests have to agree. Were both
   commits equally fast, each pair would lie above 0 or below it with the same chance, whatever the noise looks like;
   of n pairs, binomial(n, ½) lie above. This p-value must be below 1 % by Holm's rule, shared among the looks that
   are taken. And the median must lie above the boundary, at 10 %: certain to be slower, and by more than a trifle.

The new pairs owe nothing to those of the screening, so only what may come to be confirmed counts in Holm's family:
suspects, and what may still become one; what was confirmed at an earlier look hands its share of the error on. So of
100 gates over unchanged suites, at most one raises an alarm.

What is known to a tenth of the limit, and is within it, is the *same*, too. What is neither within the time given
is *inconclusive*, unless its interval lies within the limit.

Sources: David & Nagaraja, Order Statistics (2003), §7.1; Holm, Scand. J. Stat. 6 (1979) 65–70; for looks, Ye, Li, Liu &
Yao, "A group sequential Holm procedure with multiple primary endpoints", Stat. Med. 32 (2013) 1112–1124.
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

LOOKS: Final = {10: 1 / 4, 14: 1 / 4, 20: 1 / 4, 28: 1 / 16, 40: 1 / 16, 60: 1 / 16, 90: 1 / 16}
"""After how many pairs a suspect is judged, and what share of the error each of these looks may spend."""

EXCESS_ERROR: Final = 0.1
"""How often a slowdown that is at the boundary may pass for a larger one, at one look."""

BOUNDARY: Final = 0.4
"""Of the logarithm of the slowdown that must be found."""

PRECISE: Final = 0.1
"""Of the same: half an interval's width with which there is nothing more to learn."""

FEWEST_PAIRS: Final = 6  # the least for which (smallest, largest) is a 95 % interval of the median


class Verdict(StrEnum):
    """What the pairs say of one quantity of one contender in one cell."""

    OPEN = "open"
    SUSPECT = "suspect"
    SAME = "same"
    SLOWER = "slower"
    FASTER = "faster"
    LEFT = "left"
    """Not suspected, and not asked any further: the contender is decided otherwise."""


class Interval(NamedTuple):
    """The median of pairs' numbers, and its interval."""

    median: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Of log(candidate / base)."""
        return (self.high - self.low) / 2

    def towards(self, direction: int) -> Interval:
        """As it is for 1, of base / candidate for −1."""
        return self if direction > 0 else Interval(-self.median, -self.high, -self.low)


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
    slowdown: float
    """The one that must be found: 0.05 is 5 %."""
    screening: list[float] = field(default_factory=list)
    confirming: list[float] = field(default_factory=list)
    verdict: Verdict = Verdict.OPEN

    def add(self, log: float) -> None:
        """One more pair's log(candidate / base); it changes nothing that is decided."""
        if not self.decided:
            (self.confirming if self.verdict is Verdict.SUSPECT else self.screening).append(log)

    @property
    def limit(self) -> float:
        """Of log(candidate / base)."""
        return math.log1p(self.slowdown)

    @property
    def boundary(self) -> float:
        """What lies above it raises an alarm; of log(candidate / base)."""
        return boundary(self.slowdown)

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
    asked = list(questions)
    for question in asked:
        if question.verdict is Verdict.OPEN:
            question.verdict = _screened(question, closing)
    family = sum(not question.decided for question in asked)
    due = {question: _p_value(question, closing) for question in asked if _is_due(question, closing)}
    certain = holm(due, family, error)
    for question in due:
        if question in certain and _is_large(question):
            question.verdict = Verdict.SLOWER if question.direction > 0 else Verdict.FASTER
        elif _is_small(question, question.confirming, question.direction, closing):
            question.verdict = Verdict.SAME


def _screened(question: Question, closing: bool) -> Verdict:
    interval = median_interval(question.screening)
    if interval is None:
        return Verdict.OPEN
    if interval.low > question.boundary or interval.high < -question.boundary:
        return Verdict.SUSPECT
    return Verdict.SAME if _is_small(question, question.screening, 1, closing) else Verdict.OPEN


def _is_due(question: Question, closing: bool) -> bool:
    """At the looks only: judged after every pair, chance would be given too many tries."""
    look = len(question.confirming) in LOOKS or (closing and len(question.confirming) > 0)
    return question.verdict is Verdict.SUSPECT and look


def _p_value(question: Question, closing: bool) -> float:
    """Of the confirmation, over the share of the error that this look may spend: the last one, all that is left."""
    count = len(question.confirming)
    share = sum(share for look, share in LOOKS.items() if look >= count) if closing else LOOKS[count]
    return sign_test([question.direction * log for log in question.confirming], 0.0) / share if share else 1.0


def _is_large(question: Question) -> bool:
    return sign_test([question.direction * log for log in question.confirming], question.boundary) <= EXCESS_ERROR


def _is_small(question: Question, logs: Sequence[float], direction: int, closing: bool) -> bool:
    """Below the boundary; or within the limit, where that is all that will be known."""
    found = median_interval(logs)
    if found is None:
        return False
    high = found.towards(direction).high
    precise = found.half_width <= PRECISE * question.limit
    return high < question.boundary or ((precise or closing) and high < question.limit)


def boundary(slowdown: float) -> float:
    """The boundary for a slowdown (0.05 is 5 %) that must be found, of log(candidate / base)."""
    return BOUNDARY * math.log1p(slowdown)
