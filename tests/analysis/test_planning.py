"""Plan times without compilation, and what was compiled."""

import pytest

from analysis.synthetic import Synthetic, block, kernel_cells
from convbench.analysis.effort import effort
from convbench.analysis.planning import compilation, planning

CELLS = kernel_cells([3, 5, 7])
RUN = Synthetic({"a": lambda cell: 1.0, "b": lambda cell: 1.0}, CELLS)
BLOCKS = [
    block(CELLS[0], "a", 0, [1.0], plan_s=4.0, compiled=3, compile_s=3.9),
    block(CELLS[0], "a", 1, [1.0], plan_s=0.1, compiled=0, compile_s=0.0),
    block(CELLS[1], "a", 0, [1.0], plan_s=0.2, compiled=0, compile_s=0.0),
    block(CELLS[2], "a", 0, [1.0], plan_s=0.3, compiled=0, compile_s=0.0),
]


def test_plan_times_leave_compilation_out_and_tell_it_apart():
    (one,) = planning(RUN.info(), BLOCKS)
    assert one.algorithm == "a"
    assert one.median_s == pytest.approx(0.2)
    assert (one.longest_s, one.longest_cell) == (pytest.approx(0.3), CELLS[2].key)
    assert (one.first_s, one.kernels, one.compile_s) == (4.0, 3, 3.9)


def test_what_was_compiled_is_said_in_words():
    some = compilation(BLOCKS)
    assert some.sentence() == "3 kernels in 3.90 s, kept on disk for the next run"
    assert compilation(BLOCKS[1:]).sentence() == "nothing was compiled: every kernel came from disk"


def test_a_run_from_before_compilations_were_counted_says_nothing_of_them():
    old = [block(CELLS[0], "a", 0, [1.0], plan_s=4.0)]
    assert compilation(old) is None
    (one,) = planning(RUN.info(), old)
    assert (one.first_s, one.longest_s) == (None, 4.0)


def test_compiling_is_a_part_of_the_time_of_its_own():
    spent = effort(RUN.info(options={"wall_s": 20.0}), BLOCKS)
    assert spent.compiled_s == pytest.approx(3.9)
    assert spent.planned_s == pytest.approx(0.7)
    assert sum(seconds for _, seconds in spent.parts()) == pytest.approx(20.0)
