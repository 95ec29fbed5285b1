"""Two runs compared: of worlds that differ by a known factor."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.synthetic import Synthetic, failed, kernel_cells, power_law
from convbench.analysis.comparison import Comparison, Verdict
from convbench.analysis.contenders import contenders
from convbench.analysis.crossovers import crossovers
from convbench.result import Block, Crossing, Status

KERNELS = (3, 5, 9, 15, 23, 31, 47)
CROSSING = (Crossing(axis="kernel", start="direct", to="fft"),)


def world(direct: float = 1.0, fft: float = 1.0, threads: int = 1, **options: Any) -> Synthetic:
    """Times cross at kernel 15, where neither is slowed."""
    times = {"direct": power_law(1e-3 * direct, 15, 2), "fft": power_law(1e-3 * fft, 15, 0)}
    return Synthetic(times, kernel_cells(KERNELS, threads=threads), CROSSING, drift=0.0, pass_noise=0.005, **options)


def compared(base: Synthetic, new: Synthetic, *, blocks: list[Block] | None = None, **changes: object) -> Comparison:
    before, after = base.blocks(1), new.blocks(2) if blocks is None else blocks
    infos = base.info(), new.info(**changes)
    return Comparison(
        *infos,
        contenders(infos[0], before),
        contenders(infos[1], after),
        (tuple(crossovers(infos[0], before)), tuple(crossovers(infos[1], after))),
    )


def test_the_same_world_twice_is_the_same() -> None:
    found = compared(world(), world())
    assert {change.verdict for change in found.changes} == {Verdict.SAME}
    assert not found.differences
    assert not any(shift.moved for shift in found.shifts)
    assert list(found.sentences()) == [
        "Of 14 contenders in cells that both runs have: 14 same.",
        "0 of 1 crossover moved by more than the data's doubt.",
    ]


@pytest.mark.parametrize(("factor", "verdict"), [(1.5, Verdict.SLOWER), (0.7, Verdict.FASTER), (1.015, Verdict.SAME)])
def test_what_became_slower_or_faster_is_told(factor: float, verdict: Verdict) -> None:
    found = compared(world(), world(direct=factor))
    assert {one.verdict for one in found.changes if one.base.algorithm == "direct"} == {verdict}
    assert {one.verdict for one in found.changes if one.base.algorithm == "fft"} == {Verdict.SAME}
    mean, cells = found.by_algorithm["direct"]
    assert mean == pytest.approx(factor, rel=0.02)
    assert cells == len(KERNELS)


def test_a_noisy_run_is_uncertain_rather_than_the_same() -> None:
    found = compared(world(), world(passes=2, sample_noise=0.3, samples=3))
    assert Verdict.UNCERTAIN in {change.verdict for change in found.changes}
    assert Verdict.SLOWER not in {change.verdict for change in found.changes}


def test_a_crossover_that_moved_is_told_with_both_places() -> None:
    found = compared(world(), world(direct=4.0))
    (shift,) = found.shifts
    assert shift.moved
    assert shift.sentence().startswith("1 thread, image 512: fft overtakes direct at kernel 15")
    assert "; now: fft overtakes direct at kernel 7." in shift.sentence()
    gone = compared(world(), world(direct=100.0)).shifts[0]
    assert gone.moved
    assert "fft is faster than direct" in gone.sentence()


def test_a_crossover_that_can_no_longer_be_placed_has_not_moved() -> None:
    (shift,) = compared(world(), world(passes=1)).shifts
    assert not shift.moved


def test_runs_of_other_thread_counts_are_matched_by_their_problems() -> None:
    found = compared(world(), world(direct=0.5, threads=2))
    assert found.by_problem
    assert {one.threads for one in found.changes} == {"1 → 2"}
    assert ("threads", "1", "2") in found.differences
    assert found.by_algorithm["direct"][0] == pytest.approx(0.5, rel=0.02)
    assert found.shifts[0].sentence().startswith("1 → 2 threads, image 512: ")
    assert "matched by their problems, as the thread counts differ" in next(found.sentences())


def test_what_no_longer_passes_is_lost() -> None:
    blocks = [
        one for one in world().blocks(2) if one.algorithm != "fft" or not one.cell.startswith("n1c1h512w512k1r3s3")
    ]
    broken = failed(world().cells[0], "fft", 0, Status.CRASHED)
    found = compared(world(), world(), blocks=[*blocks, broken])
    (lost,) = [one for one in found.changes if one.verdict is Verdict.LOST]
    assert lost.new.status is Status.CRASHED
    back = compared(world(), world())
    assert not [one for one in back.changes if one.verdict is Verdict.GAINED]


def test_all_that_may_explain_a_change_is_listed() -> None:
    found = compared(
        world(),
        world(),
        machine={
            "cpu": "another",
            "caches": {"L2": 1024},
            "ceilings": [{"threads": 1, "multiply_add_flops_per_s": 1e10, "copy_bytes_per_s": 1e9}],
        },
        versions={"numpy": "2.9"},
        git_commit="abc",
    )
    assert found.differences == [
        ("commit", "–", "abc"),
        ("cpu", "–", "another"),
        ("caches", "–", "L2 1024"),
        ("numpy", "–", "2.9"),
    ]


def test_runs_without_anything_in_common_say_so() -> None:
    other = Synthetic({"direct": power_law(1.0, 15, 2)}, kernel_cells((4, 6)))
    assert list(compared(world(), other).sentences()) == ["The runs have no problem and algorithm in common."]
