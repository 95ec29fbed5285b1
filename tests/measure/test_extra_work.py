"""The contenders of the selftest do as much more as they say, and no other work."""

from __future__ import annotations

from typing import final

import numpy as np
import pytest

from convbench import catalog
from convbench.algorithm import Array, ConvAlgorithm, ConvPlan, ErrorModel, PreparedConv, Resources, Unsupported
from convbench.measure.extra_work import EXTRA, Workload, amount, contender_name, contenders, true_share
from convbench.operands import operands
from convbench.selftest import SHARES, workloads
from convbench.spec import ConvSpec

BAND = Workload("", "naive", ConvSpec(h=102, w=20, r=3, s=3), 1, 1)


def test_every_share_is_done_to_a_tenth_of_a_percent() -> None:
    for workload in workloads(2):
        for share in SHARES:
            assert true_share(workload, share) == pytest.approx(share, abs=1e-3), workload


def test_whole_calls_and_rows() -> None:
    assert amount(BAND, 0.05) == (1, 5)
    assert amount(BAND, 0.0) == (1, 0)
    many = Workload("", "naive", ConvSpec(h=9, w=9, r=3, s=3), 1, 100)
    assert amount(many, 0.05) == (105, 0)
    assert amount(many, 0.29) == (129, 0)  # 1.29 · 100 is a hair below 129


def test_names_are_names_of_algorithms() -> None:
    names = {contender_name(BAND, share, twin) for share in (0.0, 0.025, 0.2) for twin in range(2)}
    assert len(names) == 6
    assert all(name.replace("_", "").replace("-", "").isalnum() for name in names)


@final
class CountedNaive(ConvAlgorithm):
    """Naive loops that note how often and on how many rows they are used."""

    name = "naive"

    def __init__(self) -> None:
        self.inner = catalog.builtin()["naive"]
        self.planned: list[int] = []
        self.prepared = 0
        self.rows: list[int] = []

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        return self.inner.supports(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        return self.inner.error_model(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        self.planned.append(spec.p)
        return CountedPlan(self, self.inner.plan(spec, resources))


@final
class CountedPlan(ConvPlan):
    def __init__(self, algorithm: CountedNaive, plan: ConvPlan) -> None:
        self.algorithm, self.plan = algorithm, plan
        self.workspace_bytes = plan.workspace_bytes

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        self.algorithm.prepared += 1
        conv = self.plan.prepare(w)
        assert isinstance(conv, PreparedConv)
        return CountedConv(self.algorithm, conv)


@final
class CountedConv(PreparedConv):
    def __init__(self, algorithm: CountedNaive, conv: PreparedConv) -> None:
        self.algorithm, self.conv = algorithm, conv

    def execute(self, x: Array, y: Array) -> None:
        self.algorithm.rows.append(y.shape[2])
        self.conv.execute(x, y)


def execute(contender: ConvAlgorithm) -> Array:
    """The contender's output on seeded operands."""
    given = operands(BAND.spec, 0)
    prepared = contender.plan(BAND.spec, Resources()).prepare(given.prepared)
    assert isinstance(prepared, PreparedConv)
    y = np.empty(BAND.spec.output_shape, BAND.spec.dtype)
    prepared.execute(given.input, y)
    return y


@pytest.mark.parametrize("share", [0.0, 0.05, 1.5])
def test_extra_work_is_calls_of_the_same_kernel_and_the_same_result(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EXTRA, "1")
    naive = CountedNaive()
    ((_, contender),) = contenders({"naive": naive}, [BAND], [(share, 0)]).items()
    y = execute(contender)
    assert sum(naive.rows) == round(100 * (1 + share))
    np.testing.assert_array_equal(y, execute(naive.inner))


def test_the_base_does_no_extra_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EXTRA, raising=False)
    naive = CountedNaive()
    ((_, contender),) = contenders({"naive": naive}, [BAND], [(0.05, 0)]).items()
    execute(contender)
    assert naive.rows == [100]


@pytest.mark.parametrize("active", [False, True])
def test_both_sides_plan_and_prepare_alike(active: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: the base planned less, and gates found slower plans where only `execute` had been slowed."""
    monkeypatch.delenv(EXTRA, raising=False)
    if active:
        monkeypatch.setenv(EXTRA, "1")
    naive = CountedNaive()
    ((_, contender),) = contenders({"naive": naive}, [BAND], [(0.05, 0)]).items()
    execute(contender)
    assert (naive.planned, naive.prepared) == ([100, 5], 2)
