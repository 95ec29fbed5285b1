"""Claims on runs whose truth is known: each kind, its interval, its verdict, and a fault that each must see."""

import math
from dataclasses import replace

import pytest

from analysis.synthetic import Synthetic, failed, kernel_cells, power_law
from convbench.analysis.claim_sentences import bounds_text, figure_text, figures_text, verdict_sentence
from convbench.analysis.claims import Figure, Verdict, judged, within
from convbench.analysis.contenders import contenders
from convbench.analysis.crossovers import crossovers
from convbench.result import Break, Cell, Claim, Crossing, Quantity, Ratio, Side, Status
from convbench.spec import ConvSpec

HOLDS, PARTLY, FAILS, UNKNOWN = Verdict.HOLDS, Verdict.PARTLY, Verdict.FAILS, Verdict.UNKNOWN


def constant(**seconds):
    return {name: (lambda cell, value=value: value) for name, value in seconds.items()}


def shapes(**channels):
    """Named 1 × 1 layers, whose multiply-adds go with their channels."""
    return [
        Cell(spec=ConvSpec(c=c, h=8, w=8, k=4, r=1, s=1), name=name.replace("_", " ")) for name, c in channels.items()
    ]


def claim(about, low=None, high=None, algorithms=()):
    return Claim(says="It is so.", about=about, at_least=low, at_most=high, algorithms=algorithms)


def side(*algorithms, **more):
    return Side(algorithms=algorithms, **more)


def found(run, *claims, blocks=None, **info):
    crossings = tuple(one.about for one in claims if isinstance(one.about, Crossing))
    made = run.info(claims=claims, crossings=crossings, **info)
    blocks = run.blocks() if blocks is None else blocks
    return judged(made, contenders(made, blocks), crossovers(made, blocks))


def one(run, about, low=None, high=None, algorithms=(), **more):
    (answer,) = found(run, claim(about, low, high, algorithms), **more)
    return answer


TWICE = Synthetic(constant(slow=2e-3, quick=1e-3), kernel_cells([3]), passes=6)
RATIO = Ratio(of=side("slow"), over=side("quick"))


# --- a ratio of two contenders -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.7, 2.3, HOLDS), (1.7, None, HOLDS), (None, 1.5, FAILS), (2.5, None, FAILS), (2.0, None, UNKNOWN)],
)
def test_a_ratio_is_judged_by_its_whole_interval(low, high, verdict):
    answer = one(TWICE, RATIO, low, high)
    assert answer.verdict is verdict
    assert answer.instances[0].figure.value == pytest.approx(2, rel=0.1)


def test_sides_that_are_swapped_are_seen():
    assert one(TWICE, Ratio(of=side("quick"), over=side("slow")), 1.7, 2.3).verdict is FAILS


def test_one_pass_decides_nothing():
    answer = one(replace(TWICE, passes=1), RATIO, 0.1, 10)
    assert answer.verdict is UNKNOWN
    assert answer.instances[0].why == "one pass has no interval"


UNLIKE = {"slow": (1e-3, 2e-3, 9e-3), "quick": (9e-3, 1e-3, 3e-3)}
"""Medians of 2 ms and 3 ms; round by round 1/9, 2 and 3 times."""


def test_within_a_cell_rounds_are_paired_so_that_drift_cancels():
    blocks = [b.model_copy(update={"samples_s": UNLIKE[b.algorithm], "operations": 1000}) for b in TWICE.blocks()]
    assert one(TWICE, RATIO, 1.99, 2.01, blocks=blocks).verdict is HOLDS
    per = Ratio(of=side("slow", per=Quantity.OPERATIONS), over=side("quick", per=Quantity.OPERATIONS))
    assert one(TWICE, per, 1.99, 2.01, blocks=blocks).verdict is HOLDS


def test_rounds_of_different_cells_have_nothing_to_do_with_each_other():
    run = Synthetic(constant(only=1e-3), kernel_cells([3, 5]), passes=3)
    by_cell = {run.cells[0].key: UNLIKE["slow"], run.cells[1].key: UNLIKE["quick"]}
    blocks = [b.model_copy(update={"samples_s": by_cell[b.cell]}) for b in run.blocks()]
    grown = Ratio(of=side("only", at={"kernel": (3,)}), over=side("only", at={"kernel": (5,)}))
    assert one(run, grown, 0.66, 0.67, blocks=blocks).verdict is HOLDS


