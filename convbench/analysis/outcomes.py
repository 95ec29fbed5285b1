"""What a gate says of each contender in each cell, in one word and one line, and the exit code that follows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from statistics import median
from typing import Final

from convbench.algorithm import unit_roundoff
from convbench.analysis.gate import Question, Verdict
from convbench.analysis.statistics import block_median, paired_log_ratios
from convbench.errors import ExitCode
from convbench.result import Block, Cell, GateLimits, Record, Status

EXECUTE: Final = "execute"
QUANTITIES: Final = (EXECUTE, "plan", "prepare")

LEAST_PLAN_S: Final = 1e-3
"""Added to both sides of a plan's or a preparation's time: what is done once and in less is nobody's concern."""

LEAST_WORKSPACE_BYTES: Final = 2**20

ENOUGH_FAILURES: Final = 2
"""Pairs in which a contender must fail before it is believed."""


class Result(StrEnum):
    """One contender in one cell, as far as its commit is concerned."""

    SAME = "same"
    FASTER = "faster"
    SLOWER = "slower"
    LARGER = "larger"
    LESS_ACCURATE = "less accurate"
    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"
    NEW = "new"
    MENDED = "mended"
    NOT_MEASURED = "not measured"


EXIT_CODES: Final = {
    Result.BROKEN: ExitCode.DISAGREEMENT,
    Result.LESS_ACCURATE: ExitCode.DISAGREEMENT,
    Result.SLOWER: ExitCode.SLOWER,
    Result.LARGER: ExitCode.SLOWER,
    Result.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}
"""Of those that fail a gate, the gravest first."""


class Outcome(Record):
    """The verdict on one contender in one cell; `change` is candidate / base − 1 with its 95 % interval."""

    cell: str
    name: str = ""
    ground: str = ""
    algorithm: str
    result: Result
    detail: str = ""
    pairs: int = 0
    yardstick: str = ""
    """What the times were divided by, against a stored run."""
    change: float | None = None
    low: float | None = None
    high: float | None = None
    max_slowdown: float
    base_s: float | None = None
    candidate_s: float | None = None
    base_error: float | None = None
    candidate_error: float | None = None
    base_workspace_bytes: int | None = None
    candidate_workspace_bytes: int | None = None
    spent_s: float = 0.0


def exit_code(outcomes: Sequence[Outcome]) -> ExitCode:
    """Of the gravest outcome; `NOTHING_MEASURED` where no contender could be compared with its base."""
    results = {outcome.result for outcome in outcomes}
    for result, code in EXIT_CODES.items():
        if result in results:
            return code
    compared = results - {Result.NEW, Result.MENDED, Result.NOT_MEASURED}
    return ExitCode.FINE if compared else ExitCode.NOTHING_MEASURED


def pair_logs(base: Block, candidate: Block) -> dict[str, float]:
    """log(candidate / base) of each quantity that a pair has measured; plans in which a side compiled are left out."""
    ratio = paired_log_ratios([candidate], [base])
    if not ratio:
        return {}
    found = {EXECUTE: ratio[base.pass_index]}
    if not base.compiled and not candidate.compiled:
        for quantity, before_s, after_s in (
            ("plan", base.plan_s, candidate.plan_s),
            ("prepare", base.prepare_s, candidate.prepare_s),
        ):
            if before_s is not None and after_s is not None:
                found[quantity] = math.log((after_s + LEAST_PLAN_S) / (before_s + LEAST_PLAN_S))
    return found


def failed(base: Sequence[Block], candidate: Sequence[Block]) -> bool:
    """Whether more pairs would not help: a side has failed often enough to be believed."""
    return any(
        sum(block.status is not Status.PASSED for block in side) >= ENOUGH_FAILURES for side in (base, candidate)
    )


def outcome(
    cell: Cell,
    algorithm: str,
    base: Sequence[Block],
    candidate: Sequence[Block],
    questions: Mapping[str, Question],
    limits: GateLimits,
    spent_s: float = 0.0,
) -> Outcome | None:
    """The verdict from all pairs of a contender in a cell; None where neither side supports the cell."""
    if all(block.status is Status.UNSUPPORTED for block in (*base, *candidate)):
        return None
    result, detail = (
        wrong(cell, base, candidate, limits)
        or _from_times(questions)
        or larger(base, candidate, limits)
        or _otherwise(questions)
    )
    interval = questions[EXECUTE].interval
    logs = questions[EXECUTE].logs
    middle = interval.median if interval else median(logs) if logs else None
    return Outcome(
        cell=cell.key,
        name=cell.name,
        ground=cell.ground,
        algorithm=algorithm,
        result=result,
        detail=detail,
        pairs=len(questions[EXECUTE].screening) + len(questions[EXECUTE].confirming),
        change=None if middle is None else math.expm1(middle),
        low=None if interval is None else math.expm1(interval.low),
        high=None if interval is None else math.expm1(interval.high),
        max_slowdown=limits.slowdown(cell, algorithm, EXECUTE),
        base_s=_middle(base),
        candidate_s=_middle(candidate),
        base_error=_error(base),
        candidate_error=_error(candidate),
        base_workspace_bytes=_workspace(base),
        candidate_workspace_bytes=_workspace(candidate),
        spent_s=spent_s,
    )


