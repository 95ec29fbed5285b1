"""The closing table: best against best in every cell, its mean, its targets, and where its passes go."""

import math
from dataclasses import replace

import pytest

from analysis.synthetic import Synthetic, failed, kernel_cells
from convbench.analysis.contenders import contenders
from convbench.analysis.open_cells import still_open
from convbench.analysis.statistics import Estimate
from convbench.analysis.versus import Verdict, reached, standings
from convbench.result import Status, Target, Versus

SIDES = Versus(ours=("direct", "fft"), theirs=("cv", "scipy"))
KERNELS = [3, 5, 7, 9]


def cells(*grounds, threads=1, kernels=KERNELS):
    made = kernel_cells(kernels, threads=threads)
    return [cell.model_copy(update={"ground": name}) for name in grounds for cell in made]


def times(**seconds):
    return {name: (lambda cell, value=value: value) for name, value in seconds.items()}


TIMES = {
    "direct": lambda cell: 1e-4 * cell.spec.r,
    "fft": lambda cell: 6e-4,
    "cv": lambda cell: 2e-4 * cell.spec.r,
    "scipy": lambda cell: 1.6e-3,
}
RUN = Synthetic(TIMES, cells("filters"), passes=6)


def found(run, blocks=None, versus=SIDES, **info):
    made = run.info(versus=versus, **info)
    return standings(made, contenders(made, run.blocks() if blocks is None else blocks))


def test_each_side_sends_its_fastest_in_every_cell():
    (standing,) = found(RUN)
    assert [(duel.ours.algorithm, duel.theirs.algorithm) for duel in standing.duels] == [
        ("direct", "cv"),
        ("direct", "cv"),
        ("fft", "cv"),
        ("fft", "scipy"),
    ]
    for duel, true in zip(standing.duels, (2, 2, 14 / 6, 16 / 6), strict=True):
        assert duel.ratio.value == pytest.approx(true, rel=0.1)


def test_the_mean_is_geometric_and_its_interval_covers_as_often_as_it_says():
    true = math.prod((2, 2, 14 / 6, 16 / 6)) ** 0.25
    means = [found(RUN, RUN.blocks(seed))[0].mean for seed in range(200)]
    assert sum(mean.contains(true) for mean in means) >= 180


def test_cells_of_a_pass_are_not_taken_for_independent():
    """A process that is slow in every cell: the mean over cells is as uncertain as a single one of them."""

    def shaken(block, by):
        return block.model_copy(update={"samples_s": tuple(s * by for s in block.samples_s)})

    quiet = replace(RUN, pass_noise=1e-4, sample_noise=1e-4, passes=4)
    shakes = dict(enumerate((1.0, 1.1, 0.9, 1.05)))
    blocks = [shaken(b, shakes[b.pass_index]) if b.algorithm in SIDES.ours else b for b in quiet.blocks()]
    (standing,) = found(quiet, blocks)
    assert standing.mean.half_width > 0.8 * standing.duels[0].ratio.half_width


def test_the_worst_cell_and_those_that_are_lost():
    slow = Synthetic(times(direct=3e-3, fft=2e-3, cv=1e-3), cells("a"))
    (standing,) = found(slow)
    assert standing.slower == 4
    assert standing.worst.ratio.value == pytest.approx(0.5, rel=0.1)
    assert found(RUN)[0].slower == 0
    assert found(RUN)[0].worst.cell.spec.r in (3, 5)


def test_a_line_for_each_ground_and_number_of_threads_in_the_suites_order():
    both = cells("b", kernels=[3]) + cells("b", kernels=[3], threads=2) + cells("a", kernels=[5])
    assert [(one.ground, one.threads) for one in found(Synthetic(TIMES, both))] == [("b", 1), ("b", 2), ("a", 1)]


def test_whoever_disagreed_is_not_sent():
    blocks = [b for b in RUN.blocks() if not (b.algorithm == "direct" and b.pass_index == 2)]
    blocks += [failed(cell, "direct", 2, Status.DISAGREED) for cell in RUN.cells]
    (standing,) = found(RUN, blocks)
    assert {duel.ours.algorithm for duel in standing.duels} == {"fft"}