def test_a_contender_that_failed_once_has_no_figure_and_its_reason_is_told():
    blocks = [b for b in TWICE.blocks() if not (b.algorithm == "slow" and b.pass_index == 2)]
    blocks.append(failed(TWICE.cells[0], "slow", 2, Status.OUT_OF_MEMORY, "4 GiB"))
    answer = one(TWICE, RATIO, 1, blocks=blocks)
    assert answer.verdict is UNKNOWN
    assert answer.instances[0].why == "slow out of memory: pass 3: 4 GiB"
    stranger = Ratio(of=side("nobody"), over=side("quick"))
    assert one(TWICE, stranger, 1).instances[0].why == "nobody: not a contender of this run"


def test_of_several_algorithms_the_fastest_in_each_cell_stands_for_the_side():
    times = {"a": lambda c: 1e-3 if c.spec.r == 3 else 4e-3, "b": lambda c: 2e-3, "base": lambda c: 4e-3}
    run = Synthetic(times, kernel_cells([3, 5]), passes=5)
    answer = one(run, Ratio(of=side("base"), over=side("a", "b")), 1.5)
    assert [instance.figure.value for instance in answer.instances] == pytest.approx([4, 2], rel=0.1)


def test_a_side_without_an_algorithm_is_each_by_itself():
    run = Synthetic({"a": power_law(1e-3, 3, 2), "b": power_law(1e-3, 3, 1)}, kernel_cells([3, 6]), passes=5)
    grown = Ratio(of=Side(at={"kernel": (6,)}), over=Side(at={"kernel": (3,)}))
    answer = one(run, grown, 3, 5, ("a", "b"))
    assert [(instance.algorithm, instance.verdict) for instance in answer.instances] == [("a", HOLDS), ("b", FAILS)]
    assert answer.verdict is PARTLY


# --- a ratio of shapes ---------------------------------------------------------------------------------

LAYERS = Synthetic(
    {"direct": lambda c: 1e-5 * c.spec.c, "other": lambda c: 1e-3},
    shapes(whole=100, reduce=6, expand=4),
    passes=6,
    drift=0.02,
)
BOTTLENECK = Ratio(of=side("direct", at={"name": ("whole",)}), over=side("direct", at={"name": ("reduce", "expand")}))


def test_a_side_is_a_sum_over_the_cells_it_names():
    answer = one(LAYERS, BOTTLENECK, 9, 11)
    assert answer.verdict is HOLDS
    assert len(answer.instances) == 1
    assert answer.instances[0].figure.value == pytest.approx(10, rel=0.1)


def test_time_that_does_not_follow_the_work_is_seen():
    lame = Ratio(of=side("other", at={"name": ("whole",)}), over=side("other", at={"name": ("reduce", "expand")}))
    assert one(LAYERS, lame, 9, 11).verdict is FAILS  # three layers of equal time: a half


def test_a_sum_that_lacks_a_part_is_none():
    lacking = Synthetic(LAYERS.true_times, shapes(whole=100, reduce=6), passes=6)
    answer = one(lacking, BOTTLENECK, 1)
    assert (answer.verdict, answer.instances) == (UNKNOWN, ())
    assert "no cell has both of its sides" in verdict_sentence(answer)
    blocks = [b for b in LAYERS.blocks() if "c4h" not in b.cell]
    assert (
        one(LAYERS, BOTTLENECK, 1, blocks=blocks).instances[0].why
        == "direct not reached: the run ended before its turn"
    )


def test_a_layer_counts_as_often_as_the_network_has_it():
    twice = [cell.model_copy(update={"weight": 2.0 if cell.name == "whole" else 1.0}) for cell in LAYERS.cells]
    answer = one(replace(LAYERS, cells=twice), BOTTLENECK, 18, 22)
    assert answer.verdict is HOLDS


