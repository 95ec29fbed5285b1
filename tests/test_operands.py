from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given

from convbench.errors import OperandError
from convbench.operands import check_operand, fit_image, load_image, operands
from convbench.spec import ConvSpec
from spec_strategy import specs

SAMPLE = "sample:grace_hopper.jpg"


def pattern(filter: str, r: int, s: int | None = None) -> np.ndarray:
    spec = ConvSpec(h=200, w=200, c=2, k=3, r=r, s=s or r, filter=filter, dtype="float64")
    w = operands(spec, 0).prepared
    if not filter.startswith(("random", "rank")):
        assert (w == w[0, 0]).all()
    return w[0, 0]


@given(specs())
def test_operands_fit_the_spec(spec: ConvSpec) -> None:
    made = operands(spec, 1)
    check_operand("w", made.prepared, spec.prepared_shape, spec.dtype)
    check_operand("x", made.input, spec.input_shape, spec.dtype)


def test_the_same_seed_gives_the_same_operands_and_another_does_not() -> None:
    spec = ConvSpec(h=9, w=9, r=3, s=3)
    first, again, other = operands(spec, 1), operands(spec, 1), operands(spec, 2)
    assert np.array_equal(first.input, again.input)
    assert np.array_equal(first.prepared, again.prepared)
    assert not np.array_equal(first.input, other.input)
    assert not np.array_equal(first.prepared, other.prepared)
    assert not np.array_equal(first.input, operands(ConvSpec(h=9, w=9, r=3, s=3, stride=2), 1).input)


def test_x_is_standard_normal_and_keeps_the_output_at_its_size() -> None:
    spec = ConvSpec(h=64, w=64, c=32, k=32, r=3, s=3)
    made = operands(spec, 0)
    assert abs(made.input.mean()) < 0.02
    assert abs(made.input.std() - 1) < 0.02
    assert abs(made.prepared.std() * np.sqrt(32 * 9) - 1) < 0.05


def test_half_precision_operands() -> None:
    made = operands(ConvSpec(h=9, w=9, r=3, s=3, dtype="float16"), 0)
    assert made.input.dtype == made.prepared.dtype == np.float16


# --- filter families ----------------------------------------------------------------------------------


def test_smoothing_filters_sum_to_one() -> None:
    for family in ("box", "disk", "gaussian:0.5", "gaussian:3"):
        for r, s in ((1, 1), (2, 2), (3, 3), (4, 5), (7, 2)):
            assert pattern(family, r, s).sum() == pytest.approx(1, abs=1e-14)


def test_gaussian_is_its_formula_and_of_rank_one() -> None:
    w = pattern("gaussian:1.5", 7, 5)
    assert w[3, 4] / w[3, 2] == pytest.approx(np.exp(-(2**2) / (2 * 1.5**2)))
    assert w[0, 2] / w[3, 2] == pytest.approx(np.exp(-(3**2) / (2 * 1.5**2)))
    assert np.linalg.matrix_rank(w) == 1


def test_gaussian_tails_do_not_underflow() -> None:
    w = pattern("gaussian:0.5", 15)
    assert w[w > 0].min() > np.finfo(np.float32).tiny
    assert np.linalg.matrix_rank(w) == 1


def test_box_disk_sobel_laplacian_of_three_taps() -> None:
    assert (pattern("box", 3) == 1 / 9).all()
    assert (pattern("disk", 3) == np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]) / 5).all()
    assert (pattern("sobel", 3) == np.outer([1, 2, 1], [-1, 0, 1]) / 8).all()
    assert (pattern("laplacian", 3) == np.array([[1, 0, 1], [0, -4, 0], [1, 0, 1]]) / 2).all()


@pytest.mark.parametrize("r", [3, 5, 7, 31])
def test_derivatives(r: int) -> None:
    rows, cols = np.mgrid[:r, :r] - (r - 1) / 2
    sobel, laplacian = pattern("sobel", r), pattern("laplacian", r)
    assert (sobel * cols).sum() == pytest.approx(1)  # the slope of a ramp of slope 1
    assert (sobel * rows).sum() == pytest.approx(0, abs=1e-12)
    assert np.linalg.matrix_rank(sobel) == 1
    assert laplacian.sum() == pytest.approx(0, abs=1e-12)
    assert (laplacian * (rows**2 + cols**2)).sum() == pytest.approx(4)  # ∇²(h² + w²) = 4
    assert np.linalg.matrix_rank(laplacian) == 2


@pytest.mark.parametrize("m", [1, 2, 3])
def test_rank_is_the_number_asked_for(m: int) -> None:
    assert np.linalg.matrix_rank(pattern(f"rank:{m}", 7, 5)) == m
    spec = ConvSpec(h=9, w=9, c=2, k=2, r=5, s=5, filter=f"rank:{m}")
    w = operands(spec, 0).prepared
    assert not np.array_equal(w[0, 0], w[1, 0])


def test_a_disk_is_round() -> None:
    disk = pattern("disk", 21) > 0
    assert np.array_equal(disk, disk[::-1, ::-1])
    assert disk[10].all()
    assert not disk[0, 0]
    assert disk.sum() == pytest.approx(np.pi * 10**2, rel=0.05)


# --- images -------------------------------------------------------------------------------------------


def test_the_sample_photograph() -> None:
    image = load_image(SAMPLE)
    assert image.shape == (3, 600, 512)
    assert image.dtype == np.float64
    assert image.min() >= 0
    assert image.max() <= 1
    assert image.std() > 0.1


