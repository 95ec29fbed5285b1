"""Planes of a sweep, speed-ups against a base, Pareto fronts, and rooflines: on runs whose truth is known."""

import pytest

from analysis.synthetic import Synthetic, block, kernel_cells, power_law
from convbench.analysis.contenders import contenders
from convbench.analysis.groups import groups
from convbench.analysis.pareto import fronts
from convbench.analysis.planes import planes
from convbench.analysis.roofline import spots
from convbench.analysis.speedups import speedups
from convbench.analysis.winners import winners
from convbench.result import Agreement, Cell
from convbench.spec import ConvSpec

CELL = Cell(spec=ConvSpec(h=64, w=64, r=3, s=3), axes={"kernel": 3})
ROOFS = [
    {"threads": 1, "multiply_add_flops_per_s": 1e11, "copy_bytes_per_s": 1e10, "matrix_product_flops_per_s": 9e10},
    {"threads": 4, "device": "cuda", "multiply_add_flops_per_s": 1e13, "copy_bytes_per_s": 1e12},
]


def test_a_plane_has_a_row_a_group_and_gaps_where_cells_are_missing():
    cells = [*kernel_cells([3, 7], 256), *kernel_cells([3, 5, 7], 512)]
    (plane,) = planes(groups(Synthetic({"direct": lambda cell: 1e-3}, cells).info()))
    assert (plane.axis, plane.columns) == ("kernel", (3, 5, 7))
    assert [name for name, _ in plane.rows] == ["image 256", "image 512"]
    assert plane.rows[0][1][1] is None
    assert len(list(plane.cells)) == 5


def test_a_speed_up_is_against_the_best_other_and_below_1_where_the_base_wins():
    run = Synthetic({"direct": power_law(1e-3, 9, 2.0), "fft": power_law(1e-3, 9, 0.1)}, kernel_cells([3, 31], 256))
    info, blocks = run.info(), run.blocks()
    merged, best = contenders(info, blocks), winners(info, blocks)
    small, large = (speedups(info, merged, best, "fft")[cell.key] for cell in run.cells)
    assert (small.other, large.other) == ("direct", "direct")
    for one, cell in ((small, run.cells[0]), (large, run.cells[1])):
        truth = run.true_times["fft"](cell) / run.true_times["direct"](cell)
        assert one.ratio.contains(truth)
    assert small.ratio.value > 1 > large.ratio.value
    assert not small.is_tie
    assert speedups(info, merged, best, "no such") == {}


def offers(**given):
    """Blocks of two passes: name → (seconds, workspace, normwise error)."""
    return [
        block(
            CELL, name, index, [seconds * (1 + 0.001 * ((index + len(name)) % 3))] * 5, workspace_bytes=workspace,
            agreement=Agreement(
                error=error or 0.0, bound=1.0, norm="componentwise", compared=1, outputs=1, normwise=error
            ),
        )
        for name, (seconds, workspace, error) in given.items()
        for index in range(3)
    ]  # fmt: skip


def front_of(tags=None, **given):
    run = Synthetic(dict.fromkeys(given, lambda cell: 1.0), [CELL])
    info = run.info(**({"tags": tags} if tags else {}))
    found = list(fronts(info, contenders(info, offers(**given))))
    return found[0] if found else None


def test_the_front_has_whoever_is_fastest_smallest_or_closest_and_the_others_are_beaten_by_somebody():
    front = front_of(
        fast=(1e-3, 100, 1e-6), small=(2e-3, 1, 1e-6), close=(3e-3, 100, 1e-8), worse=(2.5e-3, 100, 1.1e-6)
    )
    assert [offer.contender.algorithm for offer in front.best] == ["fast", "small", "close"]
    assert front.beaten == {"worse": "fast"}


def test_errors_of_the_same_power_of_two_and_times_that_cannot_be_told_apart_beat_nobody():
    front = front_of(one=(1e-3, 8, 1.1e-7), other=(1.0001e-3, 8, 1.15e-7))
    assert len(front.best) == 2
    front = front_of(exact=(2e-3, 8, 0.0), fast=(1e-3, 8, 1e-300))
    assert len(front.best) == 2


def test_an_unknown_workspace_or_error_makes_no_claim():
    tags = {"library": ("allocates", "peer"), "ours": (), "naive": ()}
    front = front_of(tags, library=(1e-4, 0, 1e-8), ours=(1e-3, 8, 1e-7), naive=(2e-3, 0, 1e-7))
    assert {offer.contender.algorithm for offer in front.offers} == {"ours", "naive"}
    assert front_of({"library": ("allocates",), "ours": ()}, library=(1e-4, 0, 1e-8), ours=(1e-3, 8, 1e-7)) is None
    assert front_of(old=(2e-3, 4, None), new=(1e-3, 8, 1e-9)).beaten == {}
    assert front_of(old=(2e-3, 8, None), new=(1e-3, 8, 1e-3)).beaten == {"old": "new"}


def test_spots_stand_under_the_roof_of_their_threads_or_their_card():
    run = Synthetic({"direct": lambda cell: 1e-4, "cuda_direct": lambda cell: 1e-5}, [CELL], pass_noise=0)
    info = run.info(machine={"ceilings": ROOFS}, tags={"direct": ("cpu",), "cuda_direct": ("cuda",)})
    blocks = [one.model_copy(update={"operations": CELL.spec.direct_flops // 2}) for one in run.blocks()]
    (roof, here), (card, there) = spots(info, contenders(info, blocks))
    assert (roof.device, card.device) == ("cpu", "cuda")
    intensity, rate = here.direct
    assert intensity == CELL.spec.direct_flops / CELL.spec.minimal_bytes
    assert rate == pytest.approx(CELL.spec.direct_flops / here.contender.time.value)
    assert here.actual == pytest.approx((intensity / 2, rate / 2))
    assert there.direct[0] == intensity
    assert roof.ridge == pytest.approx(10)
    assert roof.at(1) == pytest.approx(1e10)
    assert roof.at(1e6) == 1e11
    assert roof.least_s(CELL.spec) == pytest.approx(max(CELL.spec.direct_flops / 1e11, CELL.spec.minimal_bytes / 1e10))


def test_no_roof_no_spot():
    wide = Cell(spec=ConvSpec(h=8, w=8, r=3, s=3, dtype="float64"))
    run = Synthetic({"direct": lambda cell: 1e-4}, [CELL, wide])
    assert not list(spots(run.info(), contenders(run.info(), run.blocks())))
    info = run.info(machine={"ceilings": ROOFS})
    assert [spot.contender.cell.spec.dtype for _, spot in spots(info, contenders(info, run.blocks()))] == ["float32"]
