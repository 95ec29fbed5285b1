from analysis.synthetic import Synthetic
from convbench.analysis.groups import groups, main_axis
from convbench.result import Cell
from convbench.spec import ConvSpec


def cell(h, **axes):
    return Cell(spec=ConvSpec(n=axes.get("batch", 1), h=h, w=h, r=3, s=3), axes=axes)


def info(*cells):
    return Synthetic({"a": lambda cell: 1.0}, list(cells)).info()


def test_coordinates_that_problems_share_say_which_list_a_cell_is_of():
    run = info(cell(8, batch=1), cell(9, batch=1), cell(8, batch=4), cell(9, batch=4))
    assert main_axis(run) is None
    found = groups(run)
    assert [(group.axis, group.fixed, len(group.cells)) for group in found] == [
        (None, (("batch", 1),), 2),
        (None, (("batch", 4),), 2),
    ]


def test_coordinates_of_one_problem_each_are_an_axis():
    run = info(cell(8, batch=1), cell(8, batch=4))
    assert main_axis(run) == "batch"
    assert [(group.axis, group.fixed, len(group.cells)) for group in groups(run)] == [("batch", (), 2)]


def test_shapes_without_coordinates_are_one_list():
    assert [(group.axis, group.fixed, len(group.cells)) for group in groups(info(cell(8), cell(9)))] == [(None, (), 2)]
