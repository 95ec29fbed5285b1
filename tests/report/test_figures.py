"""Figures: what is drawn, in which looks, and that nothing global changes."""

import re
from itertools import pairwise

import matplotlib
import pytest

from analysis.synthetic import Synthetic, kernel_cells, power_law
from convbench.report.answers import Answers
from convbench.report.drawing import draw, overviews, svg
from convbench.report.figures import TIME, charts
from convbench.report.style import log_ticks, pushed_apart, spaced, styles, tick_memory, tick_seconds
from convbench.result import Cell, Crossing
from convbench.spec import ConvSpec

TIMES = {"direct": power_law(1e-3, 20, 2.0), "fft": power_law(1e-3, 20, 0.1)}
CELLS = [c for image in (256, 512) for c in kernel_cells([3, 7, 15, 31, 63], image)]
SWEPT = Synthetic(TIMES, CELLS, [Crossing(axis="kernel", start="direct", to="fft")])
LISTED = Synthetic(
    {"direct": lambda cell: 1e-3, "fft": lambda cell: 2e-3},
    [Cell(spec=ConvSpec(h=h, w=h, r=3, s=3), name=f"layer {h}") for h in (8, 16)],
)


def drawn(run):
    answers = Answers(run.info(), run.blocks())
    return {chart.name: draw(answers, chart) for chart in charts(answers)}


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_a_sweep_is_drawn_as_small_multiples_with_its_lines_named_at_their_ends():
    figures = drawn(SWEPT)
    names = [f"{metric}-1thread" for metric in ("time", "gflops", "behind", "accuracy", "workspace")]
    assert list(figures) == names
    for figure in figures.values():
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["image 256", "image 512"]
        assert texts(figure).count("fft") == 2


def test_workspace_is_not_drawn_where_it_is_not_known():
    tags = {"direct": ("cpu",), "fft": ("allocates", "cpu", "peer")}
    answers = Answers(SWEPT.info(tags=tags), SWEPT.blocks())
    figures = {chart.name: draw(answers, chart) for chart in charts(answers)}
    assert "fft" not in texts(figures["workspace-1thread"])
    assert "direct" in texts(figures["workspace-1thread"])
    assert "fft" in texts(figures["time-1thread"])


def test_crossovers_are_marked_where_they_are():
    figure = drawn(SWEPT)["time-1thread"]
    labels = [text for text in texts(figure) if re.fullmatch(r"fft: [\d.]+ \([\d.]+–[\d.]+\)", text)]
    assert len(labels) == 2


def test_each_list_of_shapes_has_figures_of_its_own():
    cells = [Cell(spec=ConvSpec(n=n, h=h, w=h, r=3, s=3), axes={"batch": n}) for n in (1, 8) for h in (8, 16)]
    figures = drawn(Synthetic(LISTED.true_times, cells))
    names = [name for name in figures if name.startswith("time")]
    assert names == ["time-shapes-1thread-batch1", "time-shapes-1thread-batch8"]


def test_shapes_without_an_axis_are_drawn_by_name():
    figures = drawn(LISTED)
    assert "time-shapes-1thread" in figures
    labels = [label.get_text() for label in figures["time-shapes-1thread"].axes[0].get_yticklabels()]
    assert labels == ["layer 8", "layer 16"]


def test_other_axes_are_drawn_as_well():
    cells = [Cell(spec=ConvSpec(h=64, w=64, c=c, r=3, s=3), axes={"channels": c}) for c in (1, 4, 16)]
    figures = drawn(Synthetic({"direct": lambda cell: 1e-4 * cell.spec.c}, cells))
    assert figures["time-1thread"].axes[0].get_xlabel() == "channels"


def test_drawing_leaves_matplotlibs_settings_alone():
    before = dict(matplotlib.rcParams)
    svg(next(iter(drawn(SWEPT).values())))
    assert dict(matplotlib.rcParams) == before


def test_svg_is_the_same_for_the_same_data():
    first, second = (svg(drawn(SWEPT)["time-1thread"]) for _ in range(2))
    assert first == second


def test_names_with_dollars_and_markup_are_text():
    run = Synthetic({"a$x^2$<b>1.23456": lambda cell: 1e-3}, CELLS)
    assert "a$x^2$&lt;b&gt;1.23456" in svg(drawn(run)["time-1thread"])


def test_nothing_timed_draws_nothing():
    assert list(charts(Answers(SWEPT.info(), []))) == []


