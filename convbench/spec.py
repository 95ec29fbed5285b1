"""`ConvSpec`: one convolution problem, in cuDNN's letters.

    x [N,C,H,W]   w [K,C/groups,R,S]   y [N,K,P,Q]

The operation is cross-correlation, as in every deep-learning library; `flip=True` makes it the
convolution of signal processing. Extents are in elements.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final, Literal, get_args

from convbench.errors import SpecError, choices

Dtype = Literal["float32", "float64", "float16"]
Boundary = Literal["zero", "reflect", "symmetric", "edge", "wrap"]
Direction = Literal["forward", "backward_data", "backward_weights"]
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
Shape4 = tuple[int, int, int, int]

DTYPES: Final[tuple[str, ...]] = get_args(Dtype)
BOUNDARIES: Final[tuple[str, ...]] = get_args(Boundary)
DIRECTIONS: Final[tuple[str, ...]] = get_args(Direction)
PADDING_WORDS: Final = ("valid", "same", "full")

# Filter families, and whether they take a parameter (`gaussian:1.5`).
FAMILIES: Final[dict[str, bool]] = {
    "random": False,
    "box": False,
    "sobel": False,
    "laplacian": False,
    "disk": False,
    "gaussian": True,
    "rank": True,
}

MAX_EXTENT: Final = 2**31 - 1


@dataclass(frozen=True, init=False)
class ConvSpec:
    """One convolution problem: frozen, hashable, with a canonical `id` that parses back.

    Shapes are always told in forward terms; `direction` says which of the three is computed from
    the other two (see `prepared_shape`, `input_shape`, `output_shape`).

    Raises `SpecError` for an extent below 1, an empty output (P or Q < 1), channels that `groups`
    does not divide, or an unknown word.
    """

    n: int
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    stride: Pair
    padding: Padding
    dilation: Pair
    groups: int
    dtype: Dtype
    boundary: Boundary
    filter: str
    direction: Direction
    flip: bool

    def __init__(
        self,
        *,
        h: int,
        w: int,
        r: int,
        s: int,
        n: int = 1,
        c: int = 1,
        k: int = 1,
        stride: int | Pair = 1,
        padding: int | Pair | Padding | str = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        dtype: str = "float32",
        boundary: str = "zero",
        filter: str = "random",  # the field's own word, in suites too
        direction: str = "forward",
        flip: bool = False,
    ) -> None:
        extents = {"n": n, "c": c, "h": h, "w": w, "k": k, "r": r, "s": s, "groups": groups}
        values: dict[str, object] = {name: _extent(name, value) for name, value in extents.items()}
        values["stride"] = u, v = _pair("stride", stride)
        values["dilation"] = dh, dw = _pair("dilation", dilation)
        values["padding"] = _padding(padding, (h, w), (dh * (r - 1) + 1, dw * (s - 1) + 1), (u, v))
        values["dtype"] = _word("dtype", dtype, DTYPES)
        values["boundary"] = _word("boundary", boundary, BOUNDARIES)
        values["filter"] = _family(filter)
        values["direction"] = _word("direction", direction, DIRECTIONS)
        values["flip"] = bool(flip)
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
        for letter, extent in (("c", self.c), ("k", self.k)):
            if extent % self.groups:
                raise SpecError(f"groups={self.groups} does not divide {letter}={extent}")
        for axis, extent, out, taps, (before, after) in (
            ("H", self.h, self.p, self.filter_extent[0], self.padding[0]),
            ("W", self.w, self.q, self.filter_extent[1], self.padding[1]),
        ):
            if out < 1:
                raise SpecError(
                    f"the output is empty: {axis}={extent} with padding {before}+{after} "
                    f"is smaller than the filter's extent {taps}"
                )
        family = self.filter.split(":")[0]
        if family in ("sobel", "laplacian") and (self.r != self.s or self.r % 2 == 0 or self.r < 3):
            raise SpecError(f"filter={family} needs r = s, odd and at least 3, not r={self.r}, s={self.s}")

    # --- geometry ---------------------------------------------------------------------------------

    @property
    def filter_extent(self) -> Pair:
        """What the dilated filter covers: (dilation·(R−1)+1, dilation·(S−1)+1)."""
        return self.dilation[0] * (self.r - 1) + 1, self.dilation[1] * (self.s - 1) + 1

    @property
    def padded_extent(self) -> Pair:
        """H and W with their padding."""
        return self.h + sum(self.padding[0]), self.w + sum(self.padding[1])

    @cached_property
    def p(self) -> int:
        """P = floor((H + pads − (dilation·(R−1)+1)) / u) + 1, as Caffe and cuDNN floor it."""
        return (self.padded_extent[0] - self.filter_extent[0]) // self.stride[0] + 1

    @cached_property
    def q(self) -> int:
        """Q, as P along the width."""
        return (self.padded_extent[1] - self.filter_extent[1]) // self.stride[1] + 1

    @property
    def divides_evenly(self) -> bool:
        """Whether the stride steps exactly over the padded input (what `strict_geometry` asks for)."""
        spare = [p - f for p, f in zip(self.padded_extent, self.filter_extent, strict=True)]
        return spare[0] % self.stride[0] == 0 and spare[1] % self.stride[1] == 0

    @property
    def x_shape(self) -> Shape4:
        """[N,C,H,W]."""
        return self.n, self.c, self.h, self.w

    @property
    def w_shape(self) -> Shape4:
        """[K,C/groups,R,S]."""
        return self.k, self.c // self.groups, self.r, self.s

    @property
    def y_shape(self) -> Shape4:
        """[N,K,P,Q]."""
        return self.n, self.k, self.p, self.q

    @property
    def prepared_shape(self) -> Shape4:
        """What `prepare` takes: w, or dy for backward_weights."""
        return self.y_shape if self.direction == "backward_weights" else self.w_shape

    @property
    def input_shape(self) -> Shape4:
        """What `execute` reads: x, or dy for backward_data."""
        return self.y_shape if self.direction == "backward_data" else self.x_shape

    @property
    def output_shape(self) -> Shape4:
        """What `execute` writes: y, dx for backward_data, dw for backward_weights."""
        return {
            "forward": self.y_shape,
            "backward_data": self.x_shape,
            "backward_weights": self.w_shape,
        }[self.direction]

    # --- cost -------------------------------------------------------------------------------------

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return {"float16": 2, "float32": 4, "float64": 8}[self.dtype]

    @property
    def direct_flops(self) -> int:
        """2·N·K·P·Q·(C/groups)·R·S: the yardstick of every algorithm, in every direction."""
        return 2 * math.prod(self.y_shape) * math.prod(self.w_shape[1:])

    @property
    def parameters(self) -> int:
        """The number of weights, without biases."""
        return math.prod(self.w_shape)

    @property
    def minimal_bytes(self) -> int:
        """Each operand moved once."""
        operands = (self.x_shape, self.w_shape, self.y_shape)
        return self.itemsize * sum(math.prod(shape) for shape in operands)

    @property
    def columns_shape(self) -> Pair:
        """The matrix that im2col makes of one image: [C·R·S, P·Q]."""
        return self.c * self.r * self.s, self.p * self.q

    # --- the id -----------------------------------------------------------------------------------

    @cached_property
    def id(self) -> str:
        """Canonical, readable and parsable: `n1c64h56w56k64r3s3+padding=1`; defaults are left out."""
        extents = "".join(f"{name}{getattr(self, name)}" for name in "nchwkrs")
        return "+".join([extents, *self._options()])

    def _options(self) -> Iterable[str]:
        if self.stride != (1, 1):
            yield f"stride={_pair_text(self.stride)}"
        if self.padding != ((0, 0), (0, 0)):
            yield f"padding={_padding_text(self.padding)}"
        if self.dilation != (1, 1):
            yield f"dilation={_pair_text(self.dilation)}"
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if value != default:
                yield f"{name}={str(value).lower()}" if name == "flip" else f"{name}={value}"

    def __str__(self) -> str:
        return self.id

    @staticmethod
    def parse(text: str) -> ConvSpec:
        """The spec that a string names; the inverse of `id`. Raises `SpecError` with the valid form."""
        head, *options = text.strip().split("+")
        match = _HEAD.fullmatch(head)
        if match is None:
            raise SpecError(f"'{text}' is not a spec: expected a form like n1c64h56w56k64r3s3+padding=1+stride=2")
        values: dict[str, Any] = {name: int(value) for name, value in match.groupdict().items() if value}
        for option in options:
            name, equals, value = option.partition("=")
            if not equals or name not in _READERS:
                raise SpecError(f"'{text}': unknown option '{option}'; valid options: {choices(_READERS)}")
            if name in values:
                raise SpecError(f"'{text}': option '{name}' is given twice")
            try:
                values[name] = _READERS[name](value)
            except ValueError as error:
                raise SpecError(f"'{text}': bad value in '{option}'") from error
        try:
            return ConvSpec(**values)
        except SpecError as error:
            raise SpecError(f"'{text}': {error}") from error

    def to_dict(self) -> dict[str, object]:
        """The fields as plain values, for a journal."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def receptive_field(layers: Iterable[Pair]) -> int:
    """What one output of a chain of (kernel, stride) layers sees of its input, in elements.

    r_i = s_i·(r_{i+1} − 1) + k_i, from the deepest layer to the first; padding is ignored.
    """
    field = 1
    for kernel, stride in reversed(list(layers)):
        field = stride * (field - 1) + kernel
    return field


