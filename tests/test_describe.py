from convbench.describe import describe_cells, describe_spec, size
from convbench.result import Cell
from convbench.spec import ConvSpec

ALEXNET_CONV1 = ConvSpec(c=3, h=227, w=227, k=96, r=11, s=11, stride=4)


def test_alexnet_conv1_has_the_figures_of_the_course_notes():
    facts = dict(describe_spec(ALEXNET_CONV1))
    assert facts["y [N,K,P,Q]"] == "1 × 96 × 55 × 55 = 290,400 outputs"
    assert facts["parameters"] == "34,848 weights, 34,944 with biases"
    assert facts["im2col columns [CRS × PQ]"] == "363 × 3,025 an image, 4.2 MiB in all, 7.1 times the image"
    assert facts["multiply-adds"] == "105,415,200"
    assert facts["direct FLOPs"] == "210,830,400"
    assert facts["receptive field"] == "11 × 11"
    assert facts["stride divides evenly"] == "yes"


def test_an_extent_that_the_stride_does_not_divide_is_said():
    facts = dict(describe_spec(ConvSpec(h=10, w=10, r=3, s=3, stride=2)))
    assert facts["stride divides evenly"].startswith("no")


def test_dilation_widens_the_receptive_field_and_padding_the_extent():
    facts = dict(describe_spec(ConvSpec(h=32, w=20, r=3, s=5, dilation=2, padding=(1, 4))))
    assert facts["receptive field"] == "5 × 9"
    assert facts["padded extent"] == "34 × 28"


def test_columns_hold_every_image_and_group_of_a_batch():
    spec = ConvSpec(n=4, c=8, h=6, w=6, k=8, r=3, s=3, groups=8, padding=1, dtype="float64")
    facts = dict(describe_spec(spec))
    assert facts["im2col columns [CRS × PQ]"] == "72 × 36 an image, 81.0 KiB in all, 9.0 times the image"
    assert facts["parameters"] == "72 weights, 80 with biases"
    assert facts["arithmetic intensity"] == "1.1 FLOP/byte"


def test_a_backward_direction_names_what_it_computes():
    facts = dict(describe_spec(ConvSpec(h=8, w=8, r=3, s=3, direction="backward_weights")))
    assert facts["computes"] == "backward_weights: 1 × 1 × 3 × 3"


def test_cells_of_one_spec_are_one_row():
    other = ConvSpec(h=8, w=8, r=3, s=3)
    cells = [
        Cell(spec=ALEXNET_CONV1, threads=1, weight=2.0, name="conv1"),
        Cell(spec=other),
        Cell(spec=ALEXNET_CONV1, threads=2, weight=2.0, name="conv1"),
    ]
    first, second = describe_cells(cells)
    assert (first.spec, first.name, first.weight, first.cells) == (ALEXNET_CONV1.id, "conv1", 2.0, 2)
    assert (first.parameters, first.direct_flops, first.y_shape) == (34_848, 210_830_400, (1, 96, 55, 55))
    assert first.columns_bytes == 4 * 363 * 3025
    assert (second.spec, second.cells) == (other.id, 1)


def test_sizes_are_for_people():
    assert [size(n) for n in (0, 1023, 1024, 3 * 2**29, 2**50)] == [
        "0 B",
        "1,023 B",
        "1.0 KiB",
        "1.5 GiB",
        "1,024.0 TiB",
    ]
