"""Crossovers: where they are placed, how often the interval holds the truth, and what is said when it cannot tell."""

import math
import re

import pytest

from analysis.synthetic import Synthetic, block, failed, kernel_cells, power_law
from convbench.analysis.crossovers import Crossed, NotEnoughData, OneSided, Unresolved, crossovers
from convbench.analysis.sentences import crossover_sentence
from convbench.result import Cell, Crossing, Status
from convbench.spec import ConvSpec

KERNELS = [3, 5, 7, 11, 15, 23, 31, 45, 63]
CROSSING = Crossing(axis="kernel", start="direct", to="fft")


def run_crossing_at(kernel: float, **changes: object) -> Synthetic:
    times = {"direct": power_law(1e-3, kernel, 2.0), "fft": power_law(1e-3, kernel, 0.1)}
    return Synthetic(times, kernel_cells(KERNELS), [CROSSING], **changes)


def only(run: Synthetic, seed: int = 0, drop=lambda block: False):
    (found,) = crossovers(run.info(), [b for b in run.blocks(seed) if not drop(b)])
    return found


def test_without_noise_the_crossing_is_exact():
    found = only(run_crossing_at(20.0, pass_noise=0.0, sample_noise=0.0)).outcome
    assert isinstance(found, Crossed)
    assert found.value == pytest.approx(20.0)
    assert (found.overtaker, found.overtaken, found.count) == ("fft", "direct", 1)
    assert found.high - found.low < 1e-6


@pytest.mark.parametrize("truth", [11.0, 13.0, 18.5, 22.0])  # on a measured kernel and between two
def test_the_interval_holds_the_true_crossing(truth):
    run = run_crossing_at(truth, pass_noise=0.1, samples=5)
    trials, held = 300, 0
    for seed in range(trials):
        found = only(run, seed).outcome
        assert isinstance(found, Crossed)
        assert found.low <= found.value <= found.high
        held += found.low <= truth <= found.high
    assert 0.90 <= held / trials <= 0.99


def test_more_passes_narrow_the_interval():
    widths = []
    for passes in (3, 12):
        found = only(run_crossing_at(20.0, passes=passes)).outcome
        widths.append(found.high / found.low)
    assert widths[1] < widths[0]


def test_the_sentence_can_be_quoted():
    found = only(run_crossing_at(20.0, pass_noise=0.05))
    text = crossover_sentence(found)
    assert re.fullmatch(r"1 thread, image 512: fft overtakes direct at kernel [\d.]+ \(95 %: [\d.]+–[\d.]+\)", text)


def test_a_crossing_the_other_way_names_the_other_overtaker():
    times = {"direct": power_law(1e-3, 20, 0.1), "fft": power_law(1e-3, 20, 2.0)}
    found = only(Synthetic(times, kernel_cells(KERNELS), [CROSSING])).outcome
    assert (found.overtaker, found.overtaken) == ("direct", "fft")


@pytest.mark.parametrize(("truth", "faster"), [(500.0, "direct"), (0.5, "fft")])
def test_no_crossing_in_the_range_says_who_leads_throughout(truth, faster):
    found = only(run_crossing_at(truth))
    assert isinstance(found.outcome, OneSided)
    assert found.outcome.faster == faster
    assert f"{faster} is faster than" in crossover_sentence(found)
    assert "from kernel 3 to 63" in crossover_sentence(found)


def test_an_end_of_the_range_that_cannot_be_told_apart_is_said_so():
    times = {"direct": lambda cell: 1e-3, "fft": lambda cell: 1e-3 if cell.spec.r == 3 else 2e-3}
    found = only(Synthetic(times, kernel_cells(KERNELS), [CROSSING]))
    assert isinstance(found.outcome, OneSided)
    assert found.outcome.faster == "direct"
    assert 3 < found.outcome.first < 5
    assert "from 3 to" in crossover_sentence(found)
    assert "the data cannot tell" in crossover_sentence(found)


def test_equal_contenders_are_unresolved():
    times = {"direct": lambda cell: 1e-3, "fft": lambda cell: 1e-3}
    outcomes = [only(Synthetic(times, kernel_cells([3, 5]), [CROSSING]), seed).outcome for seed in range(100)]
    assert sum(isinstance(found, Unresolved) for found in outcomes) >= 82  # 0.95² in truth


def test_one_pass_is_unresolved_and_gives_the_estimate():
    found = only(run_crossing_at(20.0, passes=1))
    assert isinstance(found.outcome, Unresolved)
    assert found.outcome.estimate == pytest.approx(20, rel=0.1)
    assert "one pass" in crossover_sentence(found)


def test_cells_far_from_the_crossing_may_have_one_pass():
    """The scheduler leaves them at one: a factor of 10 needs no second process."""
    found = only(run_crossing_at(20.0), drop=lambda b: b.pass_index > 0 and ("r3s3" in b.cell or "r63s63" in b.cell))
    assert isinstance(found.outcome, Crossed)
    assert found.outcome.low <= 20 <= found.outcome.high


