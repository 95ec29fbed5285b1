"""Change points: those that are there, and none that are not."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.synthetic import Synthetic, kernel_cells, power_law
from convbench.analysis.history import change_points, trends


@pytest.mark.parametrize("seed", range(8))
def test_noise_has_no_change(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert change_points(rng.normal(0, 0.02, 40)) == ()
    assert change_points(rng.standard_t(3, 30) * 0.02) == ()


@pytest.mark.parametrize(
    ("steps", "expected"), [((0.0, 0.1), (15,)), ((0.0, 0.12, -0.05), (15, 30)), ((0.0, 0.02), ())]
)
def test_a_step_is_found_where_it_is(steps: tuple[float, ...], expected: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    series = np.concatenate([level + rng.normal(0, 0.01, 15) for level in steps])
    assert change_points(series) == expected
    assert change_points(series) == change_points(series)


def test_an_outlier_is_no_change() -> None:
    series = np.zeros(20)
    series[9] = 0.5
    assert change_points(series + np.random.default_rng(0).normal(0, 0.01, 20)) == ()


def test_a_short_series_needs_a_clear_step() -> None:
    assert change_points(np.array([0.0, 0.01, 0.5, 0.51])) == (2,)
    assert change_points(np.array([0.0, 0.05, 0.11, 0.16])) == ()
    assert change_points(np.array([0.0, 1.0])) == ()


def test_runs_become_trends_of_each_contender_and_machine() -> None:
    cells = kernel_cells((3, 9))
    runs = []
    for day in range(8):
        slow = 1.3 if day >= 4 else 1.0
        world = Synthetic({"direct": power_law(1e-3 * slow, 9, 2), "fft": power_law(1e-3, 9, 0)}, cells, drift=0.0)
        started = f"2026-11-0{day + 1}T00:00:00Z"
        info = world.info(started_utc=started, machine={"fingerprint": "here"}, git_commit=str(day))
        runs.append((f"run-{day}", info, world.blocks(day)))
    other = runs[0][1].model_copy(update={"machine": {"fingerprint": "there"}})
    found = trends([*reversed(runs), ("elsewhere", other, runs[0][2])])
    assert len(found) == 4  # the other machine has one run only
    assert [trend.algorithm for trend in found[:2]] == ["direct", "direct"]
    for trend in found[:2]:
        assert trend.changes == (4,)
        assert trend.moments[4].commit == "4"
        assert trend.ratio(4) == pytest.approx(1.3, rel=0.05)
    assert all(trend.changes == () for trend in found[2:])
