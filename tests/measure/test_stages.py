"""How many calls are asked for their stages, and of whom."""

from __future__ import annotations

from typing import Any

import pytest

from convbench.measure.bench import Bench, Limits
from convbench.measure.effort import QUICK, Effort
from convbench.result import Cell, Status
from convbench.spec import ConvSpec
from convbench.tuning import GLANCE


class Worker:
    """Tells two stages, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, object]] = []

    def ask(self, action: str, _timeout_s: float, _most_bytes: int, **arguments: object) -> dict[str, Any]:
        self.asked.append({"do": action, **arguments})
        return {"stages_s": {"in": [1.0], "out": [2.0]}, "spent_s": 0.0, "compiled": 0, "compile_s": 0.0}


def bench(**changes: object) -> Bench:
    cell = Cell(spec=ConvSpec(h=9, w=9, r=3, s=3))
    worker: Any = Worker()
    made = Bench(cell, "a", 0, worker, Limits(lambda: 1.0, 2**30), None, status=Status.PASSED, warmup_s=[1e-3])
    made.samples_s = [1e-3]
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(("call_s", "calls"), [(1e-6, 7), (5e-3, 7), (1e-2, 5), (0.04, 1), (10.0, 1)])
def test_calls_are_few_and_at_least_one(call_s: float, calls: int) -> None:
    assert Effort().stagings(call_s) == calls
    assert QUICK.stagings(call_s) <= calls
    assert GLANCE.stagings(call_s) == 0


def test_stages_are_told_once_everything_else_is_known() -> None:
    made = bench()
    made.tell_stages(Effort())
    assert made.worker.asked == [{"do": "stages", "count": 7, "rewarm": True}]  # type: ignore[attr-defined]
    assert made.block().stages_s == {"in": (1.0,), "out": (2.0,)}
    assert made.block().samples_s == (1e-3,)


@pytest.mark.parametrize(
    "state",
    [{"samples_s": [], "warmup_s": []}, {"samples_s": []}, {"status": Status.DISAGREED}, {"accelerated": True}],
    ids=["never called", "not timed", "wrong", "on a device"],
)
def test_nobody_else_is_asked(state: dict[str, object]) -> None:
    made = bench(**state)
    made.tell_stages(Effort())
    assert made.worker.asked == []  # type: ignore[attr-defined]
