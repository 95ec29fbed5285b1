"""Estimates and ratios: intervals over passes, and how often they hold the truth."""

import math

import numpy as np
import pytest

from analysis.synthetic import Synthetic, block, failed, kernel_cells
from convbench.analysis.statistics import (
    DRIFT,
    from_logs,
    independent_ratio,
    paired_ratio,
    student_t,
    time_estimate,
    welch_half_width,
)
from convbench.result import Status

CELL = kernel_cells([5])[0]


def test_the_estimate_is_the_geometric_mean_of_the_pass_medians_with_students_interval():
    blocks = [block(CELL, "a", 0, [1.0, 1.0, 50.0]), block(CELL, "a", 1, [4.0]), block(CELL, "a", 2, [2.0, 2.0])]
    estimate = time_estimate(blocks)
    assert estimate is not None
    assert estimate.value == pytest.approx(2.0)
    half = 4.302653 * math.log(2) / math.sqrt(3)  # t with 2 degrees of freedom; the logs' sd is log 2
    assert estimate.low == pytest.approx(2 * math.exp(-half))
    assert estimate.high == pytest.approx(2 * math.exp(half))
    assert (estimate.passes, estimate.samples) == (3, 6)


def test_one_pass_has_a_spread_and_no_interval_however_many_samples():
    estimate = time_estimate([block(CELL, "a", 0, np.linspace(1, 2, 1001).tolist())])
    assert estimate is not None
    assert (estimate.low, estimate.high) == (None, None)
    assert not estimate.has_interval
    assert estimate.contains(1.0) is None
    assert estimate.half_width == math.inf
    assert estimate.spread == pytest.approx((1.25, 1.75))


def test_more_samples_in_a_pass_do_not_narrow_the_interval():
    few = [block(CELL, "a", i, [1.0 + i / 10]) for i in range(3)]
    many = [block(CELL, "a", i, [1.0 + i / 10] * 100) for i in range(3)]
    assert time_estimate(few).half_width == time_estimate(many).half_width


def test_a_repeated_pass_counts_once_and_failed_blocks_never():
    blocks = [block(CELL, "a", 0, [9.0]), block(CELL, "a", 0, [1.0]), failed(CELL, "a", 1, Status.CRASHED)]
    estimate = time_estimate(blocks)
    assert (estimate.value, estimate.passes) == (1.0, 1)
    assert time_estimate(blocks[2:]) is None


def test_a_ratio_is_paired_by_rounds_so_common_drift_cancels():
    drift = np.exp(np.random.default_rng(0).normal(0, 1, 20).cumsum())
    tops = [block(CELL, "a", i, (3 * drift).tolist()) for i in range(2)]
    bottoms = [block(CELL, "b", i, (2 * drift)[:15].tolist()) for i in (1, 2)]
    ratio = paired_ratio(tops, bottoms)
    assert ratio.value == pytest.approx(1.5)
    assert ratio.passes == 1  # only pass 1 has both
    assert not ratio.has_interval
    assert paired_ratio(tops[:1], bottoms) is None


def test_the_inverse_swaps_the_ends():
    ratio = from_logs([0.1, 0.2, 0.3], 3)
    inverse = ratio.inverse()
    assert inverse.low == pytest.approx(1 / ratio.high)
    assert inverse.high == pytest.approx(1 / ratio.low)


def test_equal_passes_leave_the_drift_of_the_machine_and_none_in_a_ratio_within_a_run():
    same = [block(CELL, "a", i, [2.0]) for i in range(3)]
    assert time_estimate(same).half_width == pytest.approx(math.expm1(1.959964 * DRIFT))
    assert independent_ratio(same, same).half_width == pytest.approx(math.expm1(1.959964 * math.sqrt(2) * DRIFT))
    assert paired_ratio(same, same).half_width == 0


def test_welch_agrees_with_students_t_for_equal_variances_and_sizes():
    tops = [block(CELL, "a", i, [math.exp(x)]) for i, x in enumerate((0.0, 0.1, 0.2))]
    bottoms = [block(CELL, "b", i, [math.exp(x)]) for i, x in enumerate((1.0, 1.1, 1.2))]
    ratio = independent_ratio(tops, bottoms)
    half = student_t(4) * math.sqrt(2 * 0.01 / 3)
    assert welch_half_width([0.0, 0.1, 0.2], [1.0, 1.1, 1.2]) == pytest.approx(half)
    assert math.log(ratio.value) == pytest.approx(-1)
    assert math.log(ratio.high) == pytest.approx(-1 + half)
    assert independent_ratio(tops[:1], bottoms).has_interval is False
    assert independent_ratio([], bottoms) is None


@pytest.mark.parametrize("passes", [2, 5])
def test_intervals_hold_the_truth_about_95_times_in_100(passes):
    rng = np.random.default_rng(0)
    times = ratios = 0
    trials = 600
    for seed in range(trials):
        moment = math.exp(rng.normal(0, DRIFT))
        true_times = {"a": lambda _, moment=moment: 1e-3 * moment, "b": lambda _, moment=moment: 1.3e-3 * moment}
        blocks = Synthetic(true_times, [CELL], passes=passes, drift=0.0).blocks(seed)
        mine, other = ([b for b in blocks if b.algorithm == name] for name in "ab")
        times += time_estimate(mine).contains(1e-3)
        ratios += paired_ratio(other, mine).contains(1.3)
    assert 0.92 <= times / trials <= 0.98
    assert 0.92 <= ratios / trials <= 0.98


def test_an_interval_over_pooled_samples_would_not():
    """Why passes: the same data, treated as independent samples, miss the truth most of the time."""
    run = Synthetic({"a": lambda cell: 1e-3}, [CELL], passes=3, samples=30, drift=0.0)
    held = 0
    for seed in range(200):
        logs = np.log([s for b in run.blocks(seed) for s in b.samples_s])
        half = student_t(len(logs) - 1) * logs.std(ddof=1) / math.sqrt(len(logs))
        held += abs(logs.mean() - math.log(1e-3)) <= half
    assert held / 200 < 0.6
