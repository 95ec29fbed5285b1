"""The words of a suite's cells: what `defaults`, `sweep` and `shapes` may set, and how that makes a spec.

A *setting* is any field of `ConvSpec`, `threads`, or a word that sets several fields at once:

    image (h, w)   kernel (r, s)   channels (c, k)   batch (n)   sigma (filter, and r, s unless given)

An *axis* is the list of values that a sweep gives to one setting: a list, one value, or a range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from convbench.errors import SpecError
from convbench.result import AxisValue
from convbench.spec import MAX_EXTENT, ConvSpec
from convbench.suite.values import NAMED, Json, expected, misfit, show
from convbench.suite.yaml_lines import unknown

Settings = Mapping[str, Any]

MAX_AXIS: Final = 10_000

SETS: Final[dict[str, tuple[str, ...]]] = {
    "image": ("h", "w"),
    "kernel": ("r", "s"),
    "channels": ("c", "k"),
    "batch": ("n",),
    "sigma": ("filter",),
}


# --- an axis: many values -------------------------------------------------------------------------

_RANGE_KEYS: Final = ("from", "to", "step", "factor", "count")
RANGE: Final[Json] = {
    "type": "object",
    "description": "Both ends included: `step` adds, `factor` multiplies, `count` spaces evenly by ratio.",
    "properties": {name: {"type": "number", "exclusiveMinimum": 0} for name in _RANGE_KEYS},
    "required": ["from", "to"],
    "oneOf": [{"required": [name]} for name in _RANGE_KEYS[2:]],
    "additionalProperties": False,
}


def spread(given: object) -> list[object]:
    """The values that an axis lists: a list as it is, a range from end to end, or the one value."""
    if isinstance(given, dict):
        return _range(given)
    if isinstance(given, list):
        if not given:
            raise misfit("expected at least one value")
        if len(given) > MAX_AXIS:
            raise misfit(f"{len(given):,} values are more than {MAX_AXIS:,}")
        return given
    return [given]


def _range(given: dict[str, object]) -> list[object]:
    check_keys(given, _RANGE_KEYS, required=("from", "to"))
    ways = [name for name in _RANGE_KEYS[2:] if name in given]
    if len(ways) != 1:
        raise misfit(f"a range needs exactly one of step, factor, count, not {' and '.join(ways) or 'none'}")
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_EXTENT:
            raise misfit(f"{name}: expected a number above 0, at most {MAX_EXTENT}, not {show(value)}", name)
    start, end, pace = (float(given[name]) for name in ("from", "to", ways[0]))  # type: ignore[arg-type]
    if start > end:
        raise misfit(f"the range is empty: from {start:g} to {end:g}")
    integral = isinstance(given["from"], int) and isinstance(given["to"], int)
    return _step(start, end, pace, integral) if ways[0] == "step" else _ratio(start, end, pace, ways[0], integral)


def _step(start: float, end: float, step: float, integral: bool) -> list[object]:
    values = [start + i * step for i in range(_counted((end - start) / step))]
    return [int(value) if integral and step == int(step) else round(value, 12) for value in values]


def _ratio(start: float, end: float, pace: float, way: str, integral: bool) -> list[object]:
    if way == "count":
        if pace != int(pace) or (pace < 2 and start != end):
            raise misfit(f"count: expected a whole number of at least 2, not {pace:g}", "count")
        factor, steps = (end / start) ** (1 / max(pace - 1, 1)), pace - 1
    elif pace <= 1:
        raise misfit(f"factor: expected a number above 1, not {pace:g}", "factor")
    else:
        factor, steps = pace, math.log(end / start) / math.log(pace)
    values = [start * factor**i for i in range(_counted(steps))]
    # Whole ends make whole values; rounding may make neighbours meet, and they count once.
    return list(dict.fromkeys(round(value) if integral else round(value, 12) for value in values))


def _counted(steps: float) -> int:
    count = math.floor(steps + 1e-9) + 1 if steps < MAX_AXIS else MAX_AXIS + 1
    if count > MAX_AXIS:
        raise misfit(f"the range has more than {MAX_AXIS:,} values")
    return count


class Axis:
    """Annotates a tuple of values: also given as one value, or as a range."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(spread, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        many = handler(schema) | {"minItems": 1}
        return {"anyOf": [many["items"], many, {NAMED: "range"}]}