def test_one_pass_beside_the_crossing_is_not_an_interval():
    cells = kernel_cells([3, 63])
    times = {"direct": power_law(1e-3, 14, 2.0), "fft": power_law(1e-3, 14, 0.1)}
    run = Synthetic(times, cells, [CROSSING])
    found = only(run, drop=lambda b: b.pass_index > 0 and "r3s3" in b.cell)
    assert isinstance(found.outcome, Unresolved)
    assert found.outcome.estimate == pytest.approx(14, rel=0.1)


def test_several_crossings_report_the_first_and_their_number():
    def wave(cell):
        return 1e-3 * (2 if cell.spec.r in (11, 15, 45, 63) else 0.5)

    found = only(Synthetic({"direct": wave, "fft": lambda cell: 1e-3}, kernel_cells(KERNELS), [CROSSING]))
    assert found.outcome.count == 3
    assert 7 < found.outcome.value < 11
    assert "the first of 3 crossings" in crossover_sentence(found)


def test_a_wiggle_within_the_doubt_is_one_crossing():
    """The estimate changes sign three times, but only where the band holds 0."""
    cells = kernel_cells([3, 11, 15, 63])
    logs = {3: -1.0, 11: 0.02, 15: -0.02, 63: 1.0}
    blocks = []
    for index, wobble in enumerate((-0.1, 0.0, 0.1)):
        for cell in cells:
            blocks.append(block(cell, "direct", index, [math.exp(logs[cell.spec.r] + wobble)]))
            blocks.append(block(cell, "fft", index, [1.0]))
    run = Synthetic({"direct": lambda c: 1, "fft": lambda c: 1}, cells, [CROSSING])
    (found,) = crossovers(run.info(), blocks)
    assert found.outcome.count == 1
    assert 11 < found.outcome.value < 15
    assert found.outcome.low < 11
    assert found.outcome.high > 15


def test_failed_cells_are_left_out_with_their_reason():
    run = run_crossing_at(20.0)
    blocks = [b for b in run.blocks() if not (b.algorithm == "fft" and "r31s31" in b.cell)]
    blocks.append(failed(run.cells[KERNELS.index(31)], "fft", 0, Status.TIMEOUT))
    (found,) = crossovers(run.info(), blocks)
    assert isinstance(found.outcome, Crossed)
    assert found.curve.missing == ((31.0, "fft timeout"),)
    assert crossover_sentence(found).endswith("without kernel 31 (fft timeout)")


def test_gaps_that_neighbour_are_one_gap():
    missing = ("r23s23", "r31s31", "r63s63")
    found = only(run_crossing_at(10.0), drop=lambda b: any(size in b.cell for size in missing))
    assert crossover_sentence(found).endswith("; without kernel 23–31, 63 (direct and fft not reached)")


def test_too_few_cells_are_not_enough_data():
    run = run_crossing_at(20.0)
    found = only(run, drop=lambda b: b.algorithm == "fft")
    assert isinstance(found.outcome, NotEnoughData)
    assert "0 of 9 cells" in crossover_sentence(found)


def test_each_group_of_other_axes_and_threads_has_its_own_curve():
    cells = [c for image in (256, 512) for threads in (1, 2) for c in kernel_cells(KERNELS, image, threads)]
    times = {"direct": power_law(1e-3, 20, 2.0), "fft": power_law(1e-3, 20, 0.1)}
    found = crossovers(Synthetic(times, cells, [CROSSING]).info(), Synthetic(times, cells, [CROSSING]).blocks())
    assert [(c.curve.fixed, c.curve.threads) for c in found] == [
        ((("image", image),), threads) for image in (256, 512) for threads in (1, 2)
    ]


def test_threads_are_an_axis_too():
    # 8 threads make `shared` four times as fast and `alone` no faster: they are even at 4.
    cells = [
        Cell(spec=ConvSpec(h=64, w=64, r=3, s=3), threads=threads, axes={"image": 64}) for threads in (1, 2, 8, 16)
    ]
    times = {"alone": lambda cell: 1e-3, "shared": lambda cell: 4e-3 / cell.threads}
    run = Synthetic(times, cells, [Crossing(axis="threads", start="alone", to="shared")])
    (found,) = crossovers(run.info(), run.blocks())
    assert isinstance(found.outcome, Crossed)
    assert found.outcome.low < 4 < found.outcome.high
    assert re.fullmatch(
        r"image 64: shared overtakes alone at threads [\d.]+ \(95 %: [\d.]+–[\d.]+\)", crossover_sentence(found)
    )


def test_along_the_threads_shapes_of_a_list_keep_apart():
    cells = [Cell(spec=ConvSpec(h=h, w=h, r=3, s=3), threads=threads) for h in (8, 16) for threads in (1, 4)]
    run = Synthetic(dict.fromkeys("ab", lambda cell: 1e-3), cells, [Crossing(axis="threads", start="a", to="b")])
    assert [len(one.curve.points) for one in crossovers(run.info(), run.blocks())] == [2, 2]
