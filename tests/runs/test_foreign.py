"""A library that returns arrays of its own: what of it is timed, and what is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pytest

from convbench.algorithm import (
    Array,
    ConvAlgorithm,
    ConvPlan,
    ErrorModel,
    ForeignConv,
    Resources,
    Unsupported,
    summation_error,
)
from convbench.measure import worker
from convbench.measure.worker import Contender
from convbench.spec import ConvSpec

SPEC = "n1c1h4w6k1r1s1"


class Foreign(ConvAlgorithm):
    """Doubles an image that it holds transposed."""

    name: ClassVar[str] = "foreign"

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        return None

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        return _Plan()


@final
class _Plan(ConvPlan):
    workspace_bytes = 0
    made: ClassVar[list[_Conv]] = []

    def prepare(self, w: Array) -> ForeignConv:
        self.made.append(_Conv())
        return self.made[-1]


@final
class _Conv(ForeignConv):
    def __init__(self) -> None:
        self.steps: list[str] = []

    def accept(self, x: Array) -> Any:
        self.steps.append("accept")
        return x.swapaxes(2, 3).copy()

    def compute(self, x: Any) -> Any:
        self.steps.append("compute")
        return 2 * x

    def deliver(self, result: Any, y: Array) -> None:
        self.steps.append("deliver")
        y[...] = result.swapaxes(2, 3)


@pytest.fixture
def contender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contender:
    monkeypatch.setattr(worker, "_keep_freed_memory", lambda: None)  # for the life of the process, a worker's
    x = np.arange(24, dtype=np.float32).reshape(1, 1, 4, 6)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "w.npy", np.full((1, 1, 1, 1), 2, np.float32))
    made = Contender(Foreign())
    made.plan(SPEC, threads=1, memory_limit_bytes=2**34)
    made.prepare(str(tmp_path / "w.npy"))
    return made


def verified(contender: Contender, tmp_path: Path) -> list[str]:
    contender.verify(str(tmp_path / "x.npy"), str(tmp_path / "y.npy"))
    return _Plan.made[-1].steps


def test_execute_is_the_three_steps() -> None:
    x = np.arange(24, dtype=np.float32).reshape(1, 1, 4, 6)
    y = np.full_like(x, np.nan)
    conv = _Conv()
    conv.execute(x, y)
    assert conv.steps == ["accept", "compute", "deliver"]
    assert np.array_equal(y, 2 * x)


def test_only_compute_is_called_between_looks_at_the_clock(contender: Contender, tmp_path: Path) -> None:
    steps = verified(contender, tmp_path)
    assert steps == ["accept", "compute", "deliver"]
    steps.clear()
    contender.sample(batch=3, rewarm=True)
    assert steps == ["compute"] * 4
    contender.last(str(tmp_path / "y.npy"))
    assert steps == ["compute"] * 4 + ["deliver"]


def test_what_the_last_timed_call_returned_is_judged(contender: Contender, tmp_path: Path) -> None:
    verified(contender, tmp_path)
    right = np.load(tmp_path / "y.npy")
    contender.sample(batch=1, rewarm=False)
    contender.last(str(tmp_path / "y.npy"))
    assert np.array_equal(np.load(tmp_path / "y.npy"), right)
    contender.call = worker.TimedCall(lambda x: np.zeros_like(x), contender.call.arguments)  # pretends, when timed
    contender.sample(batch=1, rewarm=False)
    contender.last(str(tmp_path / "y.npy"))
    assert not np.array_equal(np.load(tmp_path / "y.npy"), right)


def test_no_result_outlives_its_cell(contender: Contender, tmp_path: Path) -> None:
    verified(contender, tmp_path)
    assert contender.result is None  # or the timed calls would have nothing to do
    contender.sample(batch=1, rewarm=False)
    contender.close()
    assert contender.result is None
    assert contender.prepared is None
