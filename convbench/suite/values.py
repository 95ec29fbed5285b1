"""One value in a suite: how each kind is checked, and the JSON Schema that describes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from convbench.errors import SpecError
from convbench.spec import BOUNDARIES, DIRECTIONS, DTYPES, FAMILIES, MAX_EXTENT, PADDING_WORDS, ConvSpec
from convbench.suite.yaml_lines import shorten, unknown

Json = dict[str, Any]

MAX_THREADS: Final = 4096


def misfit(text: str, key: str | int | None = None) -> PydanticCustomError:
    """What validators raise; `key` points to the offending entry of the value itself."""
    return PydanticCustomError("suite", "{text}", {"text": text, "key": key})


def expected(what: str, value: object) -> PydanticCustomError:
    """`expected a whole number from 1 to 4096, not 'many'`."""
    return misfit(f"expected {what}, not {show(value)}")


def show(value: object) -> str:
    """A value as the suite's author would recognise it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    return shorten(repr(value))


def whole(value: object, least: int = 1, most: int = MAX_EXTENT) -> int:
    """A whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise expected(f"a whole number from {least} to {most}", value)
    return value


LEAST: Final = 1e-12
"""Of what must be above 0: as much as a record holds."""


def positive(value: object, most: float = 1e6) -> float:
    """A number above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise expected(f"a number above 0, at most {most:g}", value)
    if value < LEAST:
        raise expected(f"a number of {LEAST:g} at least", value)
    return float(value)


def word(value: object, kind: str, valid: Sequence[str]) -> str:
    """One of a closed set of words."""
    if not isinstance(value, str) or value not in valid:
        raise misfit(unknown(kind, value if isinstance(value, str) else show(value), valid))
    return value


def flag(value: object) -> bool:
    """True or false; YAML 1.1's `yes` and `on` are words here."""
    if not isinstance(value, bool):
        raise expected("true or false", value)
    return value


def text(value: object, most: int = 2000) -> str:
    """A string of bounded length."""
    if not isinstance(value, str) or len(value) > most:
        raise expected(f"text of at most {most} characters", value)
    return value


def seconds(value: object) -> float:
    """A duration in seconds: a number of them, or `30s`, `4m`, `1.5h`."""
    return _measure(value, _SECONDS, 7 * 86400, "a duration such as 30s, 4m or 1h, at most 7 days")


def size_bytes(value: object) -> int:
    """A size in bytes: a number of them, or `512MiB`, `4GiB`."""
    return int(_measure(value, _BYTES, 2**50, "a size such as 512MiB or 4GiB, at most 1024TiB"))


def share(value: object) -> float:
    """A part of something: `5%` is 0.05."""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 0 < float(match["number"]) <= 1000:
        raise expected("a percentage such as 5% or 2.5%, above 0% and at most 1000%", value)
    return float(match["number"]) / 100


def _measure(value: object, units: Mapping[str, int], most: int, what: str) -> float:
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is not None and match["unit"] in units:
        number = float(match["number"]) * units[match["unit"]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    else:
        raise expected(what, value)
    if not 0 < number <= most:
        raise expected(what, value)
    return number


_QUANTITY: Final = re.compile(r"(?P<number>\d{1,15}(?:\.\d{1,9})?) ?(?P<unit>[A-Za-z]+)", re.ASCII)
_PERCENT: Final = re.compile(r"(?P<number>\d{1,4}(?:\.\d{1,6})?) ?%", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600}
_BYTES: Final = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def pair(value: object, least: int = 1) -> object:
    """A whole number, or [vertical, horizontal]."""
    if isinstance(value, list) and len(value) == 2:
        return whole(value[0], least), whole(value[1], least)
    if isinstance(value, list):
        raise expected("a whole number or a pair [vertical, horizontal]", value)
    return whole(value, least)


def _padding(value: object) -> object:
    if isinstance(value, str):
        return word(value, "padding", PADDING_WORDS)
    if isinstance(value, list) and len(value) == 2 and all(isinstance(side, list) for side in value):
        return pair(value[0], 0), pair(value[1], 0)
    return pair(value, 0)


def _image(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"[1-9]\d{0,8}x[1-9]\d{0,8}", value):
            raise expected("a whole number or 'HxW', such as 480x640", value)
        return value
    return whole(value)


def _filter(value: object) -> str:
    try:
        return ConvSpec(h=9, w=9, r=3, s=3, filter=text(value)).filter
    except SpecError as error:
        families = [f"{name}:<number>" if takes else name for name, takes in FAMILIES.items()]
        known = isinstance(value, str) and value.partition(":")[0] in FAMILIES
        raise misfit(str(error) if known else unknown("filter", value, families)) from error


def _thread(value: object) -> object:
    if isinstance(value, str):
        return word(value, "number of threads", ("all",))
    return whole(value, most=MAX_THREADS)


# --- as types -------------------------------------------------------------------------------------

_WHOLE: Final[Json] = {"type": "integer", "minimum": 1, "maximum": MAX_EXTENT}
_LENGTH: Final[Json] = {"type": "integer", "minimum": 0, "maximum": MAX_EXTENT}


def _pair_schema(item: Json) -> Json:
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 2, "maxItems": 2}]}


