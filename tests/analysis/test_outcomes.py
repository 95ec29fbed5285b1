"""One word for a contender in a cell, and the exit code of all words together."""

from __future__ import annotations

import pytest

from convbench.analysis.gate import Question, Verdict
from convbench.analysis.outcomes import QUANTITIES, Outcome, Result, exit_code, failed, outcome, pair_logs
from convbench.errors import ExitCode
from convbench.result import Agreement, Block, Cell, GateException, GateLimits, Status
from convbench.spec import ConvSpec

CELL = Cell(spec=ConvSpec(h=8, w=8, r=3, s=3), ground="small")
LIMITS = GateLimits()


def block(
    index: int = 0,
    time_s: float = 1e-3,
    status: Status = Status.PASSED,
    error: float = 1e-7,
    workspace_bytes: int = 0,
    plan_s: float = 1e-3,
    compiled: int = 0,
) -> Block:
    passed = status is Status.PASSED
    return Block(
        cell=CELL.key,
        algorithm="a",
        pass_index=index,
        status=status,
        reason="" if passed else "a reason",
        samples_s=(time_s,) * 5 if passed else (),
        agreement=Agreement(error=error, bound=1e-5, norm="max", compared=9, outputs=9) if passed else None,
        workspace_bytes=workspace_bytes,
        plan_s=plan_s,
        prepare_s=0.0,
        compiled=compiled,
    )


def judged(base: list[Block], candidate: list[Block], **verdicts: Verdict) -> Outcome | None:
    questions = {name: Question(CELL.key, "a", name, 0.05) for name in QUANTITIES}
    for before, after in zip(base, candidate, strict=True):
        for name, log in pair_logs(before, after).items():
            questions[name].add(log)
    for name in QUANTITIES:
        questions[name].verdict = verdicts.get(name, Verdict.SAME)
    return outcome(CELL, "a", base, candidate, questions, LIMITS)


def pairs(before: dict[str, object], after: dict[str, object], count: int = 6) -> tuple[list[Block], list[Block]]:
    sides = [[block(index, **side) for index in range(count)] for side in (before, after)]  # type: ignore[arg-type]
    return sides[0], sides[1]


@pytest.mark.parametrize(
    ("before", "after", "verdicts", "result", "code"),
    [
        ({}, {}, {}, Result.SAME, 0),
        ({}, {"time_s": 1.1e-3}, {"execute": Verdict.SLOWER}, Result.SLOWER, 1),
        ({}, {"plan_s": 1e-2}, {"plan": Verdict.SLOWER}, Result.SLOWER, 1),
        ({}, {"time_s": 9e-4}, {"execute": Verdict.FASTER}, Result.FASTER, 0),
        ({}, {}, {"execute": Verdict.OPEN}, Result.INCONCLUSIVE, 4),
        ({}, {"time_s": 1.1e-3}, {"execute": Verdict.SUSPECT}, Result.INCONCLUSIVE, 4),
        ({}, {"time_s": 9e-4}, {"execute": Verdict.SUSPECT}, Result.SAME, 0),
        ({}, {"error": 3e-7}, {}, Result.LESS_ACCURATE, 3),
        ({"error": 0.0}, {"error": 1e-7}, {}, Result.SAME, 0),  # within twice the unit roundoff
        ({}, {"status": Status.DISAGREED}, {}, Result.LESS_ACCURATE, 3),
        ({}, {"status": Status.CRASHED}, {}, Result.BROKEN, 3),
        ({}, {"status": Status.UNSUPPORTED}, {}, Result.BROKEN, 3),
        ({"status": Status.UNSUPPORTED}, {}, {}, Result.NEW, 5),
        ({"status": Status.CRASHED}, {}, {}, Result.MENDED, 5),
        ({"status": Status.CRASHED}, {"status": Status.TIMEOUT}, {}, Result.NOT_MEASURED, 5),
        ({"workspace_bytes": 2**24}, {"workspace_bytes": 2**25}, {}, Result.LARGER, 1),
        ({}, {"workspace_bytes": 2**20}, {}, Result.SAME, 0),
    ],
)
def test_results(
    before: dict[str, object], after: dict[str, object], verdicts: dict[str, Verdict], result: Result, code: int
) -> None:
    found = judged(*pairs(before, after), **verdicts)
    assert found is not None
    assert found.result is result, found.detail
    assert exit_code([found]) == code


def test_what_neither_side_supports_is_no_outcome() -> None:
    assert judged(*pairs({"status": Status.UNSUPPORTED}, {"status": Status.UNSUPPORTED})) is None


def test_one_failure_among_many_pairs_is_not_believed() -> None:
    base, candidate = pairs({}, {})
    candidate[2] = block(2, status=Status.CRASHED)
    assert not failed(base, candidate)
    found = judged(base, candidate)
    assert found is not None
    assert found.result is Result.SAME
    candidate[4] = block(4, status=Status.CRASHED)
    assert failed(base, candidate)


def test_the_gravest_outcome_gives_the_exit_code() -> None:
    def one(result: Result) -> Outcome:
        return Outcome(cell="c", algorithm="a", result=result, max_slowdown=0.05)

    results = [Result.SAME, Result.NEW, Result.INCONCLUSIVE, Result.SLOWER, Result.BROKEN]
    codes = [exit_code([one(result) for result in results[: n + 1]]) for n in range(len(results))]
    assert codes == [ExitCode.FINE, ExitCode.FINE, ExitCode.INCONCLUSIVE, ExitCode.SLOWER, ExitCode.DISAGREEMENT]
    assert exit_code([]) is ExitCode.NOTHING_MEASURED


def test_plans_in_which_something_was_compiled_are_not_compared() -> None:
    assert set(pair_logs(block(compiled=1), block())) == {"execute"}
    assert set(pair_logs(block(), block())) == {"execute", "plan", "prepare"}


def test_the_last_exception_that_fits_sets_the_limit() -> None:
    limits = GateLimits(
        limits=(
            GateException(ground="small", max_slowdown=0.1),
            GateException(algorithm="b", max_slowdown=0.2),
            GateException(ground="large", max_slowdown=0.3),
        )
    )
    assert limits.slowdown(CELL, "a", "execute") == 0.1
    assert limits.slowdown(CELL, "b", "execute") == 0.2
    assert limits.slowdown(CELL, "b", "plan") == 0.5