class OneOrMany:
    """Annotates a tuple of values: also given as one value."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.listed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        many = handler(schema) | {"minItems": 1}
        return {"anyOf": [many["items"], many]}

    @staticmethod
    def listed(value: object) -> object:
        """The value as a list; an empty one says nothing, and says so."""
        if value == []:
            raise misfit("expected at least one value")
        return value if isinstance(value, list | tuple) else [value]


@dataclass(frozen=True, eq=False)  # typing hashes what annotates a type
class Shorthand:
    """Annotates a mapping that may also be given as a string, which `read` understands; `what` says what it is."""

    read: Callable[[str], object]
    what: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._validate, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        return {"anyOf": [{"type": "string", "description": self.what}, handler(schema)]}

    def _validate(self, value: object, mapping: Callable[[object], object]) -> object:
        if isinstance(value, str):
            return self.read(value)
        if not isinstance(value, dict):
            raise expected(f"{self.what}, or a mapping", value)
        return mapping(value)


# --- mappings -------------------------------------------------------------------------------------


def check_keys(
    value: object, valid: Sequence[str] | Mapping[str, object], required: Sequence[str] = ()
) -> dict[str, Any]:
    """The value back if it is a mapping with known keys only, and all of the required ones."""
    if not isinstance(value, dict):
        raise expected("a mapping", value)
    for key in value:
        if key not in valid:
            raise misfit(unknown("key", key, valid), key)
    for key in required:
        if key not in value:
            raise misfit(f"'{key}' is missing")
    return value


@dataclass(frozen=True, eq=False)  # typing hashes what annotates a type
class Keys:
    """Annotates a mapping whose keys and their types come from a table."""

    types: Mapping[str, Any]
    required: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        fields = {
            name: core_schema.typed_dict_field(handler.generate_schema(type_), required=name in self.required)
            for name, type_ in self.types.items()
        }
        return core_schema.no_info_wrap_validator_function(
            self._validate, core_schema.typed_dict_schema(fields, extra_behavior="forbid")
        )

    def _validate(self, value: object, mapping: Callable[[object], dict[str, Any]]) -> dict[str, Any]:
        given = check_keys(value, self.types, self.required)
        checked = mapping(given)
        return {key: checked[key] for key in given}  # in the author's order, which is the order of the cells


# --- from settings to a spec ----------------------------------------------------------------------


def resolve(levels: Sequence[Settings]) -> ConvSpec:
    """The spec that settings make; later levels override earlier ones.

    sigma sets filter=gaussian:σ and, unless some level gives them, r = s = 2·floor(4σ + 0.5) + 1:
    scipy.ndimage's truncate=4. Raises `SpecError` where two settings of a level contradict each
    other, an extent is missing, or the problem cannot exist.
    """
    fields: dict[str, Any] = {}
    for level in levels:
        stated = _fields(level)
        if "filter" in stated and "sigma" not in level:
            fields.pop("sigma", None)
        fields |= stated
    sigma = fields.pop("sigma", None)
    if sigma is not None:
        extent = 2 * math.floor(4 * sigma + 0.5) + 1
        fields.setdefault("r", extent)
        fields.setdefault("s", extent)
    for name, (first, second) in (("image", ("h", "w")), ("kernel", ("r", "s"))):
        missing = [field for field in (first, second) if field not in fields]
        if missing:
            also = " or sigma" if name == "kernel" else ""
            raise SpecError(f"{' and '.join(missing)} not given: set {name} ({first} and {second}){also}")
    return ConvSpec(**fields)


def _fields(level: Settings) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    setters: dict[str, str] = {}
    for name, value in level.items():
        for field in SETS.get(name, (name,)):
            if field in fields:
                raise SpecError(f"{setters[field]} and {name} both set {field}")
            fields[field], setters[field] = value, name
    image = level.get("image")
    if isinstance(image, str):
        fields["h"], fields["w"] = map(int, image.split("x"))
    if "sigma" in level:
        fields |= {"sigma": level["sigma"], "filter": f"gaussian:{level['sigma']:.12g}"}
    return fields


def coordinate(value: object) -> AxisValue:
    """A setting's value as a coordinate of a cell: numbers stay numbers, a pair becomes `2x1`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        nested = any(isinstance(side, tuple) for side in value)
        sides = [".".join(map(str, side)) if isinstance(side, tuple) else str(side) for side in value]
        return "x".join(sides) if nested or value[0] != value[1] else value[0]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int | float | str):
        return value
    raise TypeError(f"not a coordinate: {value!r}")