def test_cells_with_one_value_of_an_axis_and_one_contender_draw():
    run = Synthetic({"direct": lambda cell: 1e-3}, CELLS[:1], passes=1)
    assert drawn(run)


@pytest.mark.parametrize("count", [12, 40, 140])
def test_no_two_algorithms_look_alike(count):
    names = ["fft", "direct", *(f"mine_{index}" for index in range(count - 2))]
    run = Synthetic(dict.fromkeys(names, lambda cell: 1.0), CELLS[:1])
    looks = styles(run.info())
    assert len({(style.color, style.marker) for style in looks.values()}) == count


def test_a_known_name_keeps_its_look_from_suite_to_suite_and_peers_are_dashed():
    few = styles(Synthetic(dict.fromkeys(["fft", "zz"], lambda c: 1.0), CELLS).info())
    many = styles(Synthetic(dict.fromkeys(["aa", "direct", "fft", "naive"], lambda c: 1.0), CELLS).info())
    assert few["fft"] == many["fft"]
    peers = styles(SWEPT.info(tags={"fft": ("cpu", "peer"), "direct": ("cpu",)}))
    assert (peers["fft"].dashes, peers["direct"].dashes) == ("--", "-")


def test_labels_are_pushed_apart_and_stay_inside_in_their_order():
    placed = pushed_apart([0.5, 0.5, 0.52, 0.99, 1.0], 0.1, 0.0, 1.0)
    ordered = sorted(placed)
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(ordered))
    assert placed == ordered
    assert ordered[0] >= 0
    assert ordered[-1] <= 1 + 1e-9
    assert pushed_apart([0.2, 0.8], 0.1, 0.0, 1.0) == [0.2, 0.8]


def test_ticks_are_round_few_and_apart():
    assert log_ticks(2e-6, 3e-3) == pytest.approx([1e-5, 1e-4, 1e-3])
    assert log_ticks(2, 30) == [2, 5, 10, 20]
    assert len(log_ticks(1e-9, 1e9)) <= 9
    assert log_ticks(0.61, 0.78) == pytest.approx([0.65, 0.7, 0.75])
    assert [text for _, text in spaced([1, 2, 3, 10], float, 1.5)] == ["1", "", "3", "10"]
    assert [tick_seconds(value) for value in (1e-5, 2e-3, 5)] == ["10 µs", "2 ms", "5 s"]
    assert [tick_memory(value) for value in (2**14, 2**30)] == ["16 KiB", "1 GiB"]


def test_the_time_metric_is_the_first_figure():
    assert next(charts(Answers(SWEPT.info(), SWEPT.blocks()))).metric is TIME


CEILINGS = [{"threads": 1, "multiply_add_flops_per_s": 1e11, "copy_bytes_per_s": 1e10}]


def test_a_sweep_has_maps_trade_offs_and_a_roofline():
    tags = {"direct": ("cpu",), "fft": ("cpu", "peer")}
    answers = Answers(SWEPT.info(tags=tags, machine={"ceilings": CEILINGS}), SWEPT.blocks())
    figures = dict(overviews(answers))
    assert list(figures) == ["map-1thread", "speedup-fft-1thread", "pareto-1thread", "roofline-1thread"]
    squares = texts(figures["map-1thread"])
    assert len(squares) == len(CELLS)
    assert all(re.fullmatch(r"[\d.]+×|tie", text) for text in squares)
    assert [axes.get_title(loc="left") for axes in figures["pareto-1thread"].axes] == [
        "image 256, kernel 3", "image 256, kernel 15", "image 256, kernel 63", "image 512, kernel 3",
        "image 512, kernel 15", "image 512, kernel 63",
    ]  # fmt: skip
    (axes,) = figures["roofline-1thread"].axes  # nobody counted operations: one panel
    assert axes.get_title(loc="left").startswith("Direct-equivalent")


def test_a_map_hatches_ties_and_leaves_out_what_nobody_passed():
    run = Synthetic({"direct": lambda cell: 1e-3, "fft": lambda cell: 1e-3}, CELLS)
    (figure,) = (figure for name, figure in overviews(Answers(run.info(), run.blocks()[:-4])) if name == "map-1thread")
    hatched = [patch for patch in figure.axes[0].patches if patch.get_hatch()]
    assert len(hatched) == texts(figure).count("tie") > len(CELLS) // 2


def test_without_times_there_is_nothing_to_map():
    assert dict(overviews(Answers(SWEPT.info(machine={"ceilings": CEILINGS}), []))) == {}
