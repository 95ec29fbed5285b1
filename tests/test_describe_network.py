"""What `describe` prints of a network: the figures of its papers, in full in a pipe, as many as fit on a terminal."""

import io

import pytest
from rich.console import Console

from convbench.algorithm import Resources
from convbench.catalog import load
from convbench.describe import describe_network, fft_bytes, network_totals
from convbench.errors import ConvbenchError
from convbench.report.network import print_network
from convbench.report.network_figure import draw, kind_shown, write_figure
from convbench.spec import ConvSpec
from convbench.suite import find_suite, load_suite


def printed(name, width=None):
    network = load_suite(find_suite(f"networks/{name}")).network
    file = io.StringIO()
    console = Console(file=file, force_terminal=width is not None, width=width, highlight=False, no_color=True)
    print_network(console, describe_network(network), network_totals(network))
    return file.getvalue()


def rows(name):
    head, *lines = (line.split("\t") for line in printed(name).splitlines() if "\t" in line)
    return {line[0]: dict(zip(head, line, strict=True)) for line in lines}


def test_a_pipe_gets_every_figure_in_full():
    assert rows("alexnet")["conv1"] == {
        "layer": "conv1",
        "kind": "conv",
        "input": "3×227×227",
        "kernel": "11×11/4",
        "output": "96×55×55",
        "weights": "34,848",
        "parameters": "34,944",
        "multiply-adds": "105,415,200",
        "FLOPs": "210,830,400",
        "share": "15 %",
        "activation bytes": f"{4 * 290_400:,}",
        "field": "11",
        "jump": "4",
        "im2col columns": "363×3025",
        "im2col bytes": f"{4 * 363 * 3025:,}",
        "FFT bytes": f"{fft_bytes(ConvSpec(c=3, h=227, w=227, k=96, r=11, s=11, stride=4)):,}",
    }


def test_the_figures_of_the_notes_are_printed():
    vgg = rows("vgg16")
    assert [vgg[name]["weights"] for name in ("conv1_1", "conv5_3", "fc6")] == ["1,728", "2,359,296", "102,760,448"]
    inception = rows("inception_3a")
    assert inception["side_by_side/naive"]["weights"] == "387,072"
    assert inception["side_by_side/reduced"]["weights"] == "157,184"
    assert inception["side_by_side/naive/5x5"]["multiply-adds"] == "120,422,400"
    assert inception["side_by_side/reduced/5x5"]["multiply-adds"] == "12,443,648"
    nin = rows("nin")
    assert [nin[name]["output"].split("×")[1] for name in ("conv1", "conv2", "conv3", "conv4", "pool4")] == [
        *("55", "27", "13", "6", "1")
    ]
    assert rows("vgg16_384")["fc8"]["output"] == "1000×6×6"


def test_the_totals_say_what_they_count():
    assert network_totals(load_suite(find_suite("networks/vgg16")).network) == (
        ("layers", "16 with weights, 16 one after another; 12 distinct convolutions"),
        ("parameters", "138,357,544 = 138,344,128 weights + 13,416 biases, 527.8 MiB"),
        ("multiply-adds", "15,470,264,320 an image, 30.94 GFLOP"),
        ("activations", "15,237,608 values with the image, 58.1 MiB; with their gradients 116.3 MiB"),
        ("receptive field", "404 × 404 elements of the image, from one output to the next 32 × 32"),
        ("most workspace", "im2col 110.2 MiB (conv1_2), FFT 965.5 MiB (conv4_3)"),
    )
    parameters = dict(network_totals(load_suite(find_suite("networks/resnet50")).network))["parameters"]
    assert "25,557,032 = 25,502,912 weights + 1,000 biases + 53,120 scales and shifts of batch norm" in parameters


def test_the_table_is_as_wide_as_the_terminal():
    for name in ("vgg16", "googlenet", "resnet50", "mobilenet", "inception_3a"):
        for width in (80, 100, 160):
            table = printed(name, width).split("\n\n")[0]
            assert (
                max(map(len, table.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "").split("\n")))
                <= width
            )
            assert "…" not in table
    assert "3×224×224" in printed("vgg16", 100)
    assert "105,415,200" in printed("alexnet", 160)


def test_joins_are_summed_and_not_drawn():
    network = load_suite(find_suite("networks/googlenet")).network
    lines = describe_network(network)
    leaves, tops = [one for one in lines if not one.is_join], [one for one in lines if one.level == 0]
    for what in ("weights", "parameters", "multiply_adds", "activation_bytes"):
        assert sum(getattr(one, what) for one in leaves) == sum(getattr(one, what) for one in tops)
    assert sum(one.share for one in leaves) == pytest.approx(1)
    assert sum(bool(kind_shown(one)) for one in lines) == 58


@pytest.mark.parametrize(
    "spec",
    [
        ConvSpec(c=3, h=30, w=23, k=8, r=3, s=3, padding=1),
        ConvSpec(c=8, h=14, w=14, k=6, r=5, s=5, padding=2, groups=2),
        ConvSpec(c=8, h=14, w=15, k=8, r=3, s=3, padding=1, groups=8),
        ConvSpec(c=4, h=31, w=31, k=5, r=3, s=3, stride=2, dilation=2, dtype="float64"),
        ConvSpec(c=16, h=7, w=7, k=10, r=7, s=7),
    ],
)
def test_fft_bytes_are_what_fft_plans(spec):
    assert fft_bytes(spec) == load()["fft"].plan(spec, Resources(threads=1)).workspace_bytes


def test_a_picture_has_a_bar_for_each_layer_with_weights(tmp_path):
    network = load_suite(find_suite("networks/mobilenet")).network
    layers = describe_network(network)
    figure = draw("mobilenet", layers)
    assert [len(axes.patches) for axes in figure.axes] == [28, 28]
    assert sum(bar.get_width() for bar in figure.axes[0].patches) == 568_740_352
    write_figure(tmp_path / "cost.svg", "mobilenet", layers)
    assert "conv14/pointwise" in (tmp_path / "cost.svg").read_text()
    write_figure(tmp_path / "cost.png", "mobilenet", layers)
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConvbenchError, match=r"cost.pdf: a picture ends in .svg or .png"):
        write_figure(tmp_path / "cost.pdf", "mobilenet", layers)
    with pytest.raises(ConvbenchError, match=r"cost.png: cannot be written: No such file or directory"):
        write_figure(tmp_path / "nowhere" / "cost.png", "mobilenet", layers)