def _quantity_schema(kind: str, units: Mapping[str, int]) -> Json:
    pattern = f"^[0-9]+([.][0-9]+)? ?({'|'.join(units)})$"
    return {"anyOf": [{"type": kind, "exclusiveMinimum": 0}, {"type": "string", "pattern": pattern}]}


DEFINITIONS: Final[dict[str, Json]] = {
    "extent": _WHOLE,
    "pair": _pair_schema(_WHOLE),
    "padding": {"anyOf": [{"enum": list(PADDING_WORDS)}, _pair_schema(_LENGTH), _pair_schema(_pair_schema(_LENGTH))]},
    "dtype": {"enum": list(DTYPES)},
    "boundary": {"enum": list(BOUNDARIES)},
    "direction": {"enum": list(DIRECTIONS)},
    "filter": {
        "type": "string",
        "pattern": "^(" + "|".join(f"{name}:.+" if takes else name for name, takes in FAMILIES.items()) + ")$",
    },
    "flag": {"type": "boolean"},
    "image": {"anyOf": [_WHOLE, {"type": "string", "pattern": "^[1-9][0-9]{0,8}x[1-9][0-9]{0,8}$"}]},
    "positive": {"type": "number", "exclusiveMinimum": 0},
    "threads": {"anyOf": [{**_WHOLE, "maximum": MAX_THREADS}, {"const": "all"}]},
    "duration": _quantity_schema("number", _SECONDS),
    "size": _quantity_schema("integer", _BYTES),
    "share": {"type": "string", "pattern": "^[0-9]{1,4}([.][0-9]{1,6})? ?%$"},
}
NAMED: Final = "$named"  # stands for "$ref" until the schema is whole, since pydantic looks references up


def _type(check: Callable[[Any], object], name: str) -> Any:
    """A pydantic type that is one checking function, and the definition that describes it."""
    return Annotated[Any, PlainValidator(check), WithJsonSchema({NAMED: name})]


_EXTENT: Final = _type(whole, "extent")
POSITIVE: Final = _type(positive, "positive")
THREAD: Final = _type(_thread, "threads")
SHARE: Final = _type(share, "share")
DURATION: Final = _type(seconds, "duration")

VALUES: Final[dict[str, Any]] = {
    **dict.fromkeys(("n", "c", "h", "w", "k", "r", "s"), _EXTENT),
    "stride": _type(pair, "pair"),
    "padding": _type(_padding, "padding"),
    "dilation": _type(pair, "pair"),
    "groups": _EXTENT,
    "dtype": _type(partial(word, kind="dtype", valid=DTYPES), "dtype"),
    "boundary": _type(partial(word, kind="boundary", valid=BOUNDARIES), "boundary"),
    "filter": _type(_filter, "filter"),
    "direction": _type(partial(word, kind="direction", valid=DIRECTIONS), "direction"),
    "flip": _type(flag, "flag"),
    "image": _type(_image, "image"),
    "kernel": _EXTENT,
    "channels": _EXTENT,
    "batch": _EXTENT,
    "sigma": POSITIVE,
}
"""Every setting but threads, and the type of one value of it."""