def test_only_strict_contenders_are_sent():
    loose = replace(RUN, precision={"cv": "approximate", "direct": "approximate"})
    (standing,) = found(loose)
    assert {(duel.ours.algorithm, duel.theirs.algorithm) for duel in standing.duels} == {("fft", "scipy")}


def test_cells_where_a_side_is_absent_are_counted_and_keep_targets_from_being_met():
    def without(*names):
        return [b for b in RUN.blocks() if not (b.algorithm in names and "r3s3" in b.cell)]

    sides = SIDES.model_copy(update={"targets": (Target(at_least=1.5, mean_at_least=1.5),)})
    (whole,) = found(RUN, versus=sides)
    assert [one.verdict for one in whole.targets] == [Verdict.MET, Verdict.MET]
    (peerless,) = found(RUN, without("cv", "scipy"), sides)
    assert (len(peerless.duels), len(peerless.without_theirs), len(peerless.without_ours)) == (3, 1, 0)
    assert [one.verdict for one in peerless.targets] == [Verdict.MET, Verdict.MET]
    for names, count in ((("direct", "fft"), "without_ours"), (tuple(TIMES), "without_both")):
        (lost,) = found(RUN, without(*names), sides)
        assert len(getattr(lost, count)) == 1
        assert [one.verdict for one in lost.targets] == [Verdict.UNDECIDED, Verdict.UNDECIDED]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.1, 1.3, Verdict.MET),
        (1.0, 1.05, Verdict.MISSED),
        (1.0, 1.2, Verdict.UNDECIDED),
        (None, None, Verdict.UNDECIDED),
    ],
)
def test_a_target_is_judged_by_the_whole_interval(low, high, verdict):
    assert reached(Estimate(1.2, low, high, 3, 9), 1.1) is verdict


def test_one_cell_that_misses_misses_the_ground():
    targets = (Target(at_least=2.6), Target(mean_at_least=2.0), Target(at_least=1.0, threads=2), Target(ground="b"))
    (standing,) = found(RUN, versus=SIDES.model_copy(update={"targets": targets}))
    assert [(one.text, one.verdict) for one in standing.targets] == [
        ("every cell ≥ 2.6×", Verdict.MISSED),
        ("mean ≥ 2×", Verdict.MET),
    ]


def test_one_pass_decides_no_target():
    sides = SIDES.model_copy(update={"targets": (Target(at_least=1.0, mean_at_least=1.0),)})
    (standing,) = found(replace(RUN, passes=1), versus=sides)
    assert [one.verdict for one in standing.targets] == [Verdict.UNDECIDED, Verdict.UNDECIDED]
    assert not standing.mean.has_interval


def test_a_suite_without_sides_has_no_closing_table():
    assert found(RUN, versus=None) == []


# --- where the passes go ------------------------------------------------------------------------------


def test_a_peer_far_behind_ours_keeps_its_passes_and_ours_far_behind_ours_does_not():
    run = Synthetic(times(direct=1e-3, fft=9e-3, cv=2e-2, scipy=9e-2), cells("a", kernels=[3]), passes=1)
    assert [names for _, names in still_open(run.info(versus=SIDES), run.blocks())] == [("direct", "cv")]
    assert [names for _, names in still_open(run.info(), run.blocks())] == [("direct",)]


def test_a_cell_is_closed_once_its_ratio_is_known():
    quiet = Synthetic(TIMES, cells("a"), passes=5, pass_noise=0.01)
    noisy = Synthetic(TIMES, cells("a"), passes=5, pass_noise=0.2)
    assert still_open(quiet.info(versus=SIDES), quiet.blocks()) == []
    assert len(still_open(noisy.info(versus=SIDES), noisy.blocks())) >= 3


def test_cells_with_fewer_passes_come_first():
    run = Synthetic(TIMES, cells("a"), passes=3, pass_noise=0.2)
    behind = run.cells[2].key
    blocks = [b for b in run.blocks() if not (b.cell == behind and b.pass_index == 2)]
    assert still_open(run.info(versus=SIDES), blocks)[0][0] == behind


def test_without_peers_the_passes_go_where_they_always_went():
    run = Synthetic(times(direct=1e-3, fft=1.2e-3), cells("a"), passes=2)
    assert still_open(run.info(versus=SIDES), run.blocks()) == still_open(run.info(), run.blocks())