def test_the_interval_of_sums_covers_as_often_as_it_says():
    figures = [
        found(LAYERS, claim(BOTTLENECK, 1), blocks=LAYERS.blocks(seed))[0].instances[0].figure for seed in range(200)
    ]
    assert sum(figure.low <= 10 <= figure.high for figure in figures) >= 180


def test_samples_of_one_pass_are_not_taken_for_independent():
    """Many samples in few passes whose processes differ: the interval is as wide as the passes are apart."""
    run = replace(LAYERS, passes=3, samples=200, pass_noise=0.2, sample_noise=0.001)
    figure = one(run, BOTTLENECK, 1).instances[0].figure
    assert figure.high / figure.low > 1.5


# --- what is counted, and what else can be asked about --------------------------------------------------


def with_fields(run, **by_algorithm):
    return [b.model_copy(update=by_algorithm.get(b.algorithm, {})) for b in run.blocks()]


def test_bytes_are_counted_and_need_no_interval():
    run = replace(TWICE, passes=1)
    blocks = with_fields(run, slow={"workspace_bytes": 9 * 4 * 512 * 512})
    columns = Ratio(of=side("slow", quantities=(Quantity.WORKSPACE,), per=Quantity.IMAGE))
    answer = one(run, columns, 8.9, 9.1, blocks=blocks)
    assert answer.verdict is HOLDS
    assert figures_text(answer) == "9.00×"
    assert one(run, columns, 1, 8, blocks=blocks).verdict is FAILS


def test_bytes_that_differ_from_pass_to_pass_have_an_interval_after_all():
    blocks = [b.model_copy(update={"workspace_bytes": 2**20 * (1 + b.pass_index)}) for b in TWICE.blocks()]
    figure = one(TWICE, Ratio(of=side("slow", quantities=(Quantity.WORKSPACE,))), 1, blocks=blocks).instances[0].figure
    assert figure.low < figure.value < figure.high


def test_whether_the_time_follows_the_operations():
    blocks = with_fields(TWICE, slow={"operations": 4000}, quick={"operations": 1000})
    per = Ratio(of=side("slow", per=Quantity.OPERATIONS), over=side("quick", per=Quantity.OPERATIONS))
    answer = one(TWICE, per, 0.9, blocks=blocks)  # four times the work in twice the time: half of the saving is seen
    assert answer.instances[0].figure.value == pytest.approx(0.5, rel=0.1)
    assert answer.verdict is FAILS
    unknown = one(TWICE, per, 0.9)
    assert unknown.instances[0].why == "no pass has a figure for all of it"


def test_a_new_filter_costs_prepare_too_and_passes_that_compiled_do_not_count():
    blocks = [
        b.model_copy(update={"prepare_s": 5.0, "compiled": 1} if b.pass_index == 0 else {"prepare_s": 1e-3})
        for b in TWICE.blocks()
    ]
    new = Ratio(of=side("quick", quantities=(Quantity.PREPARE, Quantity.TIME)), over=side("quick"))
    answer = one(TWICE, new, 1.8, 2.2, blocks=blocks)
    assert answer.verdict is HOLDS


def test_a_share_of_the_matrix_products_rate():
    share = Ratio(of=Side(quantities=(Quantity.MATRIX_PRODUCT,)), over=side("direct"))
    flops = LAYERS.cells[0].spec.direct_flops
    ceiling = {"threads": 1, "device": "cpu", "matrix_product_flops_per_s": flops / 0.5e-3}
    ceiling |= {"multiply_add_flops_per_s": 1e10, "copy_bytes_per_s": 1e9}
    answer = one(LAYERS, share, 0.4, 0.6, machine={"ceilings": [ceiling]})
    assert answer.verdict is HOLDS
    assert answer.instances[0].figure.value == pytest.approx(0.5, rel=0.1)
    assert one(LAYERS, share, 0.9, machine={"ceilings": [ceiling]}).verdict is FAILS
    assert one(LAYERS, share, 0.4).verdict is UNKNOWN
    assert one(LAYERS, share, 0.4, machine={"ceilings": [{**ceiling, "threads": 2}]}).verdict is UNKNOWN