def test_picture_files(tmp_path: Path) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    for suffix in ("png", "tiff"):
        PIL.Image.fromarray(pixels).save(tmp_path / f"grey.{suffix}")
        assert np.array_equal(load_image(tmp_path / f"grey.{suffix}"), pixels[None] / 255)
    colour = np.stack([pixels, pixels // 2, pixels // 3], axis=-1)
    PIL.Image.fromarray(colour).save(tmp_path / "colour.png")
    assert np.array_equal(load_image(tmp_path / "colour.png"), colour.transpose(2, 0, 1) / 255)
    with_alpha = np.concatenate([colour, np.full((4, 6, 1), 128, np.uint8)], axis=-1)
    PIL.Image.fromarray(with_alpha).save(tmp_path / "alpha.png")
    assert np.array_equal(load_image(tmp_path / "alpha.png"), colour.transpose(2, 0, 1) / 255)
    deep = pixels.astype(np.uint16) * 256
    PIL.Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.array_equal(load_image(tmp_path / "deep.png"), deep[None] / 65535)


def test_array_files(tmp_path: Path) -> None:
    def stored(array: np.ndarray) -> np.ndarray:
        np.save(tmp_path / "image.npy", array)
        return load_image(tmp_path / "image.npy")

    assert np.array_equal(stored(np.array([[0.25, 1.0]])), [[[0.25, 1.0]]])
    assert np.array_equal(stored(np.array([[[0, 51]], [[255, 0]]], np.uint8)), [[[0, 0.2]], [[1, 0]]])
    assert np.array_equal(stored(np.array([[-1.0, 0.0, 3.0]])), [[[0, 0.25, 1]]])
    assert np.array_equal(stored(np.array([[True, False]])), [[[1, 0]]])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3), "must be real numbers [H,W] or [C,H,W], not float64 [3]"),
        (np.zeros((0, 3)), "not float64 [1, 0, 3]"),
        (np.zeros((2, 2), complex), "not complex128"),
        (np.array([[1.0, np.nan]]), "contains NaN or Inf"),
        (np.array([[object()]]), "cannot be read: Array can't be memory-mapped: Python objects"),
    ],
)
def test_unsuitable_arrays_are_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "image.npy", array)
    with pytest.raises(OperandError) as caught:
        load_image(tmp_path / "image.npy")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_unknown_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(OperandError, match=r"none\.png' cannot be read: no such file"):
        load_image(tmp_path / "none.png")
    with pytest.raises(OperandError, match="no such file"):
        load_image("sample:nobody.jpg")
    with pytest.raises(OperandError, match=r"of an unknown kind; valid: .*\.png.*sample:<name>"):
        load_image("notes.txt")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(OperandError, match="cannot identify image file"):
        load_image(tmp_path / "broken.png")
    (tmp_path / "broken.npy").write_bytes(b"")
    with pytest.raises(OperandError, match="cannot be read"):
        load_image(tmp_path / "broken.npy")


def test_fitting_channels() -> None:
    image = np.stack([np.full((2, 2), value) for value in (1.0, 0.5, 0.0)])
    assert fit_image(image, 1, 2, 2)[0, 0, 0] == pytest.approx(0.299 + 0.587 / 2)
    assert np.array_equal(fit_image(image, 3, 2, 2), image)
    assert np.array_equal(fit_image(image, 5, 2, 2), image[[0, 1, 2, 0, 1]])
    assert np.array_equal(fit_image(image[:1], 2, 2, 2), image[[0, 0]])


def test_fitting_extents() -> None:
    image = np.arange(6.0).reshape(1, 2, 3) / 6
    assert np.array_equal(fit_image(image, 1, 2, 3), image)
    tiled = fit_image(image, 1, 5, 4)
    assert np.array_equal(tiled, np.pad(image, ((0, 0), (0, 3), (0, 1)), mode="symmetric"))
    stripes = np.tile([0.0, 1.0], (1, 64, 32))
    small = fit_image(stripes, 1, 16, 8)
    assert small.shape == (1, 16, 8)
    assert np.abs(small - 0.5).max() < 0.05  # antialiased: stripes finer than a pixel turn grey
    assert fit_image(stripes, 1, 63, 2).shape == (1, 63, 2)


def test_an_image_takes_the_place_of_x() -> None:
    image = load_image(SAMPLE)
    spec = ConvSpec(n=2, c=3, h=40, w=50, r=3, s=3)
    x = operands(spec, 0, image).input
    assert np.array_equal(x[0], fit_image(image, 3, 40, 50).astype(np.float32))
    assert not np.array_equal(x[0], x[1])
    check_operand("x", x, spec.x_shape, "float32")
    dy = ConvSpec(h=40, w=50, r=3, s=3, direction="backward_data")
    assert np.array_equal(operands(dy, 0, image).input, operands(dy, 0).input)


# --- checks -------------------------------------------------------------------------------------------


def test_check_operand_says_what_was_expected() -> None:
    x = np.zeros((1, 2, 3, 4), np.float32)
    check_operand("x", x, (1, 2, 3, 4), "float32")
    broken = x.copy()
    broken[0, 1, 2, 3] = np.inf
    broken[0, 1, 2, 2] = np.nan
    for array, message in (
        (x.tolist(), "x must be a numpy.ndarray, not list: np.asarray(x)"),
        (x.astype("float64"), "x must be float32, not float64: convert with x.astype('float32')"),
        (x[0], "x must have the shape [1, 2, 3, 4], not [2, 3, 4]"),
        (np.asfortranarray(x), "x must be C-contiguous: np.ascontiguousarray(x)"),
        (broken, "x contains NaN or Inf (first at [0, 1, 2, 2])"),
    ):
        with pytest.raises(OperandError) as caught:
            check_operand("x", array, (1, 2, 3, 4), "float32")
        assert str(caught.value) == message
    check_operand("y", broken, (1, 2, 3, 4), "float32", finite=False)
