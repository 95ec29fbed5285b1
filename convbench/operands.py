"""The arrays that a convolution is measured and checked on: seeded, or a real image.

operands(spec, seed)    what `prepare` takes and what `execute` reads
load_image, fit_image   a photograph as x
check_operand           one clear line about an array that does not fit
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import PIL.Image

from convbench.algorithm import Array
from convbench.errors import OperandError, choices
from convbench.spec import ConvSpec

Image = npt.NDArray[np.float64]  # [C,H,W] in 0 … 1

MAX_PIXELS: Final = 2**26
SAMPLE_PREFIX: Final = "sample:"
IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
LUMINANCE: Final = (0.299, 0.587, 0.114)  # Rec. 601, as Pillow's own mode "L"

# Taps of a smooth profile that are smaller than this part of its largest are zero: products of such
# tails would underflow in float32, where the relative error of a correct sum has no bound.
NEGLIGIBLE: Final = 1e-15


@dataclass(frozen=True)
class Operands:
    """What `prepare` takes [spec.prepared_shape] and what `execute` reads [spec.input_shape], in spec.dtype."""

    prepared: Array
    input: Array


def operands(spec: ConvSpec, seed: int, image: Image | None = None) -> Operands:
    """The operands of `spec`, the same ones for the same spec and seed, C-contiguous.

    x and dy are standard normal, w is of the family `spec.filter`. An `image` takes the place of x;
    backward_data reads no x, and its dy stays normal.
    """
    digest = hashlib.sha256(f"{spec.id}@{seed}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:16], "big"))
    if spec.direction == "backward_weights":
        prepared = _normal(rng, spec.prepared_shape, spec.dtype)
    else:
        prepared = filter_values(spec, rng).astype(spec.dtype)
    if image is None or spec.direction == "backward_data":
        return Operands(prepared, _normal(rng, spec.input_shape, spec.dtype))
    fitted = fit_image(image, spec.c, spec.h, spec.w).astype(spec.dtype)
    x = np.empty(spec.x_shape, spec.dtype)
    for n in range(spec.n):
        x[n] = np.roll(fitted, n, axis=-1)  # no two images of a batch alike: a wrong n must show
    return Operands(prepared, x)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    if dtype == "float64":
        return rng.standard_normal(shape)
    return rng.standard_normal(shape, dtype=np.float32).astype(dtype, copy=False)


# --- filters --------------------------------------------------------------------------------------


def filter_values(spec: ConvSpec, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """w [K,C/groups,R,S] of the family `spec.filter`; all but random and rank repeat one [R,S] pattern."""
    family, _, parameter = spec.filter.partition(":")
    R, S = spec.r, spec.s
    if family == "random":
        return rng.standard_normal(spec.w_shape) / math.sqrt(math.prod(spec.w_shape[1:]))
    if family == "rank":
        m = int(float(parameter))
        columns = rng.standard_normal((*spec.w_shape[:2], R, m))
        rows = rng.standard_normal((*spec.w_shape[:2], m, S))
        return columns @ rows / math.sqrt(math.prod(spec.w_shape[1:]) * m)
    pattern = _gaussian(R, S, float(parameter)) if family == "gaussian" else _PATTERNS[family](R, S)
    return np.ascontiguousarray(np.broadcast_to(pattern, spec.w_shape))


def _gaussian(R: int, S: int, sigma: float) -> Array:
    column, row = (np.exp(-0.5 * (_offsets(extent) / sigma) ** 2) for extent in (R, S))
    pattern: Array = np.outer(_without_tail(column), _without_tail(row))
    pattern /= pattern.sum()
    return pattern


def _box(R: int, S: int) -> Array:
    return np.full((R, S), 1 / (R * S))


def _disk(R: int, S: int) -> Array:
    """Centres within an ellipse of half-axes (R−1)/2 and (S−1)/2; the quarter keeps even extents non-empty."""
    column, row = (_offsets(extent) ** 2 / (((extent - 1) / 2) ** 2 + 0.25) for extent in (R, S))
    pattern: Array = np.where(np.add.outer(column, row) <= 1 + 1e-12, 1.0, 0.0)
    pattern /= pattern.sum()
    return pattern


def _sobel(R: int, S: int) -> Array:
    return np.outer(_binomial(R), _difference(S, (-0.5, 0.0, 0.5)))


def _laplacian(R: int, S: int) -> Array:
    """∂²/∂h² + ∂²/∂w², each smoothed along the other axis: of rank 2."""
    second = _difference(R, (1.0, -2.0, 1.0))
    smooth = _binomial(S)
    pattern: Array = np.outer(second, smooth) + np.outer(smooth, second)
    return pattern


_PATTERNS: Final = {"box": _box, "disk": _disk, "sobel": _sobel, "laplacian": _laplacian}


def _offsets(extent: int) -> Array:
    """Each tap's distance from the centre, in taps."""
    return np.linspace(-(extent - 1) / 2, (extent - 1) / 2, extent)


def _binomial(extent: int) -> Array:
    """Binomial smoothing of `extent` taps, sum 1: [1 2 1]/4 for three."""
    order = extent - 1
    return _without_tail(np.array([math.comb(order, i) / 2**order for i in range(extent)]))


def _difference(extent: int, stencil: tuple[float, float, float]) -> Array:
    """A three-tap difference, smoothed to `extent` taps."""
    return np.convolve(_binomial(extent - 2), stencil)


def _without_tail(profile: Array) -> Array:
    return np.where(np.abs(profile) < NEGLIGIBLE * np.abs(profile).max(), 0.0, profile)


# --- images ---------------------------------------------------------------------------------------


