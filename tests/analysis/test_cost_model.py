"""Predictions from measured times: of a world whose times are known."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest

from convbench.analysis import cost_model
from convbench.analysis.cost_model import CostModel, Measured
from convbench.analysis.dispatch import SCHEMA_VERSION, Dispatcher, DispatchTable, fit
from convbench.analysis.regret import always, regret
from convbench.analysis.shape_design import MOST_BYTES, MOST_FLOPS, shapes
from convbench.spec import ConvSpec


def direct_s(spec: ConvSpec, threads: int) -> float:
    """Multiply-adds at a rate that small widths do not reach, and the time to call."""
    return 2e-6 + spec.direct_flops / (5e10 * threads * spec.q / (spec.q + 20))


def transform_s(spec: ConvSpec, threads: int) -> float:
    """As much for any extent of the filter."""
    points, depth = spec.n * spec.h * spec.w, math.log2(spec.h * spec.w)
    return 2e-5 + points * ((spec.c + spec.k) * depth * 2e-9 / threads + spec.c * spec.k * 2e-10)


WORLD = {"direct": direct_s, "transform": transform_s}


def measured(seed: int, count: int, noise: float = 0.02) -> list[Measured]:
    rng = np.random.default_rng(seed)
    return [
        Measured(
            spec=spec, threads=threads, algorithm=name, seconds=taken(spec, threads) * math.exp(noise * rng.normal())
        )
        for spec in islice(shapes(seed), count)
        for threads in (1, 4)
        for name, taken in WORLD.items()
    ]


def dispatcher(some: list[Measured]) -> Dispatcher:
    return Dispatcher(
        DispatchTable(
            schema_version=SCHEMA_VERSION,
            machine={},
            versions={},
            measured_utc="2026-11-26",
            measured=tuple(some),
            fitted=fit(some),
        )
    )


@pytest.fixture(scope="module")
def trained() -> Dispatcher:
    return dispatcher(measured(0, 60))


def test_times_are_predicted_on_shapes_that_were_not_measured(trained: Dispatcher) -> None:
    for name, taken in WORLD.items():
        off = [
            trained.models[name].log_seconds(spec, threads)[0] - math.log(taken(spec, threads))
            for spec in islice(shapes(99), 40)
            for threads in (1, 4)
        ]
        assert np.median(np.abs(off)) < 0.08
        assert np.sqrt(np.mean(np.square(off))) < 0.3


def test_the_quicker_one_is_chosen(trained: Dispatcher) -> None:
    times = {
        (spec, threads): {name: taken(spec, threads) for name, taken in WORLD.items()}
        for spec in islice(shapes(99), 40)
        for threads in (1, 4)
    }
    choices = {problem: trained.choices(*problem, list(WORLD))[0].algorithm for problem in times}
    found = regret("table", [times, times], choices)
    assert found is not None
    assert len(found.choices) == 80
    assert found.near >= 0.9
    single = regret("one", [times, times], dict.fromkeys(times, always(times, list(WORLD))))
    assert single is not None
    assert single.near < found.near


def test_the_luck_of_one_round_is_not_a_choices_fault() -> None:
    spec = ConvSpec(h=8, w=8, r=3, s=3)
    rng = np.random.default_rng(0)
    names = [f"one_{index}" for index in range(12)]
    rounds = [
        {(spec, n): {name: float(np.exp(rng.normal(0, 0.05))) for name in names} for n in range(200)} for _ in "12"
    ]
    found = regret("any of twelve that are alike", rounds, dict.fromkeys(rounds[0], "one_3"))
    assert found is not None
    least = [min(times.values()) for times in rounds[0].values()]
    assert np.median([times["one_3"] for times in rounds[0].values()]) / np.median(least) > 1.07
    assert found.mean < 0.03
    slow = [{problem: {**times, "one_3": 1.3} for problem, times in one.items()} for one in rounds]
    assert regret("slow", slow, dict.fromkeys(rounds[0], "one_3")).median == pytest.approx(0.3, abs=0.02)  # type: ignore[union-attr]
    assert regret("in one round only", [rounds[0], {}], dict.fromkeys(rounds[0], "one_3")) is None


def test_what_lies_far_from_all_measurements_is_uncertain(trained: Dispatcher) -> None:
    model = trained.models["direct"]
    near = model.measured[0].spec
    far = ConvSpec(n=512, c=4096, h=300, w=300, k=4096, r=31, s=1)
    assert model.log_seconds(far, 1)[1] > 3 * model.log_seconds(near, 1)[1]
    assert model.nearest(near, 1).spec == near


def test_the_gradient_is_that_of_the_likelihood() -> None:
    some = [one for one in measured(1, 12) if one.algorithm == "direct"]
    points, left = cost_model._observed(some, cost_model._rates(some))
    points = points[:, np.ptp(points, axis=0) > 0]
    here = np.concatenate((np.linspace(-0.3, 0.4, points.shape[1]), [-0.5, -2.0]))
    _, gradient = cost_model._negative_log_posterior(here, points, left)
    for index in range(len(here)):
        step = np.zeros_like(here)
        step[index] = 1e-5
        after, before = (cost_model._negative_log_posterior(here + sign * step, points, left)[0] for sign in (1, -1))
        assert (after - before) / 2e-5 == pytest.approx(gradient[index], rel=1e-3, abs=1e-4)


def test_a_fit_that_is_told_again_predicts_the_same(trained: Dispatcher) -> None:
    again = Dispatcher(DispatchTable.model_validate_json(trained.table.model_dump_json()))
    spec = ConvSpec(h=100, w=100, r=9, s=9)
    assert again.choices(spec, 2, list(WORLD)) == trained.choices(spec, 2, list(WORLD))


def test_rates_are_not_negative_and_features_are_as_many_as_are_said() -> None:
    some = [one for one in measured(2, 10) if one.algorithm == "transform"]
    assert min(CostModel.fit(some, roughly=True).rates) >= 0
    assert {len(cost_model.features(one.spec, 1)) for one in some} == {cost_model.FEATURES}


def test_shapes_are_the_same_each_time_and_none_comes_twice() -> None:
    first = list(islice(shapes(5), 300))
    assert first == list(islice(shapes(5), 300))
    assert len(set(first)) == 300
    assert all(spec.direct_flops <= MOST_FLOPS and spec.minimal_bytes <= MOST_BYTES for spec in first)
    assert len(set(first) & set(islice(shapes(1005), 300))) < 15  # of another seed
    kinds = [spec.groups > 1 for spec in first], [spec.c == spec.k == 1 for spec in first]
    assert all(0.05 < np.mean(kind) < 0.5 for kind in kinds)
