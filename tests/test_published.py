"""The published sets of layers: every row in one suite, in its own size and in a tier for small machines."""

import csv
from collections import Counter

import pytest

from convbench.spec import ConvSpec
from convbench.suite import find_suite, load_suite
from convbench.suite.shape_table import TableShape, shrunk
from convbench.suite.suite import shape_table_file

SETS = ("convnet_benchmarks", "deepbench_train", "deepbench_server", "deepbench_device", "onednn")
with shape_table_file("conv_shapes").open(newline="") as file:
    ROWS = list(csv.DictReader(file))


def spec_of(row, **changes):
    numbers = {name: int(row[name]) for name in ("n", "c", "h", "w", "k", "r", "s", "dilation", "groups")} | changes
    pairs = {"padding": ("pad_h", "pad_w"), "stride": ("stride_h", "stride_w")}
    return ConvSpec(**numbers, **{name: tuple(int(row[one]) for one in pair) for name, pair in pairs.items()})


def cells(name):
    return load_suite(find_suite(name)).cells(2, None)


def test_all_427_rows_are_in_the_suites_as_they_are_published():
    assert len(ROWS) == 427
    found = Counter(cell.spec for name in SETS for cell in cells(name))
    wanted = {spec_of(row) for row in ROWS}
    assert set(found) == wanted


@pytest.mark.parametrize("name", SETS)
def test_the_small_tier_has_the_same_layers_of_one_image_each_no_larger_than_a_gflop(name):
    small, original = cells(f"{name}_small"), cells(name)
    layers = {(c.spec.c, c.spec.k, c.spec.r, c.spec.s, c.spec.stride, c.spec.padding, c.spec.dilation) for c in small}
    assert layers == {
        (c.spec.c, c.spec.k, c.spec.r, c.spec.s, c.spec.stride, c.spec.padding, c.spec.dilation) for c in original
    }
    assert {cell.spec.n for cell in small} == {1}
    for cell in small:
        reach = max(extent // 2 for extent in (cell.spec.h, cell.spec.w))
        assert cell.spec.direct_flops <= 1e9 or reach <= max(cell.spec.filter_extent)


def test_an_image_is_halved_until_its_layer_is_small_enough_and_never_below_its_filter():
    settings = {"n": 1, "c": 64, "h": 101, "w": 60, "k": 64, "r": 5, "s": 5, "padding": (2, 2)}
    full = ConvSpec(**settings).direct_flops
    found = shrunk(TableShape(settings, "layer", 2.0, "here"), full / 3)
    assert (found.settings["h"], found.settings["w"], found.name, found.weight) == (51, 30, "layer ÷2", 2.0)
    assert shrunk(TableShape(settings, "layer", 2.0, "here"), full).name == "layer"
    least = shrunk(TableShape(settings, "layer", 2.0, "here"), 1.0).settings
    assert (least["h"], least["w"]) == (13, 8)
    assert least | {"h": 0, "w": 0} == settings | {"h": 0, "w": 0}
