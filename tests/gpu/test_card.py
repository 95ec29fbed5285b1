"""On a card: the contract of every algorithm, and what times it. `pytest -m gpu`, wherever there is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings

from contract.cases import ALGORITHMS, CASES, must_run
from contract.harness import changed, check_contract, check_precision
from convbench.algorithm import Array, ConvAlgorithm, ConvPlan, ErrorModel, PreparedConv, Resources, Unsupported
from convbench.spec import ConvSpec
from convbench_algorithms.cuda.device import absence, current, using
from spec_strategy import specs

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(absence()), reason=absence() or "there is a card")]

NAMES = sorted(name for name, one in ALGORITHMS.items() if one.device == "cuda")


def on_the_card(name: str) -> ConvAlgorithm:
    """For the host's arrays; some take these anyway."""
    inner = ALGORITHMS[name]
    return Carried(inner) if inner.accelerator() else inner


LARGE = (
    "h4096w4096r5s5+padding=2",
    "n4c64h56w56k64r3s3+padding=1",
    "n2c128h28w28k128r1s1",
    "h1031w2053r31s31+padding=15",
)
GAUSSIAN = "h2048w2051r31s31+padding=15+filter=gaussian:5"


class Carried(ConvAlgorithm):
    """An algorithm of the card for the host's arrays."""

    name = "carried"

    def __init__(self, inner: ConvAlgorithm) -> None:
        self.inner = inner
        self.precision = inner.precision  # type: ignore[misc]

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        return self.inner.supports(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        return self.inner.error_model(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        plan = _CarriedPlan()
        plan.inner = self.inner.plan(spec, resources)
        plan.workspace_bytes = plan.inner.workspace_bytes
        return plan


class _CarriedPlan(ConvPlan):
    inner: ConvPlan

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        conv = _CarriedConv()
        inner = self.inner.prepare(w)
        if isinstance(inner, Unsupported):
            return inner
        conv.inner = inner
        return conv


class _CarriedConv(PreparedConv):
    inner: PreparedConv

    def execute(self, x: Array, y: Array) -> None:
        card = current()
        there = card.upload(y)
        self.inner.execute(card.upload(x), there)
        np.copyto(y, card.download(there))


@pytest.mark.parametrize("name", NAMES)
def test_it_agrees_on_the_cases_that_it_must_run(name: str) -> None:
    for spec in must_run(name):
        for dtype in CASES[name].dtypes:
            check_contract(on_the_card(name), changed(spec, dtype=dtype))
            check_contract(on_the_card(name), changed(spec, dtype=dtype), tile_limit_bytes=4096)


@pytest.mark.parametrize("name", NAMES)
def test_it_agrees_on_random_specs(name: str) -> None:
    @settings(max_examples=40)
    @given(specs(**CASES[name].random))
    def agrees(spec: ConvSpec) -> None:
        assume(ALGORITHMS[name].supports(spec) is None)
        check_contract(on_the_card(name), spec)

    agrees()


@pytest.mark.parametrize("name", NAMES)
def test_it_agrees_at_sizes_that_fill_the_card(name: str) -> None:
    ran = 0
    for text in (*LARGE, GAUSSIAN):
        spec = changed(ConvSpec.parse(text), dtype=CASES[name].dtypes[0])
        if ALGORITHMS[name].supports(spec) is None:
            check_contract(on_the_card(name), spec)
            if ALGORITHMS[name].precision == "strict":
                check_precision(on_the_card(name), spec)
            ran += 1
    assert ran


def test_the_cards_clock_and_the_hosts_agree() -> None:
    """A hundred copies of 256 MiB: by events, and at no more than the memory can do."""
    card: Any = current()
    x, y = card.upload(np.ones(2**26, np.float32)), card.empty((2**26,), "float32")
    copy = lambda a, b: b.__setitem__(..., a)  # noqa: E731
    card.batch(copy, (x, y), 3)
    seconds, _ = card.batch(copy, (x, y), 100)
    assert 1e-5 < seconds / 100 < 1e-2
    assert 1e8 < card.clock_hz() < 1.2 * card.highest_hz


def test_without_the_stand_in_this_is_the_card() -> None:
    with using(current()):
        assert current().name != "stand-in"