def load_image(name: str | Path) -> Image:
    """An image as [C,H,W] in 0 … 1: a picture file, an .npy file [H,W] or [C,H,W], or `sample:grace_hopper.jpg`.

    Integers are divided by their dtype's maximum; floats outside 0 … 1 are rescaled to it. Raises
    `OperandError` where there is no such file, or not an image in it.
    """
    path = _path(str(name))
    try:
        pixels = _read_array(path) if path.suffix.lower() == ".npy" else _read_picture(path)
    except Exception as error:  # a decoder of foreign files raises whatever its many formats' authors thought of
        reason = "no such file" if isinstance(error, FileNotFoundError) else str(error) or type(error).__name__
        raise OperandError(f"image '{name}' cannot be read: {reason}") from error
    return _as_image(str(name), pixels)


def _path(name: str) -> Path:
    if name.startswith(SAMPLE_PREFIX):
        from matplotlib.cbook import get_sample_data  # slow to import, and few runs need it

        return Path(str(get_sample_data(name.removeprefix(SAMPLE_PREFIX), asfileobj=False)))
    path = Path(name)
    if path.suffix.lower() not in (*IMAGE_SUFFIXES, ".npy"):
        valid = choices((*IMAGE_SUFFIXES, ".npy"))
        raise OperandError(f"image '{name}' is of an unknown kind; valid: {valid}, {SAMPLE_PREFIX}<name>")
    return path


def _read_array(path: Path) -> Array:
    """The array of an .npy file: one that is mapped cannot be pickled, and is not read before its size is known."""
    array = np.lib.format.open_memmap(path, mode="r")
    _check_pixels(array.size)
    return np.array(array)


def _check_pixels(count: int) -> None:
    """A few bytes may say that they are a picture that fills the memory."""
    if count > MAX_PIXELS:
        raise OperandError(f"{count:,} values are more than {MAX_PIXELS:,}")


def _read_picture(path: Path) -> Array:
    """Pixels [H,W] or [C,H,W], in the file's own depth."""
    with PIL.Image.open(path) as picture:
        _check_pixels(math.prod(picture.size))
        if picture.mode.startswith("I"):
            return np.asarray(picture).astype(np.uint16)  # Pillow's modes for 16-bit greys
        if picture.mode in ("L", "F"):
            return np.asarray(picture)
        grey = picture.mode in ("1", "LA")
        pixels = np.asarray(picture.convert("L" if grey else "RGB"))
    return pixels if grey else pixels.transpose(2, 0, 1)


def _as_image(name: str, pixels: Array) -> Image:
    if pixels.ndim == 2:
        pixels = pixels[None]
    if pixels.ndim != 3 or pixels.size == 0 or pixels.dtype.kind not in "buif":
        what = f"{pixels.dtype} {list(pixels.shape)}"
        raise OperandError(f"image '{name}' must be real numbers [H,W] or [C,H,W], not {what}")
    if not np.isfinite(pixels).all():
        raise OperandError(f"image '{name}' contains NaN or Inf")
    top = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "ui" else 1
    image = np.ascontiguousarray(pixels, np.float64) / top
    low, high = image.min(), image.max()
    if low < 0 or high > 1:
        image = (image - low) / (high - low) if high > low else np.clip(image, 0, 1)
    return image


def fit_image(image: Image, c: int, h: int, w: int) -> Image:
    """The image as [c,h,w]: scaled down and cropped where it is larger in both axes, else mirror-tiled.

    One channel is the luminance; more repeat the image's own cyclically.
    """
    C, H, W = image.shape
    if c == 1 and C == 3:
        image = np.tensordot(LUMINANCE, image, 1)[None]
    image = image[np.arange(c) % len(image)]
    if h < H and w < W:
        scale = max(h / H, w / W)
        size = max(w, round(W * scale)), max(h, round(H * scale))
        image = np.stack([_resized(plane, size) for plane in image])
    missing = ((0, 0), (0, max(h - image.shape[1], 0)), (0, max(w - image.shape[2], 0)))
    return np.ascontiguousarray(np.pad(image, missing, mode="symmetric")[:, :h, :w])


def _resized(plane: Array, size: tuple[int, int]) -> Array:
    """Pillow's bilinear filter widens with the scale (so it antialiases) and never leaves the values' range."""
    picture = PIL.Image.fromarray(plane.astype(np.float32))
    return np.asarray(picture.resize(size, PIL.Image.Resampling.BILINEAR), np.float64)


# --- checks ---------------------------------------------------------------------------------------


def check_operand(
    name: str, array: object, shape: tuple[int, ...], dtype: npt.DTypeLike, *, finite: bool = True
) -> None:
    """Raise `OperandError`, saying what was expected, unless `array` can be given to an algorithm as it is."""
    if not isinstance(array, np.ndarray):
        raise OperandError(f"{name} must be a numpy.ndarray, not {type(array).__name__}: np.asarray({name})")
    if array.dtype != dtype:
        raise OperandError(f"{name} must be {dtype}, not {array.dtype}: convert with {name}.astype('{dtype}')")
    if array.shape != shape:
        raise OperandError(f"{name} must have the shape {list(shape)}, not {list(array.shape)}")
    if not array.flags.c_contiguous:
        raise OperandError(f"{name} must be C-contiguous: np.ascontiguousarray({name})")
    if finite and not is_finite(array):
        usable = np.isfinite(array)
        first = [int(i) for i in np.unravel_index(int(np.argmin(usable)), array.shape)]
        raise OperandError(f"{name} contains NaN or Inf (first at {first})")


def is_finite(array: Array) -> bool:
    """Whether a contiguous array has neither NaN nor Inf: BLAS's sum of squares, unless that is too large itself."""
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())