# --- reading and writing fields -------------------------------------------------------------------


def _extent(name: str, value: object, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SpecError(f"{name} must be a whole number, not {value!r}")
    if not least <= value <= MAX_EXTENT:
        raise SpecError(f"{name}={value} is out of range: {least} … {MAX_EXTENT}")
    return value


def _pair(name: str, value: object, least: int = 1) -> Pair:
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise SpecError(f"{name} must be one number or a pair, not {value!r}")
        return _extent(name, value[0], least), _extent(name, value[1], least)
    number = _extent(name, value, least)
    return number, number


def _padding(value: object, extent: Pair, taps: Pair, stride: Pair) -> Padding:
    if isinstance(value, str):
        if value not in PADDING_WORDS:
            raise SpecError(f"padding '{value}' is unknown; valid: a number, a pair, {choices(PADDING_WORDS)}")
        sides = [_padding_word(value, e, t, u) for e, t, u in zip(extent, taps, stride, strict=True)]
        return sides[0], sides[1]
    if isinstance(value, tuple | list) and len(value) == 2 and any(isinstance(v, tuple | list) for v in value):
        return _pair("padding", value[0], 0), _pair("padding", value[1], 0)
    vertical, horizontal = _pair("padding", value, 0)
    return (vertical, vertical), (horizontal, horizontal)


def _padding_word(word: str, extent: int, taps: int, stride: int) -> Pair:
    if word == "valid":
        return 0, 0
    if word == "full":
        return taps - 1, taps - 1
    # "same": P = ceil(H / u); an odd element goes after, as TensorFlow and ONNX's SAME_UPPER have it.
    total = max((-(-extent // stride) - 1) * stride + taps - extent, 0)
    return total // 2, total - total // 2


def _word(name: str, value: object, valid: tuple[str, ...]) -> str:
    if value not in valid:
        raise SpecError(f"{name} '{value}' is unknown; valid: {choices(valid)}")
    return str(value)


def _family(value: object) -> str:
    name, _, parameter = str(value).partition(":")
    if name not in FAMILIES or bool(parameter) != FAMILIES[name]:
        valid = [f"{family}:<number>" if takes else family for family, takes in FAMILIES.items()]
        raise SpecError(f"filter '{value}' is unknown; valid: {choices(valid)}")
    if not parameter:
        return name
    try:
        number = float(parameter)
    except ValueError:
        number = math.nan
    if not 1e-3 <= number <= 1e6 or (name == "rank" and number != int(number)):
        raise SpecError(f"filter '{value}': the number must be in 0.001 … 1e6" + " and whole" * (name == "rank"))
    return f"{name}:{number:.12g}"


def _pair_text(pair: Pair) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def _padding_text(padding: Padding) -> str:
    if all(before == after for before, after in padding):
        return _pair_text((padding[0][0], padding[1][0]))
    return "x".join(f"{before}.{after}" for before, after in padding)


def _read_pair(text: str) -> int | Pair:
    numbers = [int(part) for part in text.split("x")]
    if len(numbers) == 1:
        return numbers[0]
    first, second = numbers
    return first, second


def _read_padding(text: str) -> int | Pair | Padding | str:
    if text in PADDING_WORDS:
        return text
    if "." not in text:
        return _read_pair(text)
    (top, bottom), (left, right) = (map(int, side.split(".")) for side in text.split("x"))
    return (top, bottom), (left, right)


def _read_flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


_HEAD: Final = re.compile(
    r"(?:n(?P<n>\d{1,10}))?(?:c(?P<c>\d{1,10}))?h(?P<h>\d{1,10})w(?P<w>\d{1,10})"
    r"(?:k(?P<k>\d{1,10}))?r(?P<r>\d{1,10})s(?P<s>\d{1,10})"
)
_DEFAULTS: Final[dict[str, object]] = {
    "groups": 1,
    "dtype": "float32",
    "boundary": "zero",
    "filter": "random",
    "direction": "forward",
    "flip": False,
}
_READERS: Final[dict[str, Any]] = {
    "stride": _read_pair,
    "padding": _read_padding,
    "dilation": _read_pair,
    "groups": int,
    "dtype": str,
    "boundary": str,
    "filter": str,
    "direction": str,
    "flip": _read_flag,
}
