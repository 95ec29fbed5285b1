"""Stages over passes: times, shares, and their sum beside a call."""

import json

import pytest

from analysis.synthetic import Synthetic, block, kernel_cells
from convbench.analysis.contenders import contenders
from convbench.analysis.effort import effort
from convbench.analysis.stages import staged
from convbench.analysis.table import rows

(CELL,) = kernel_cells([3])
RUN = Synthetic({"a": lambda cell: 1.0, "plain": lambda cell: 1.0}, [CELL])


def blocks(passes, scale=1.0):
    return [
        block(CELL, "a", i, [1.0, 1.0], stages_s={"in": (0.2, 0.2 * scale**i, 9.0), "product": (0.6, 0.6, 0.6)})
        for i in range(passes)
    ]


def found(made):
    return staged(contenders(RUN.info(), made)[CELL.key, "a"])


def test_stages_are_medians_of_a_pass_and_means_over_passes():
    one = found(blocks(3))
    assert [(stage.name, stage.time.value, stage.share) for stage in one.stages] == [
        ("in", pytest.approx(0.2), pytest.approx(0.25)),
        ("product", pytest.approx(0.6), pytest.approx(0.75)),
    ]
    assert one.of_execute.value == pytest.approx(0.8)
    assert one.total_s == pytest.approx(0.8)


def test_fewer_than_three_passes_give_no_interval():
    assert not found(blocks(2, 1.1)).stages[0].time.has_interval
    three = found(blocks(3, 1.1)).stages[0].time
    assert three.low < 0.22 < three.high


def test_who_tells_nothing_or_did_not_pass_has_no_stages():
    plain = [block(CELL, "plain", 0, [1.0])]
    assert staged(contenders(RUN.info(), plain)[CELL.key, "plain"]) is None
    assert found([one.model_copy(update={"status": "crashed"}) for one in blocks(1)]) is None
    assert found([*blocks(1), block(CELL, "a", 1, [1.0])]).stages[0].time.passes == 1  # a pass cut short


def test_a_stage_that_no_clock_saw_is_no_error():
    one = found([block(CELL, "a", 0, [1.0], stages_s={"in": (0.0,), "product": (1.0,)})])
    assert one.stages[0].share == pytest.approx(0, abs=1e-6)


def test_the_table_has_them_as_json_and_the_time_they_took_is_accounted_for():
    by_name = {row.algorithm: row for row in rows(RUN.info(), blocks(2))}
    assert json.loads(by_name["a"].stages) == pytest.approx({"in": 0.2, "product": 0.6})
    assert by_name["plain"].stages == ""
    spent = effort(RUN.info(options={"wall_s": 99.0}), blocks(2))
    assert dict(spent.parts())["stages"] == pytest.approx(2 * (9.4 + 1.8))
    assert sum(seconds for _, seconds in spent.parts()) == pytest.approx(99.0)
