"""The contenders of the selftest do as much more as they say, and no other work."""

from __future__ import annotations

import numpy as np
import pytest

from convbench import catalog
from convbench.algorithm import ConvPlan, PreparedConv, Resources
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


@pytest.mark.parametrize("share", [0.0, 0.05, 1.5])
def test_extra_work_is_calls_of_the_same_kernel_and_the_same_result(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    naive = catalog.builtin()["naive"]
    plan = type(naive).plan

    def counted(self: object, spec: ConvSpec, resources: Resources) -> ConvPlan:
        made = plan(self, spec, resources)  # type: ignore[arg-type]
        prepare = made.prepare

        def prepared(w: object) -> PreparedConv:
            conv = prepare(w)  # type: ignore[arg-type]
            execute = conv.execute  # type: ignore[union-attr]
            conv.execute = lambda x, y: (rows.append(y.shape[2]), execute(x, y))  # type: ignore[union-attr,method-assign]
            return conv  # type: ignore[return-value]

        made.prepare = prepared  # type: ignore[method-assign,assignment]
        return made

    monkeypatch.setattr(type(naive), "plan", counted)
    monkeypatch.setenv(EXTRA, "1")
    ((_, contender),) = contenders({"naive": naive}, [BAND], [(share, 0)]).items()
    given = operands(BAND.spec, 0)
    prepared = contender.plan(BAND.spec, Resources()).prepare(given.prepared)
    assert isinstance(prepared, PreparedConv)
    y = np.empty(BAND.spec.output_shape, BAND.spec.dtype)
    prepared.execute(given.input, y)
    assert sum(rows) == round(100 * (1 + share))
    expected = np.empty_like(y)
    monkeypatch.undo()
    plain = naive.plan(BAND.spec, Resources()).prepare(given.prepared)
    assert isinstance(plain, PreparedConv)
    plain.execute(given.input, expected)
    np.testing.assert_array_equal(y, expected)


def test_the_base_does_no_extra_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EXTRA, raising=False)
    ((_, contender),) = contenders({"naive": catalog.builtin()["naive"]}, [BAND], [(0.05, 0)]).items()
    assert contender.share == 0  # type: ignore[attr-defined]
