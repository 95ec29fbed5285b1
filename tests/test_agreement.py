from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

from convbench.agreement import Reference, full_reference, judge, reference, sampled_reference
from convbench.algorithm import ErrorModel, summation_error
from convbench.operands import operands
from convbench.spec import ConvSpec
from spec_strategy import specs

IN_FULL = ErrorModel("componentwise", 1e-14, "test")
NORMWISE = ErrorModel("normwise", 1e-14, "test")


def computed(spec: ConvSpec, prepared: np.ndarray, input: np.ndarray) -> np.ndarray:
    return full_reference(spec, prepared, input).values.reshape(spec.output_shape)


def integers(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float64)


# --- the reference against others' -------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["valid", "same", "full"])
@pytest.mark.parametrize("flip", [False, True])
def test_scipy_signal_on_integers(mode: str, flip: bool) -> None:
    x, w = integers((1, 1, 9, 11)), integers((1, 1, 3, 5), 1)
    spec = ConvSpec(h=9, w=11, r=3, s=5, padding=mode, flip=flip)
    theirs = (scipy.signal.convolve2d if flip else scipy.signal.correlate2d)(x[0, 0], w[0, 0], mode)
    assert np.array_equal(computed(spec, w, x)[0, 0], theirs)


@pytest.mark.parametrize(
    ("boundary", "theirs"),
    [("zero", "constant"), ("reflect", "mirror"), ("symmetric", "reflect"), ("edge", "nearest"), ("wrap", "grid-wrap")],
)
def test_scipy_ndimage_at_every_boundary(boundary: str, theirs: str) -> None:
    x, w = integers((1, 1, 5, 4)), integers((1, 1, 7, 9), 1)  # padding beyond the extent: reflected twice
    spec = ConvSpec(h=5, w=4, r=7, s=9, padding="same", boundary=boundary)
    assert np.array_equal(computed(spec, w, x)[0, 0], scipy.ndimage.correlate(x[0, 0], w[0, 0], mode=theirs))