Found = tuple[Result, str]


def wrong(cell: Cell, base: Sequence[Block], candidate: Sequence[Block], limits: GateLimits) -> Found | None:
    """What is wrong whatever the times: a side that fails, an error that grew."""
    return _from_failures(base, candidate) or _from_accuracy(cell, base, candidate, limits)


def _from_failures(base: Sequence[Block], candidate: Sequence[Block]) -> Found | None:
    before, after = _failure(base), _failure(candidate)
    if before is None and after is None:
        return None
    if before is None and after is not None:
        wrong = after.status is Status.DISAGREED
        return (Result.LESS_ACCURATE if wrong else Result.BROKEN), f"{after.status}: {after.reason}"
    if after is None and before is not None:
        if before.status is Status.UNSUPPORTED:
            return Result.NEW, f"the base does not have it: {before.reason}"
        return Result.MENDED, f"the base {before.status}: {before.reason}"
    assert after is not None
    return Result.NOT_MEASURED, f"both fail; the candidate {after.status}: {after.reason}"


def _failure(side: Sequence[Block]) -> Block | None:
    """The failure that is to be believed: one that was seen twice, or the only thing that was seen."""
    failures = [block for block in side if block.status is not Status.PASSED]
    return failures[-1] if len(failures) >= min(ENOUGH_FAILURES, len(side)) and failures else None


def _from_accuracy(cell: Cell, base: Sequence[Block], candidate: Sequence[Block], limits: GateLimits) -> Found | None:
    before, after = _error(base), _error(candidate)
    if before is None or after is None:
        return None
    allowed = limits.max_error_growth * max(before, unit_roundoff(cell.spec.dtype))
    if after <= allowed:
        return None
    return (
        Result.LESS_ACCURATE,
        f"its error grew from {before:.2g} to {after:.2g}, more than {limits.max_error_growth:g} times",
    )


def _from_times(questions: Mapping[str, Question]) -> Found | None:
    slower = [name for name in QUANTITIES if questions[name].verdict is Verdict.SLOWER]
    if not slower:
        return None
    told = [f"{name} {_change(questions[name])}" for name in slower]
    return Result.SLOWER, ", ".join(told)


def larger(base: Sequence[Block], candidate: Sequence[Block], limits: GateLimits) -> Found | None:
    """A workspace that grew."""
    before, after = _workspace(base), _workspace(candidate)
    if before is None or after is None or after <= before * (1 + limits.max_workspace_growth) + LEAST_WORKSPACE_BYTES:
        return None
    return Result.LARGER, f"its workspace grew from {before / 2**20:.1f} to {after / 2**20:.1f} MiB"


def _otherwise(questions: Mapping[str, Question]) -> Found:
    timed = questions[EXECUTE]
    if timed.verdict is Verdict.OPEN:
        return Result.INCONCLUSIVE, "not decided within its time"
    if timed.verdict is Verdict.SUSPECT and timed.direction > 0:
        return Result.INCONCLUSIVE, "suspected of being slower, not confirmed within its time"
    if timed.verdict is Verdict.FASTER:
        return Result.FASTER, ""
    suspects = {name: questions[name] for name in QUANTITIES if questions[name].verdict is Verdict.SUSPECT}
    told = (f"{name} {'slower' if one.direction > 0 else 'faster'}" for name, one in suspects.items())
    return Result.SAME, f"perhaps {', '.join(told)}: not confirmed within its time" if suspects else ""


def _change(question: Question) -> str:
    interval = question.interval
    assert interval is not None
    low, middle, high = (100 * math.expm1(value) for value in (interval.low, interval.median, interval.high))
    return f"{middle:+.1f} % ({low:+.1f} … {high:+.1f})"


def _middle(side: Sequence[Block]) -> float | None:
    medians = [block_median(block) for block in side if block.samples_s]
    return median(medians) if medians else None


def _error(side: Sequence[Block]) -> float | None:
    errors = [block.agreement.error for block in side if block.agreement is not None]
    return median(errors) if errors else None


def _workspace(side: Sequence[Block]) -> int | None:
    found = [block.workspace_bytes for block in side if block.workspace_bytes is not None]
    return max(found) if found else None
