"""Decisions from pairs: exact where they can be, and kept honest by simulation where they are rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from convbench.analysis.gate import LOOKS, Question, Verdict, boundary, decide, holm, median_interval, sign_test

B = boundary(0.05)


def question(name: str = "a", slowdown: float = 0.05) -> Question:
    return Question("cell", name, "execute", slowdown)


def feed(asked: list[Question], draw: object, rounds: int = 100) -> None:
    """Pairs for whatever is undecided, as a gate makes them."""
    for _ in range(rounds):
        waiting = [one for one in asked if not one.decided]
        if not waiting:
            break
        for one in waiting:
            one.add(draw(one))  # type: ignore[operator]
        decide(asked)
    decide(asked, closing=True)


@pytest.mark.parametrize(("count", "low", "high"), [(6, 0, 5), (8, 0, 7), (9, 1, 7), (10, 1, 8), (20, 5, 14)])
def test_the_interval_is_between_the_order_statistics_of_the_sign_test(count: int, low: int, high: int) -> None:
    interval = median_interval([float(value) for value in range(count)])
    assert interval is not None
    assert (interval.low, interval.high) == (low, high)
    assert interval.median == (count - 1) / 2
    assert stats.binomtest(low, count).pvalue <= 0.05 < stats.binomtest(low + 1, count).pvalue


def test_five_pairs_give_no_interval() -> None:
    assert median_interval([0.0] * 5) is None


def test_intervals_hold_the_median_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    for count in (6, 9, 15, 30):
        draws = rng.standard_cauchy((4000, count))  # no mean, no variance: nothing is assumed of the noise
        held = sum(i.low <= 0 <= i.high for i in map(median_interval, draws.tolist()) if i is not None)
        assert held / 4000 > 0.94


def test_the_sign_test_is_the_binomial_tail() -> None:
    logs = [0.1] * 9 + [-0.1]
    assert sign_test(logs, 0.02) == pytest.approx(stats.binomtest(9, 10, alternative="greater").pvalue)
    assert sign_test([-0.1] * 10, 0.02) == 1.0


def test_holm_steps_down_and_stops() -> None:
    asked = {question(name): p for name, p in (("a", 0.001), ("b", 0.004), ("c", 0.02))}
    names = {one.algorithm for one in holm(asked, family=10, error=0.05)}
    assert names == {"a", "b"}  # 0.001 ≤ .05/10 and 0.004 ≤ .05/9, but 0.02 > .05/8
    assert {one.algorithm for one in holm(asked, family=60, error=0.05)} == set()


def test_steady_pairs_without_a_change_are_the_same_after_six() -> None:
    one = question()
    feed([one], lambda _: 0.001)
    assert one.verdict is Verdict.SAME
    assert len(one.screening) == 6


@pytest.mark.parametrize(("change", "verdict"), [(1.05, Verdict.SLOWER), (0.95, Verdict.FASTER)])
def test_a_change_is_confirmed_by_pairs_of_its_own(change: float, verdict: Verdict) -> None:
    one = question()
    feed([one], lambda _: math.log(change))
    assert one.verdict is verdict
    assert len(one.screening) == 6
    assert len(one.confirming) in LOOKS
    assert one.interval is not None
    assert math.exp(one.interval.median) == pytest.approx(change)


def test_a_suspicion_that_does_not_come_again_is_dropped() -> None:
    one = question()
    logs = iter([0.06] * 6 + [0.0] * 20)
    feed([one], lambda _: next(logs))
    assert one.verdict is Verdict.SAME


def test_what_lies_at_the_boundary_is_within_the_limit_and_so_the_same() -> None:
    rng = np.random.default_rng(3)
    one = question()
    feed([one], lambda _: B + rng.normal(0, 0.02), rounds=40)
    assert one.verdict is Verdict.SAME
    assert one.interval is not None
    assert one.interval.high < one.limit


def test_what_is_known_precisely_is_not_asked_for_ever() -> None:
    rng = np.random.default_rng(3)
    one = question()
    feed([one], lambda _: B + rng.normal(0, 0.005), rounds=400)
    assert one.verdict is Verdict.SAME
    assert len(one.screening) < 60


def test_what_may_exceed_the_limit_stays_undecided() -> None:
    rng = np.random.default_rng(3)
    one = question()
    feed([one], lambda _: rng.normal(0.05, 0.2), rounds=20)
    assert not one.decided


def test_a_trifle_is_no_alarm_however_certain() -> None:
    one = question()
    one.verdict = Verdict.SUSPECT
    feed([one], lambda _: 0.9 * B)
    assert one.verdict is Verdict.SAME


def confirmed_after(family: int, verdict: Verdict) -> int:
    """Pairs until a steady slowdown is confirmed, among others with this verdict."""
    others = [question(str(index)) for index in range(family)]
    for other in others:
        other.verdict = verdict
    one = question()
    for _ in range(100):
        one.add(math.log(1.1))
        decide([one, *others])
    assert one.verdict is Verdict.SLOWER
    return len(one.confirming)


def test_holms_family_is_what_may_come_to_be_confirmed() -> None:
    assert confirmed_after(1000, Verdict.SAME) == 10
    assert confirmed_after(1000, Verdict.LEFT) == 10
    assert confirmed_after(1000, Verdict.SLOWER) == 10
    assert confirmed_after(20, Verdict.OPEN) == 14
    assert confirmed_after(1000, Verdict.SUSPECT) == 20


def test_the_looks_spend_the_error_once() -> None:
    assert sum(LOOKS.values()) == 1


def test_the_last_look_spends_what_the_others_have_left() -> None:
    """26 of 32 above 0, p = 2.7e-4: too much for the next look's sixteenth of 1 %, among four; not for all the rest."""
    one, *others = (question(str(index)) for index in range(4))
    for each in (one, *others):
        each.verdict = Verdict.SUSPECT
    one.screening, one.confirming = [0.05] * 6, [0.05] * 26 + [-0.05] * 6
    p = sign_test(one.confirming, 0.0)
    assert 0.01 / 4 * LOOKS[40] < p < 0.01 / 4 * (LOOKS[40] + LOOKS[60] + LOOKS[90])
    decide([one, *others])
    assert one.verdict is Verdict.SUSPECT
    decide([one, *others], closing=True)
    assert one.verdict is Verdict.SLOWER


def test_gates_without_a_change_raise_fewer_alarms_than_they_may() -> None:
    """Noise as wide as the limit itself, with outliers: 300 gates of 20 contenders."""
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(300):
        asked = [question(str(index)) for index in range(20)]
        feed(asked, lambda _: 0.05 * rng.standard_t(2), rounds=60)
        alarms += any(one.verdict in (Verdict.SLOWER, Verdict.FASTER) for one in asked)
    assert alarms <= 3  # 1 %; the boundary makes it far less


def test_true_slowdowns_of_the_limit_are_found() -> None:
    rng = np.random.default_rng(5)
    asked = [question(str(index)) for index in range(300)]
    feed(asked, lambda _: math.log(1.05) + 0.015 * rng.standard_t(3), rounds=100)
    found = sum(one.verdict is Verdict.SLOWER for one in asked)
    assert found >= 297