def test_multiply_adds_of_shapes_alone():
    work = Ratio(
        of=Side(quantities=(Quantity.MULTIPLY_ADDS,), at={"name": ("whole",)}),
        over=Side(quantities=(Quantity.MULTIPLY_ADDS,), at={"name": ("reduce", "expand")}),
    )
    answer = one(LAYERS, work, 9.99, 10.01)
    assert (answer.verdict, figures_text(answer)) == (HOLDS, "10.00×")


def test_an_error_in_the_norm_that_all_share():
    blocks = [
        b.model_copy(update={"agreement": b.agreement.model_copy(update={"normwise": 3e-8})}) for b in TWICE.blocks()
    ]
    exact = Ratio(of=side("slow", quantities=(Quantity.ERROR,)))
    answer = one(TWICE, exact, None, 1e-7, blocks=blocks)
    assert (answer.verdict, figures_text(answer)) == (HOLDS, "3e-08")
    assert one(TWICE, exact, None, 1e-8, blocks=blocks).verdict is FAILS
    assert one(TWICE, exact, None, 1e-7).verdict is UNKNOWN  # a run from before it was kept


# --- a crossover ---------------------------------------------------------------------------------------

CROSSING = Crossing(axis="kernel", start="direct", to="fft")
CURVES = Synthetic(
    {"direct": power_law(1e-3, 20, 2), "fft": power_law(1e-3, 20, 0)}, kernel_cells([5, 10, 15, 30, 60]), passes=6
)
LATE = Synthetic({"direct": power_law(1e-3, 200, 2), "fft": power_law(1e-3, 200, 0)}, CURVES.cells, passes=6)
EARLY = Synthetic({"direct": power_law(1e-3, 1, 2), "fft": power_law(1e-3, 1, 0)}, CURVES.cells, passes=6)


@pytest.mark.parametrize(
    ("run", "low", "high", "verdict"),
    [
        (CURVES, 15, 25, HOLDS),
        (CURVES, 39, 61, FAILS),
        (CURVES, 20, 61, UNKNOWN),
        (LATE, 39, 50, FAILS),
        (LATE, 39, None, HOLDS),
        (LATE, 39, 70, UNKNOWN),  # it may still come, past the sweep
        (EARLY, 39, 61, FAILS),
        (EARLY, None, 8, HOLDS),
        (EARLY, 2, 8, UNKNOWN),
    ],
)
def test_a_crossover_within_and_beyond_the_sweep(run, low, high, verdict):
    assert one(run, CROSSING, low, high).verdict is verdict


def test_figures_beyond_the_sweep_say_so():
    assert figures_text(one(LATE, CROSSING, 39)) == "beyond kernel 60"
    assert figures_text(one(EARLY, CROSSING, 39)) == "below kernel 5"
    assert figures_text(one(CURVES, CROSSING, 39)).startswith("kernel 20")


def test_the_other_way_round_is_no_such_crossover():
    answer = one(CURVES, Crossing(axis="kernel", start="fft", to="direct"), 15, 25)
    assert answer.verdict is FAILS
    assert "fft overtakes direct" in answer.instances[0].why


def test_curves_that_cannot_be_told_apart_decide_nothing():
    level = Synthetic(constant(direct=1e-3, fft=1e-3), CURVES.cells, passes=3)
    assert one(level, CROSSING, 1, 100).verdict is UNKNOWN


# --- a payback -----------------------------------------------------------------------------------------

BREAK = Break(start="plain", to="planned")
PLANS = Synthetic(constant(plain=2e-3, planned=1e-3, slower=3e-3), kernel_cells([3]), passes=6, pass_noise=0.01)


def planned(seconds):
    return [
        b.model_copy(update={"plan_s": seconds if b.algorithm == "planned" else 0.0, "prepare_s": 0.0})
        for b in PLANS.blocks()
    ]


def test_a_plan_pays_after_as_many_images_as_its_cost_is_savings():
    answer = one(PLANS, BREAK, None, 10, blocks=planned(5e-3))
    assert answer.verdict is HOLDS
    assert answer.instances[0].figure.value in (5, 6)
    assert one(PLANS, BREAK, None, 10, blocks=planned(0.1)).verdict is FAILS  # a hundred images
    assert "images" in figures_text(answer)


