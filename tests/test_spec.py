from __future__ import annotations

import math

import pytest
from hypothesis import given

from convbench.errors import SpecError
from convbench.spec import ConvSpec, receptive_field
from spec_strategy import specs

# --- geometry, from the course notes ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("w", "f", "stride", "padding", "outputs"),
    [(7, 3, 1, 0, 5), (7, 3, 2, 0, 3), (5, 3, 2, 1, 3), (10, 3, 2, 0, 4), (227, 11, 4, 0, 55), (224, 11, 4, 0, 54)],
)
def test_output_extent(w: int, f: int, stride: int, padding: int, outputs: int) -> None:
    spec = ConvSpec(h=w, w=w, r=f, s=f, stride=stride, padding=padding)
    assert (spec.p, spec.q) == (outputs, outputs)
    assert spec.divides_evenly == ((w - f + 2 * padding) % stride == 0)


def test_a_stride_that_does_not_divide_is_floored_and_told() -> None:
    assert not ConvSpec(h=10, w=9, r=3, s=3, stride=2).divides_evenly
    assert not ConvSpec(h=9, w=10, r=3, s=3, stride=2).divides_evenly
    assert ConvSpec(h=9, w=9, r=3, s=3, stride=2).divides_evenly


@pytest.mark.parametrize("f", [1, 3, 5, 7, 11])
def test_half_the_filter_as_padding_keeps_the_size(f: int) -> None:
    spec = ConvSpec(h=13, w=17, r=f, s=f, padding=(f - 1) // 2)
    assert (spec.p, spec.q) == (13, 17)
    assert spec == ConvSpec(h=13, w=17, r=f, s=f, padding="same")


def test_caffe_blob() -> None:
    assert ConvSpec.parse("n1c3h5w5k2r2s2+stride=2+padding=1").y_shape == (1, 2, 3, 3)


def test_alexnet_conv1() -> None:
    conv1 = ConvSpec(h=227, w=227, c=3, r=11, s=11, stride=4, k=96)
    assert conv1.y_shape == (1, 96, 55, 55)
    assert math.prod(conv1.y_shape) == 290_400
    assert conv1.parameters == 34_848
    assert conv1.parameters + conv1.k == 34_944
    assert conv1.columns_shape == (363, 3025)
    assert round(math.prod(conv1.columns_shape) / math.prod(conv1.x_shape), 1) == 7.1


def test_two_dimensional_example_of_the_notes() -> None:
    assert ConvSpec(h=11, w=11, c=4, r=5, s=5, stride=2).y_shape[2:] == (4, 4)


def test_dilation_two_skips_one_element() -> None:
    assert ConvSpec(h=1, w=5, r=1, s=3, dilation=2).filter_extent == (1, 5)
    assert ConvSpec(h=1, w=5, r=1, s=3, dilation=2).q == 1


def test_receptive_field() -> None:
    assert receptive_field([]) == 1
    assert receptive_field([(5, 1)]) == 5
    assert receptive_field([(3, 1)] * 3) == 7  # three stacked 3×3 see what one 7×7 sees
    assert receptive_field([(11, 4), (3, 2), (5, 1)]) == 4 * (2 * (5 - 1) + 3 - 1) + 11


def test_a_fully_connected_layer_is_a_convolution() -> None:
    head = ConvSpec(h=7, w=7, c=512, r=7, s=7, k=4096)
    assert head.y_shape == (1, 4096, 1, 1)
    assert head.parameters == 102_760_448
    assert ConvSpec(h=12, w=12, c=512, r=7, s=7, k=1000).y_shape == (1, 1000, 6, 6)


def test_inception_multiplications() -> None:
    def multiplications(c: int, k: int, r: int) -> int:
        return ConvSpec(h=28, w=28, c=c, k=k, r=r, s=r, padding="same").direct_flops // 2

    assert multiplications(192, 32, 5) == 120_422_400
    assert (multiplications(192, 16, 1), multiplications(16, 32, 5)) == (2_408_448, 10_035_200)


def test_padding_words() -> None:
    def padding(word: str, **more: int) -> object:
        return ConvSpec(**({"h": 10, "w": 11, "r": 4, "s": 3} | more), padding=word).padding

    assert padding("valid") == ((0, 0), (0, 0))
    assert padding("full") == ((3, 3), (2, 2))
    assert padding("full", dilation=2) == ((6, 6), (4, 4))
    assert padding("same") == ((1, 2), (1, 1))  # an odd element goes after
    assert ConvSpec(h=10, w=11, r=4, s=3, stride=2, padding="same").y_shape == (1, 1, 5, 6)  # ceil(H / u)
    assert ConvSpec(h=9, w=9, r=2, s=2, stride=3, padding="same").padding == ((0, 0), (0, 0))


@given(specs())
def test_output_extent_counts_the_positions_of_the_filter(spec: ConvSpec) -> None:
    for axis, outputs in ((0, spec.p), (1, spec.q)):
        last_start = spec.padded_extent[axis] - spec.filter_extent[axis]
        assert outputs == len(range(0, last_start + 1, spec.stride[axis]))


@given(specs())
def test_cost_is_that_of_the_loops(spec: ConvSpec) -> None:
    N, K, P, Q = spec.y_shape
    assert spec.direct_flops == 2 * N * K * P * Q * (spec.c // spec.groups) * spec.r * spec.s
    assert spec.minimal_bytes == spec.itemsize * (math.prod(spec.x_shape) + spec.parameters + N * K * P * Q)


def test_shapes_by_direction() -> None:
    def shapes(direction: str) -> tuple[object, ...]:
        spec = ConvSpec(n=2, c=4, k=6, h=9, w=8, r=3, s=2, groups=2, direction=direction)
        return spec.prepared_shape, spec.input_shape, spec.output_shape

    x, w, y = (2, 4, 9, 8), (6, 2, 3, 2), (2, 6, 7, 7)
    assert shapes("forward") == (w, x, y)
    assert shapes("backward_data") == (w, y, x)
    assert shapes("backward_weights") == (y, x, w)


# --- the id -----------------------------------------------------------------------------------------


@given(specs())
def test_the_id_parses_back(spec: ConvSpec) -> None:
    assert ConvSpec.parse(spec.id) == spec
    assert ConvSpec.parse(spec.id).id == spec.id
    assert ConvSpec(**spec.to_dict()) == spec  # type: ignore[arg-type]
    assert not set(" ,;@/") & set(spec.id)


def test_the_id_is_readable_and_leaves_defaults_out() -> None:
    assert ConvSpec(h=8, w=9, r=3, s=2).id == "n1c1h8w9k1r3s2"
    spec = ConvSpec(h=8, w=9, r=3, s=3, stride=(1, 2), padding=((0, 1), (2, 3)), dilation=2, dtype="float64", flip=True)
    assert spec.id == "n1c1h8w9k1r3s3+stride=1x2+padding=0.1x2.3+dilation=2+dtype=float64+flip=true"
    assert ConvSpec(h=8, w=8, r=3, s=3, filter="gaussian:1.50").id == "n1c1h8w8k1r3s3+filter=gaussian:1.5"
    assert ConvSpec(h=8, w=8, r=3, s=3, padding="same").id == "n1c1h8w8k1r3s3+padding=1"
    assert ConvSpec.parse("h8w8r3s3+filter=gaussian:1000000").id.endswith("gaussian:1000000")


def test_equal_specs_hash_alike() -> None:
    assert len({ConvSpec(h=8, w=8, r=3, s=3, stride=2), ConvSpec(h=8, w=8, r=3, s=3, stride=(2, 2))}) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a spec: expected a form like"),
        ("h8w8", "is not a spec"),
        ("h8w8r3s3k2", "is not a spec"),
        ("h-8w8r3s3", "is not a spec"),
        ("h8w8r3s3+", "unknown option ''"),
        ("h8w8r3s3+strode=2", "unknown option 'strode=2'; valid options: boundary, dilation"),
        ("h8w8r3s3+stride=2+stride=2", "option 'stride' is given twice"),
        ("h8w8r3s3+stride=1x2x3", "bad value in 'stride=1x2x3'"),
        ("h8w8r3s3+stride=two", "bad value in 'stride=two'"),
        ("h8w8r3s3+padding=1.2", "bad value in 'padding=1.2'"),
        ("h8w8r3s3+flip=yes", "bad value in 'flip=yes'"),
        ("h0w8r3s3", "h=0 is out of range"),
        ("h8w8r9s3", "the output is empty: H=8"),
        ("h9999999999w8r3s3", "h=9999999999 is out of range"),
    ],
)
def test_malformed_ids_are_named(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        ConvSpec.parse(text)
    assert str(caught.value).startswith(f"'{text}'")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"h": 2}, "the output is empty: H=2 with padding 0+0 is smaller than the filter's extent 3"),
        ({"w": 4, "dilation": 2}, "W=4 with padding 0+0 is smaller than the filter's extent 5"),
        ({"c": 3, "groups": 2, "k": 2}, "groups=2 does not divide c=3"),
        ({"c": 2, "groups": 2, "k": 3}, "groups=2 does not divide k=3"),
        ({"n": 0}, "n=0 is out of range: 1 … 2147483647"),
        ({"stride": 0}, "stride=0 is out of range"),
        ({"dilation": 0}, "dilation=0 is out of range"),
        ({"padding": -1}, "padding=-1 is out of range: 0 …"),
        ({"stride": (1, 2, 3)}, "stride must be one number or a pair, not (1, 2, 3)"),
        ({"h": 8.0}, "h must be a whole number, not 8.0"),
        ({"c": True}, "c must be a whole number, not True"),
        ({"dtype": "float31"}, "dtype 'float31' is unknown; valid: float16, float32, float64"),
        ({"boundary": "zeros"}, "boundary 'zeros' is unknown; valid: edge, reflect, symmetric, wrap, zero"),
        ({"direction": "back"}, "valid: backward_data, backward_weights, forward"),
        ({"padding": "some"}, "padding 'some' is unknown; valid: a number, a pair, full, same, valid"),
        ({"filter": "gauss"}, "filter 'gauss' is unknown; valid: box, disk, gaussian:<number>"),
        ({"filter": "gaussian"}, "filter 'gaussian' is unknown"),
        ({"filter": "box:2"}, "filter 'box:2' is unknown"),
        ({"filter": "gaussian:0"}, "the number must be in 0.001 … 1e6"),
        ({"filter": "gaussian:nan"}, "the number must be in 0.001 … 1e6"),
        ({"filter": "rank:1.5"}, "and whole"),
        ({"filter": "sobel", "r": 4, "s": 4}, "filter=sobel needs r = s, odd and at least 3, not r=4, s=4"),
        ({"filter": "laplacian", "s": 5}, "filter=laplacian needs r = s"),
        ({"filter": "sobel", "r": 1, "s": 1}, "filter=sobel needs r = s, odd and at least 3"),
    ],
)
def test_impossible_specs_are_refused_in_one_line(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        ConvSpec(**({"h": 8, "w": 8, "r": 3, "s": 3} | wrong))  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