def test_stride_dilation_groups_and_batch_by_scipy_plane_by_plane() -> None:
    spec = ConvSpec(n=2, c=4, h=11, w=12, k=6, r=3, s=2, stride=(2, 3), padding=(2, 1), dilation=(2, 3), groups=2)
    x, w = integers(spec.x_shape), integers(spec.w_shape, 1)
    expected = np.zeros(spec.y_shape)
    dilated = np.zeros((*spec.w_shape[:2], *spec.filter_extent))
    dilated[..., ::2, ::3] = w
    for n, k, c in itertools.product(range(2), range(6), range(2)):
        plane = np.pad(x[n, k // 3 * 2 + c], ((2, 2), (1, 1)))
        expected[n, k] += scipy.signal.correlate2d(plane, dilated[k, c], "valid")[::2, ::3]
    assert np.array_equal(computed(spec, w, x), expected)


def test_the_example_of_the_notes() -> None:
    x, w = integers((1, 4, 11, 11)), integers((1, 4, 5, 5), 1)
    v = computed(ConvSpec(c=4, h=11, w=11, r=5, s=5, stride=2), w, x)[0, 0]
    assert v[1, 0] == (x[0, :, 2:7, :5] * w[0]).sum()


def test_dilation_reaches_every_other_element() -> None:
    spec = ConvSpec(h=1, w=5, r=1, s=3, dilation=2)
    x = np.array([1.0, 10, 100, 1000, 10000]).reshape(spec.x_shape)
    assert computed(spec, np.ones(spec.w_shape), x).item() == 10101


# --- the backward directions -------------------------------------------------------------------------


@given(specs(dtype="float64", direction="forward"))
def test_backward_directions_are_the_transposes_of_forward(spec: ConvSpec) -> None:
    """⟨conv(x, w), dy⟩ = ⟨x, dx⟩ = ⟨w, dw⟩, exactly, on integers."""
    x, w, dy = integers(spec.x_shape), integers(spec.w_shape, 1), integers(spec.y_shape, 2)
    y = computed(spec, w, x)
    dx = computed(ConvSpec(**spec.to_dict() | {"direction": "backward_data"}), w, dy)  # type: ignore[arg-type]
    dw = computed(ConvSpec(**spec.to_dict() | {"direction": "backward_weights"}), dy, x)  # type: ignore[arg-type]
    assert (y * dy).sum() == (x * dx).sum() == (w * dw).sum()


@given(specs(dtype="float64", direction="backward_data", n=1, c=st.just(1), h=st.integers(1, 4), w=st.integers(1, 4)))
def test_each_element_of_dx_is_a_forward_impulse(spec: ConvSpec) -> None:
    w, dy = integers(spec.w_shape, 1), integers(spec.y_shape, 2)
    dx = computed(spec, w, dy)
    forward = ConvSpec(**spec.to_dict() | {"direction": "forward"})  # type: ignore[arg-type]
    for place in np.ndindex(spec.x_shape):
        impulse = np.zeros(spec.x_shape)
        impulse[place] = 1
        assert dx[place] == (computed(forward, w, impulse) * dy).sum()


def test_backward_data_is_a_convolution_with_the_flipped_filter() -> None:
    w, dy = integers((1, 1, 3, 3)), integers((1, 1, 5, 5), 1)
    dx = computed(ConvSpec(h=7, w=7, r=3, s=3, direction="backward_data"), w, dy)
    assert np.array_equal(dx, computed(ConvSpec(h=5, w=5, r=3, s=3, padding="full", flip=True), w, dy))


def test_backward_weights_is_a_convolution_with_dy() -> None:
    x, dy = integers((1, 1, 7, 7)), integers((1, 1, 5, 5), 1)
    dw = computed(ConvSpec(h=7, w=7, r=3, s=3, direction="backward_weights"), dy, x)
    assert np.array_equal(dw, computed(ConvSpec(h=7, w=7, r=5, s=5), dy, x))


# --- the scale and the sample ------------------------------------------------------------------------


@given(specs())
def test_the_scale_is_the_sum_of_absolute_products(spec: ConvSpec) -> None:
    made = operands(spec, 0)
    scale = full_reference(spec, made.prepared, made.input).scale
    absolute = full_reference(spec, np.abs(made.prepared), np.abs(made.input)).values
    assert np.array_equal(scale, absolute)
    assert (scale >= 0).all()


@given(specs(dtype="float64"), st.integers(1, 300))
def test_sampled_is_full_at_the_sampled_indices(spec: ConvSpec, count: int) -> None:
    made = operands(spec, 0)
    full = full_reference(spec, made.prepared, made.input)
    sampled = sampled_reference(spec, made.prepared, made.input, count=count, seed=1)
    assert sampled.indices is not None
    assert sampled.shape == full.shape
    assert (np.diff(sampled.indices) > 0).all()
    np.testing.assert_allclose(sampled.values, full.values[sampled.indices], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(sampled.scale, full.scale[sampled.indices], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("direction", ["forward", "backward_data", "backward_weights"])
def test_products_are_gathered_in_chunks_to_the_same_sum(direction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ConvSpec(n=2, c=4, h=20, w=20, k=4, r=3, s=5, padding="same", groups=2, direction=direction)
    made = operands(spec, 0)
    whole = sampled_reference(spec, made.prepared, made.input, count=200, seed=1)
    monkeypatch.setattr("convbench.agreement.PRODUCTS_PER_CHUNK", 50)
    chunked = sampled_reference(spec, made.prepared, made.input, count=200, seed=1)
    np.testing.assert_allclose(chunked.values, whole.values, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(chunked.scale, whole.scale, rtol=1e-12)


def test_the_sample_holds_corners_edges_rows_and_columns() -> None:
    spec = ConvSpec(n=2, c=1, h=120, w=150, k=3, r=3, s=3, padding=1)
    made = operands(spec, 0)
    sampled = sampled_reference(spec, made.prepared, made.input, count=4000, seed=1)
    chosen = np.zeros(spec.y_shape, bool)
    chosen.ravel()[sampled.indices] = True
    assert 3500 < len(sampled.values) <= 4200
    for plane in (chosen[0, 0], chosen[-1, -1]):
        assert plane[[0, 0, -1, -1], [0, -1, 0, -1]].all()
    inner = chosen[:, :, 1:-1, 1:-1]
    assert inner.all(axis=3).any()  # a whole row inside
    assert inner.all(axis=2).any()
    for edge in (chosen[:, :, 0], chosen[:, :, -1], chosen[..., 0], chosen[..., -1]):
        assert edge.all(axis=2).any()
    assert chosen.any(axis=(2, 3)).all()  # every plane


def test_a_line_too_long_is_thinned() -> None:
    spec = ConvSpec(h=5000, w=5000, r=3, s=3)
    made = operands(spec, 0)
    sampled = sampled_reference(spec, made.prepared, made.input, count=500, seed=1)
    assert 400 < len(sampled.values) <= 600


def test_big_problems_are_sampled_and_small_ones_are_not() -> None:
    spec = ConvSpec(h=30, w=30, r=3, s=3)
    made = operands(spec, 0)
    assert reference(spec, made.prepared, made.input, seed=0).indices is None
    sampled = reference(spec, made.prepared, made.input, seed=0, work_limit=10_000)
    assert sampled.indices is not None
    assert len(sampled.values) < sampled.outputs == 28 * 28
    again = reference(spec, made.prepared, made.input, seed=0, work_limit=10_000)
    other = reference(spec, made.prepared, made.input, seed=1, work_limit=10_000)
    assert np.array_equal(sampled.indices, again.indices)
    assert not np.array_equal(sampled.indices, other.indices)


def test_where_no_sample_is_cheaper_the_whole_is_computed() -> None:
    spec = ConvSpec(h=200, w=200, r=2, s=2, direction="backward_weights")
    made = operands(spec, 0)
    assert reference(spec, made.prepared, made.input, seed=0, work_limit=0).indices is None


# --- the verdict -------------------------------------------------------------------------------------

SPEC = ConvSpec(n=2, c=3, h=40, w=40, k=4, r=3, s=3, padding=1)


def correct_float32(spec: ConvSpec) -> tuple[np.ndarray, Reference, Reference]:
    """A correct output, and the full and the sampled reference."""
    made = operands(spec, 0)
    full = full_reference(spec, made.prepared, made.input)
    sampled = sampled_reference(spec, made.prepared, made.input, count=2000, seed=3)
    return full.values.reshape(spec.output_shape).astype(np.float32), full, sampled


@pytest.mark.parametrize("direction", ["forward", "backward_data", "backward_weights"])
def test_a_correctly_rounded_output_agrees(direction: str) -> None:
    spec = ConvSpec(**SPEC.to_dict() | {"direction": direction})  # type: ignore[arg-type]
    y, full, sampled = correct_float32(spec)
    for known in (full, sampled):
        agreement = judge(y, known, summation_error(spec))
        assert agreement.agrees
        assert agreement.detail == ""
        assert agreement.compared == len(known.values)
        assert agreement.outputs == y.size
        assert 0 < agreement.error <= 2.0**-24
        assert judge(y, known, ErrorModel("normwise", 2.0**-24, "rounding")).agrees


def test_nan_and_infinity_never_agree_even_where_nothing_is_compared() -> None:
    y, full, sampled = correct_float32(SPEC)
    forgiving = ErrorModel("normwise", math.inf, "anything goes")
    assert sampled.indices is not None
    outside = np.setdiff1d(np.arange(y.size), sampled.indices)[:3]
    for known in (full, sampled):
        unwritten = y.copy()
        unwritten.ravel()[outside] = np.nan
        agreement = judge(unwritten, known, forgiving)
        assert not agreement.agrees
        assert math.isnan(agreement.error)
        assert agreement.detail == f"3 of {y.size} outputs were never written (NaN)"
        overflowed = y.copy()
        overflowed.ravel()[outside[0]] = -np.inf
        agreement = judge(overflowed, known, summation_error(SPEC))
        assert not agreement.agrees
        assert agreement.detail == f"1 of {y.size} outputs are infinite"


def test_one_wrong_element_is_named() -> None:
    y, full, _ = correct_float32(SPEC)
    y[1, 2, 39, 0] += 0.01
    agreement = judge(y, full, summation_error(SPEC))
    assert not agreement.agrees
    assert agreement.detail.startswith("worst at [1, 2, 39, 0]: ")
    assert "instead of" in agreement.detail
    assert not judge(y, full, ErrorModel("normwise", 1e-6, "test")).agrees


def test_an_off_by_one_column_at_a_tile_seam_is_caught_by_the_sample() -> None:
    y, full, sampled = correct_float32(SPEC)
    y[..., 17] = y[..., 16]
    for known in (full, sampled):
        for model in (summation_error(SPEC), ErrorModel("normwise", 1e-5, "test")):
            agreement = judge(y, known, model)
            assert not agreement.agrees
            assert ", 17]" in agreement.detail


@pytest.mark.parametrize(
    "fault",
    [
        lambda y: y.astype(np.float16).astype(np.float32),
        lambda y: y * np.float32(1.001),
        lambda y: -y,
        lambda y: np.roll(y, 1, axis=-1),
        lambda y: np.zeros_like(y),
    ],
)
def test_faults_everywhere_are_caught(fault: object) -> None:
    y, full, sampled = correct_float32(SPEC)
    for known in (full, sampled):
        assert not judge(fault(y), known, summation_error(SPEC)).agrees  # type: ignore[operator]
        assert not judge(fault(y), known, ErrorModel("normwise", 1e-5, "test")).agrees  # type: ignore[operator]


def test_an_output_of_no_products_must_be_zero_componentwise_only() -> None:
    spec = ConvSpec(h=4, w=4, r=1, s=1, padding=2, dtype="float64")
    made = operands(spec, 0)
    known = full_reference(spec, made.prepared, made.input)
    y = known.values.reshape(spec.y_shape).copy()
    assert judge(y, known, IN_FULL).error == 0
    y[0, 0, 0, 1] = 1e-16
    agreement = judge(y, known, IN_FULL)
    assert agreement.error == math.inf
    assert agreement.detail == "an output that must be exactly 0 is 1e-16, at [0, 0, 0, 1]"
    assert judge(y, known, NORMWISE).agrees


def test_a_transform_may_leave_rounding_where_only_zeros_meet() -> None:
    """cuFFT left 1e-9 of one pixel under a filter whose middle is 0: no output had a scale to measure that by."""
    spec = ConvSpec(h=1, w=1, r=3, s=3, padding=1, filter="sobel")
    made = operands(spec, 0)
    for known in (
        full_reference(spec, made.prepared, made.input),
        sampled_reference(spec, made.prepared, made.input, count=4, seed=0),
    ):
        y = np.full(spec.y_shape, 1e-9, np.float32)
        assert judge(y, known, ErrorModel("normwise", 1e-6, "test")).agrees
        assert not judge(y, known, IN_FULL).agrees
        assert not judge(y + np.float32(1e-3), known, ErrorModel("normwise", 1e-6, "test")).agrees


def test_the_norms_are_those_of_the_error_model() -> None:
    scale = np.array([1.0, 2.0, 4.0, 0.0])
    known = Reference((1, 1, 2, 2), None, np.array([0.5, 1.0, -2.0, 0.0]), scale, float(np.sqrt(21 / 4)))
    y = np.array([0.5, 1.5, -1.0, 0.0]).reshape(1, 1, 2, 2)
    assert judge(y, known, IN_FULL).error == 0.25
    assert judge(y, known, NORMWISE).error == pytest.approx(np.sqrt(1.25) / np.sqrt(21))
    nothing = replace(known, values=np.zeros(4), scale=np.zeros(4), scale_rms=0.0)
    assert judge(np.zeros((1, 1, 2, 2)), nothing, NORMWISE).error == 0
    assert judge(y, nothing, NORMWISE).error == math.inf


def test_below_the_normal_numbers_rounding_is_absolute() -> None:
    tiny = float(np.finfo(np.float32).tiny)
    exact = np.array([tiny * 1.3e-4]).reshape(1, 1, 1, 1)
    known = Reference((1, 1, 1, 1), None, exact.ravel(), exact.ravel(), float(exact[0, 0, 0, 0]))
    model = ErrorModel("componentwise", 2.0**-23, "test")
    assert judge(exact.astype(np.float32), known, model).agrees
    assert not judge((2 * exact).astype(np.float32), known, model).agrees


def test_an_output_of_another_shape_never_agrees() -> None:
    y, full, _ = correct_float32(SPEC)
    agreement = judge(y[:1], full, summation_error(SPEC))
    assert not agreement.agrees
    assert agreement.detail == "the output has the shape [1, 4, 40, 40], not [2, 4, 40, 40]"