def test_what_is_slower_for_each_image_never_pays():
    answer = one(PLANS, Break(start="plain", to="slower"), None, 10)
    assert (answer.verdict, answer.instances[0].figure) == (FAILS, None)
    assert answer.instances[0].why.startswith("never")


def test_without_a_time_there_is_no_payback():
    answer = one(PLANS, Break(start="plain", to="nobody"), None, 10)
    assert (answer.verdict, answer.instances[0].why) == (UNKNOWN, "nobody: no time")


# --- over places, and in words --------------------------------------------------------------------------

SWEPT = Synthetic({"slow": power_law(1e-3, 3, 1), "quick": lambda c: 1e-3}, kernel_cells([3, 6, 12, 24]), passes=6)


@pytest.mark.parametrize(("low", "verdict"), [(0.5, HOLDS), (3, PARTLY), (100, FAILS)])
def test_a_claim_holds_as_such_where_it_holds_in_every_place(low, verdict):
    assert one(SWEPT, RATIO, low).verdict is verdict


def test_a_claim_that_fails_in_some_places_and_holds_in_none_fails():
    """One level place in which the data cannot tell must not hide the others."""
    answer = one(SWEPT, RATIO, None, 1)
    assert {instance.verdict for instance in answer.instances} == {UNKNOWN, FAILS}
    assert answer.verdict is FAILS
    assert verdict_sentence(answer).startswith(
        "the claim does not hold here, in 3 of 4 places (1 thread, image 512: kernel 6–24); "
        "the data cannot tell in 1 (1 thread, image 512: kernel 3): "
    )


def test_words_say_from_where_to_where_it_holds():
    text = verdict_sentence(one(SWEPT, RATIO, 0.5))
    assert text.startswith("the claim holds here, from kernel 3 to 24: ")
    assert text.endswith(", where ≥ 0.50× is claimed")
    part = verdict_sentence(one(SWEPT, RATIO, 3))
    assert "in 2 of 4 places (1 thread, image 512: kernel 12–24); not in 2 (1 thread, image 512: kernel 3–6)" in part


def test_each_algorithm_is_named_where_it_is_each_by_itself():
    grown = Ratio(of=Side(at={"kernel": (24,)}), over=Side(at={"kernel": (3,)}))
    text = verdict_sentence(one(SWEPT, grown, 5, None, ("slow", "quick")))
    assert "in 1 of 2 places (slow, 1 thread, image 512); not in 1 (quick, 1 thread, image 512)" in text


@pytest.mark.parametrize(
    ("figure", "about", "text"),
    [
        (Figure(2.0, 1.9, 2.1), RATIO, "2.00× (1.90–2.10)"),
        (Figure(2.0, None, None), RATIO, "2.00× (no interval)"),
        (Figure(0.0213, 0.02, 0.022), RATIO, "0.021× (0.020–0.022)"),
        (Figure(22.5, 21.8, 23.3), CROSSING, "kernel 22.5 (21.8–23.3)"),
        (Figure(None, -math.inf, 3), CROSSING, "below kernel 3"),
        (Figure(3, 2, 5), BREAK, "3 images (2–5)"),
        (Figure(0.0031, 0.003, 0.0032), Ratio(of=side("slow")), "3.10 ms (3.00 ms–3.20 ms)"),
    ],
)
def test_figures_in_their_own_units(figure, about, text):
    assert figure_text(figure, claim(about, 1)) == text


def test_bounds_in_words():
    assert bounds_text(claim(CROSSING, 39, 61)) == "kernel 39–61"
    assert bounds_text(claim(RATIO, None, 1.5)) == "≤ 1.50×"
    assert bounds_text(claim(BREAK, None, 10)) == "≤ 10 images"
    assert bounds_text(claim(Ratio(of=side("a", quantities=(Quantity.ERROR,))), None, 1e-6)) == "≤ 1e-06"


def test_bounds_themselves_are_within():
    assert within(Figure(1.0, 1.0, 1.0), claim(RATIO, 1, 1)) is HOLDS
