"""Winners: ties are called ties, failures never rank, precision classes never mix."""

import pytest

from analysis.synthetic import Synthetic, failed, kernel_cells
from convbench.analysis.winners import winners
from convbench.result import Status

CELLS = kernel_cells([5])
KEY = CELLS[0].key


def times(**seconds: float):
    return {name: (lambda cell, value=value: value) for name, value in seconds.items()}


def test_the_fastest_wins_by_its_paired_margin():
    run = Synthetic(times(a=1.3e-3, b=1e-3, c=9e-3), CELLS, passes=8)
    best = winners(run.info(), run.blocks())[KEY]
    assert (best.algorithm, best.runner_up, best.tied) == ("b", "a", ("b",))
    assert best.margin.contains(1.3)


def test_a_tie_is_called_a_tie_and_lists_who_cannot_be_told_apart():
    run = Synthetic(times(a=1e-3, b=1e-3, c=9e-3), CELLS)
    found = [winners(run.info(), run.blocks(seed))[KEY] for seed in range(100)]
    ties = [best for best in found if best.is_tie]
    assert len(ties) >= 88  # 95 in 100, less chance
    assert all(set(best.tied) == {"a", "b"} for best in ties)


@pytest.mark.parametrize("status", [Status.DISAGREED, Status.CRASHED, Status.TIMEOUT, Status.OUT_OF_MEMORY])
def test_a_contender_that_failed_in_any_pass_is_never_ranked(status):
    run = Synthetic(times(wrong=1e-6, right=1e-3), CELLS)
    for bad_pass in range(5):
        blocks = [b for b in run.blocks() if not (b.algorithm == "wrong" and b.pass_index == bad_pass)]
        blocks.append(failed(CELLS[0], "wrong", bad_pass, status))
        best = winners(run.info(), blocks)[KEY]
        assert (best.algorithm, best.runner_up, best.tied) == ("right", None, ("right",))


def test_precision_classes_are_not_ranked_against_each_other():
    run = Synthetic(times(exact=1e-3, quick=1e-6), CELLS, precision={"quick": "tf32"})
    assert winners(run.info(), run.blocks())[KEY].algorithm == "exact"


def test_without_a_strict_contender_another_class_is_ranked_alone():
    run = Synthetic(times(low=1e-6, quick=1e-3), CELLS, precision={"quick": "tf32", "low": "half"})
    best = winners(run.info(), run.blocks())[KEY]
    assert (best.algorithm, best.precision, best.runner_up) == ("quick", "tf32", None)


def test_one_pass_is_provisional():
    run = Synthetic(times(a=1e-3, b=1.5e-3, c=9e-3), CELLS, passes=1)
    best = winners(run.info(), run.blocks())[KEY]
    assert best.is_provisional
    assert best.tied == ("a", "b")
    assert not best.margin.has_interval


def test_the_order_comes_from_common_passes_not_from_when_each_was_measured():
    """b was timed in a slow hour too, which a was spared: pass by pass it is faster."""
    slow = Synthetic(times(a=1.2e-2, b=1e-2), CELLS, passes=3)
    quick = Synthetic(times(a=1.2e-3, b=1e-3), CELLS, passes=6)
    blocks = [b for b in slow.blocks() if b.algorithm == "b"]
    blocks += [b for b in quick.blocks() if b.pass_index >= 3]
    assert winners(quick.info(), blocks)[KEY].algorithm == "b"


def test_a_cell_where_nobody_passed_has_no_winner():
    run = Synthetic(times(a=1e-3), CELLS)
    assert winners(run.info(), [failed(CELLS[0], "a", 0, Status.CRASHED)]) == {}
