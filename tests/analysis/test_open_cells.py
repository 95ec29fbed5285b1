"""Where the next pass goes."""

from analysis.synthetic import Synthetic, kernel_cells, power_law
from convbench.analysis.open_cells import still_open
from convbench.result import Crossing

KERNELS = [3, 5, 7, 11, 15, 23, 31, 45, 63]
CROSSING = Crossing(axis="kernel", start="direct", to="fft")
TIMES = {"direct": power_law(1e-3, 18, 2.0), "fft": power_law(1e-3, 18, 0.1), "naive": power_law(1e-1, 18, 2.0)}


def kernels(found):
    return [int(key.split("r")[1].split("s")[0]) for key, _ in found]


def test_after_one_pass_every_cell_is_open_and_the_crossover_comes_first():
    run = Synthetic(TIMES, kernel_cells(KERNELS), [CROSSING], passes=1)
    found = still_open(run.info(), run.blocks())
    assert set(kernels(found)) == set(KERNELS)
    assert {15, 23} <= set(kernels(found)[:4])


def test_the_hopeless_are_left_out():
    run = Synthetic(TIMES, kernel_cells(KERNELS), [CROSSING], passes=1)
    found = dict(zip(KERNELS, [None] * 9, strict=True)) | {
        kernel: algorithms
        for kernel, (_, algorithms) in zip(
            kernels(still_open(run.info(), run.blocks())), still_open(run.info(), run.blocks()), strict=True
        )
    }
    assert found[3] == ("direct",)
    assert found[63] == ("fft",)
    assert found[15] == found[23] == ("direct", "fft")


def test_a_crossing_pair_is_kept_beside_its_crossover_however_far_apart():
    times = {"direct": power_law(1e-3, 14, 2.0), "fft": power_law(1e-3, 14, 0.1)}
    run = Synthetic(times, kernel_cells([3, 63]), [CROSSING], passes=1)  # 19 and 17 times apart
    assert [algorithms for _, algorithms in still_open(run.info(), run.blocks())] == [("direct", "fft")] * 2


def test_only_the_doubtful_cells_stay_open_after_enough_passes():
    run = Synthetic(TIMES, kernel_cells(KERNELS), [CROSSING], passes=6, pass_noise=0.03)
    found = kernels(still_open(run.info(), run.blocks()))
    assert set(found) <= {11, 15, 23, 31}


def test_a_quiet_run_has_nothing_open():
    run = Synthetic(TIMES, kernel_cells(KERNELS), [CROSSING], passes=5, pass_noise=1e-4, sample_noise=1e-4)
    assert still_open(run.info(), run.blocks()) == []


def test_an_exact_tie_is_settled_once_it_is_narrow():
    times = {"direct": lambda cell: 1e-3, "fft": lambda cell: 1e-3}
    quiet = Synthetic(times, kernel_cells([3, 5]), [CROSSING], passes=6, pass_noise=1e-3, sample_noise=1e-3)
    noisy = Synthetic(times, kernel_cells([3, 5]), [CROSSING], passes=6, pass_noise=0.05)
    assert still_open(quiet.info(), quiet.blocks()) == []
    assert len(still_open(noisy.info(), noisy.blocks())) == 2


def test_nothing_measured_leaves_nothing_to_repeat():
    run = Synthetic(TIMES, kernel_cells(KERNELS), [CROSSING])
    assert still_open(run.info(), []) == []


def test_a_crossover_placed_by_two_passes_gets_more_of_them():
    """Two passes that happen to agree gave an interval of no width, and no third pass was made."""
    times = {**TIMES, "tiled": lambda cell: 1e-6}
    quiet = {"pass_noise": 1e-6, "sample_noise": 1e-6}
    few = Synthetic(times, kernel_cells(KERNELS), [CROSSING], passes=2, **quiet)
    open_to_both = [(key, names) for key, names in still_open(few.info(), few.blocks()) if "direct" in names]
    assert sorted(kernels(open_to_both)) == [15, 23]
    enough = Synthetic(times, kernel_cells(KERNELS), [CROSSING], passes=5, **quiet)
    assert still_open(enough.info(), enough.blocks()) == []
