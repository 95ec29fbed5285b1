"""When a costlier plan pays for itself, and when nobody can tell."""

import pytest

from analysis.synthetic import Synthetic, block, kernel_cells
from convbench.analysis.contenders import contenders
from convbench.analysis.phases import Payback, Reuse, Verdict, phases

(CELL,) = kernel_cells([3])
COSTS = {  # plan, prepare, execute
    "direct": (0.0, 0.0, 10.0),
    "fft": (11.0, 4.0, 5.0),
    "winograd": (9.0, 40.0, 1.0),
    "naive": (0.0, 0.0, 90.0),
}


def run(costs=COSTS, passes=3, spread=0.0, **changes):
    """Pass i has its executions longer by a share of i·spread, one contender up, the next down."""
    made = [
        block(
            CELL, name, i, [execute * (1 + spread * i * (-1) ** place)] * 2, plan_s=plan, prepare_s=prepare, **changes
        )
        for i in range(passes)
        for place, (name, (plan, prepare, execute)) in enumerate(costs.items())
    ]
    info = Synthetic({name: lambda cell: 1.0 for name in costs}, [CELL]).info()
    (found,) = phases(info, contenders(info, made))
    return found


def test_costs_come_with_the_cheapest_for_one_image_first():
    found = run()
    assert [(one.algorithm, round(one.first_s, 9)) for one in found.costs] == [
        ("direct", 10.0),
        ("fft", 20.0),
        ("winograd", 50.0),
        ("naive", 90.0),
    ]


def test_a_break_even_is_the_setup_over_what_a_call_saves():
    paybacks = run().paybacks
    assert paybacks["direct", Reuse.FILTER] == Payback(Verdict.BASE)
    assert paybacks["fft", Reuse.FILTER] == Payback(Verdict.PAYS, 3, 3, 3)  # (11 + 4) / (10 − 5)
    assert paybacks["winograd", Reuse.FILTER] == Payback(Verdict.PAYS, 6, 6, 6)  # ⌈(9 + 40) / (10 − 1)⌉ = ⌈5.4⌉
    assert paybacks["naive", Reuse.FILTER] == Payback(Verdict.NEVER)


def test_with_a_new_filter_each_time_preparing_is_part_of_the_call():
    paybacks = run().paybacks
    assert paybacks["fft", Reuse.SHAPE] == Payback(Verdict.PAYS, 11, 11, 11)  # 11 / (10 − 9)
    assert paybacks["winograd", Reuse.SHAPE] == Payback(Verdict.NEVER)


def test_the_envelope_is_the_cheapest_for_every_number_of_images():
    found = run()
    assert found.envelopes == {
        Reuse.FILTER: ((1, "direct"), (3, "fft"), (9, "winograd")),  # (49 − 15) / (5 − 1) = 8.5
        Reuse.SHAPE: ((1, "direct"), (11, "fft")),
    }
    for n in range(1, 40):
        totals = {one.algorithm: one.setup_s(Reuse.FILTER) + n * one.execute_s for one in found.costs}
        cheapest = [name for first, name in found.envelopes[Reuse.FILTER] if first <= n][-1]
        assert totals[cheapest] == min(totals.values())


def test_whoever_is_overtaken_before_it_leads_is_not_in_it():
    costs = {"a": (0.0, 0.0, 10.0), "b": (50.0, 0.0, 8.0), "c": (10.0, 0.0, 5.0)}
    assert run(costs).envelopes[Reuse.FILTER] == ((1, "a"), (2, "c"))


def test_two_that_cannot_be_told_apart_have_no_break_even():
    found = run({"a": (0.0, 0.0, 1.0), "b": (1.0, 0.0, 0.99)}, spread=0.05)
    assert found.paybacks["b", Reuse.FILTER] == Payback(Verdict.UNCLEAR)
    assert found.envelopes[Reuse.FILTER] == ((1, "a"),)


def test_one_pass_tells_only_of_what_is_far_apart():
    found = run(passes=1)
    assert found.paybacks["fft", Reuse.FILTER].verdict is Verdict.UNCLEAR
    assert found.paybacks["winograd", Reuse.FILTER] == Payback(Verdict.PAYS, 6)


def test_noise_gives_an_interval_around_the_number():
    one = run(spread=0.02).paybacks["fft", Reuse.FILTER]
    assert one.verdict is Verdict.PAYS
    assert one.low <= one.images <= one.high
    assert one.low < one.high


def test_compiling_is_no_part_of_a_plan():
    made = [
        block(CELL, "a", 0, [1.0], plan_s=5.0, compiled=2, compile_s=4.0),
        *(block(CELL, "a", i, [1.0], plan_s=0.25, compiled=0, compile_s=0.0) for i in (1, 2)),
    ]
    info = Synthetic({"a": lambda cell: 1.0}, [CELL]).info()
    ((cost,),) = (one.costs for one in phases(info, contenders(info, made)))
    assert cost.plan_s == 0.25
    ((cost,),) = (one.costs for one in phases(info, contenders(info, made[:1])))
    assert cost.plan_s == pytest.approx(1.0)


def test_cells_without_a_time_are_left_out_and_classes_are_not_mixed():
    info = Synthetic({"a": lambda cell: 1.0, "half": lambda cell: 0.1}, [CELL], precision={"half": "half"}).info()
    assert phases(info, contenders(info, [])) == []
    made = [block(CELL, name, i, [time], plan_s=0.0) for i in range(3) for name, time in (("a", 1.0), ("half", 0.1))]
    (found,) = phases(info, contenders(info, made))
    assert [one.algorithm for one in found.costs] == ["a"]
