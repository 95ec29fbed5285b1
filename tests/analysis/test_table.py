"""Rows: the full set, and how the passes' statuses merge."""

import math

import pytest

from analysis.synthetic import Synthetic, block, failed, kernel_cells
from convbench.analysis.table import rows, worst_agreement
from convbench.result import Agreement, Cell, Status
from convbench.spec import ConvSpec

CELLS = kernel_cells([3, 5])
RUN = Synthetic({"a": lambda cell: 1e-3, "b": lambda cell: 2e-3}, CELLS)


def test_every_cell_and_contender_has_a_row_even_without_blocks():
    found = rows(RUN.info(), [])
    assert [(row.spec, row.algorithm) for row in found] == [(c.spec.id, name) for c in CELLS for name in "ab"]
    assert {row.status for row in found} == {Status.NOT_REACHED}
    assert all(row.reason and row.median_s is None for row in found)


def test_a_row_carries_the_medians_the_maxima_and_the_rate():
    blocks = [
        block(CELLS[0], "a", i, [1e-3], plan_s=plan, peak_rss_bytes=peak)
        for i, (plan, peak) in enumerate([(1.0, 10), (9.0, 30), (2.0, 20)])
    ]
    row = rows(RUN.info(), blocks)[0]
    assert (row.plan_s, row.peak_rss_bytes, row.samples, row.passes) == (2.0, 30, 3, 3)
    assert row.direct_gflops_per_s == pytest.approx(2 * 512 * 512 * 9 / 1e-3 / 1e9)
    assert (row.r, row.padding, row.stride, row.dilation) == (3, "1", "1", "1")


@pytest.mark.parametrize("status", [Status.DISAGREED, Status.CRASHED, Status.TIMEOUT, Status.OUT_OF_MEMORY])
@pytest.mark.parametrize("bad_pass", [0, 2])
def test_a_failure_in_any_pass_is_the_status_and_names_the_pass(status, bad_pass):
    blocks = [block(CELLS[0], "a", i, [1e-3]) for i in range(3) if i != bad_pass]
    blocks.append(failed(CELLS[0], "a", bad_pass, status, "why"))
    row = rows(RUN.info(), blocks)[0]
    assert (row.status, row.reason, row.median_s) == (status, f"pass {bad_pass + 1}: why", None)


def test_disagreement_outweighs_a_crash():
    blocks = [failed(CELLS[0], "a", 0, Status.CRASHED), failed(CELLS[0], "a", 1, Status.DISAGREED)]
    assert rows(RUN.info(), blocks)[0].status is Status.DISAGREED


def test_a_later_pass_that_was_not_reached_keeps_the_earlier_result():
    blocks = [block(CELLS[0], "a", 0, [1e-3]), failed(CELLS[0], "a", 1, Status.NOT_REACHED)]
    row = rows(RUN.info(), blocks)[0]
    assert (row.status, row.passes) == (Status.PASSED, 1)


def test_options_are_written_as_in_the_spec():
    spec = ConvSpec(h=9, w=9, r=3, s=3, stride=(1, 2), padding=((0, 1), (2, 2)), dilation=2)
    run = Synthetic({"a": lambda cell: 1.0}, [Cell(spec=spec)])
    row = rows(run.info(), [])[0]
    assert (row.stride, row.padding, row.dilation) == ("1x2", "0.1x2.2", "2")


def test_the_worst_agreement_is_the_one_nearest_its_bound_and_nan_is_worse_than_all():
    def verdict(error):
        return Agreement(error=error, bound=1.0, norm="normwise", compared=1, outputs=1)

    blocks = [block(CELLS[0], "a", i, [1.0], agreement=verdict(e)) for i, e in enumerate([0.1, 3.0, 0.2])]
    assert worst_agreement(blocks).error == 3.0
    blocks.append(block(CELLS[0], "a", 4, [1.0], agreement=verdict(math.nan)))
    assert math.isnan(worst_agreement(blocks).error)
