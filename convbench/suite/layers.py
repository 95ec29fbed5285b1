"""What `network:` may say: layers of which kinds, each a name and a mapping, and what is wrong with one.

    - conv1: {conv: 11, stride: 4, k: 96}
    - pool1: {max_pool: 3, stride: 2, rounding: ceil}
    - 2a: {add: [[reduce: {conv: 1, k: 64}, expand: {conv: 1, k: 256}], identity]}

One of a layer's keys tells its kind. A join (`concatenate`, `add`) has branches, each a list of layers or `identity`,
and a `sequence` gives several layers one name; so layers nest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, PlainValidator
from pydantic import WithJsonSchema as Schema
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypeAliasType

from convbench.errors import choices
from convbench.suite.axes import Keys, OneOrMany, Shorthand, check_keys
from convbench.suite.values import VALUES, Json, expected, flag, misfit, pair, text, whole, word
from convbench.suite.yaml_lines import unknown

ROUNDINGS: Final = ("floor", "ceil")
GLOBAL: Final = "global"
IDENTITY: Final = "identity"
EXAMPLE: Final = "conv1: {conv: 3, k: 64, padding: 1}"


# --- a layer's options ----------------------------------------------------------------------------


def _window(value: object) -> object:
    if isinstance(value, str) and value != GLOBAL:
        raise expected(f"a whole number, a pair [vertical, horizontal], or {GLOBAL}", value)
    return value if value == GLOBAL else pair(value)


def _input(value: object) -> tuple[int, ...]:
    if not isinstance(value, str) or not re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8}){2}", value, re.ASCII):
        raise expected("'CxHxW', such as 3x224x224", value)
    return tuple(map(int, value.split("x")))


_WHOLE: Final[Json] = {"type": "integer", "minimum": 1}
_PAIR: Final[Json] = {"type": "array", "items": _WHOLE, "minItems": 2, "maxItems": 2}
_LENGTH: Final[Json] = {"type": "integer", "minimum": 0}
_LENGTHS: Final[Json] = {"anyOf": [_LENGTH, {**_PAIR, "items": _LENGTH}]}
_WINDOW: Final = Annotated[
    Any, PlainValidator(_window), Schema({"anyOf": [{"const": GLOBAL}, _WHOLE, _PAIR], "description": "Its extent."})
]
_FLAG: Final = Annotated[bool, PlainValidator(flag), Schema({"type": "boolean"})]
_TEXT: Final = Annotated[str, PlainValidator(text), Schema({"type": "string"})]
_ROUNDING: Final = Annotated[
    str, PlainValidator(partial(word, kind="rounding", valid=ROUNDINGS)), Schema({"enum": list(ROUNDINGS)})
]
_INPUT: Final = Annotated[
    Any, PlainValidator(_input), Schema({"type": "string", "pattern": "^[1-9][0-9]*(x[1-9][0-9]*){2}$"})
]
_OUTPUTS: Final = Annotated[int, PlainValidator(whole), Schema(_WHOLE)]

_LEARNS: Final = {"bias": _FLAG, "batch_norm": _FLAG}
_SLIDES: Final = {"stride": VALUES["stride"], "padding": VALUES["padding"], "dilation": VALUES["dilation"]}
_POOLS: Final = {
    "stride": VALUES["stride"],
    "padding": Annotated[Any, PlainValidator(partial(pair, least=0)), Schema(_LENGTHS)],
    "rounding": _ROUNDING,
}


# --- layers, which nest ---------------------------------------------------------------------------


def _layers(value: object) -> object:
    if not isinstance(value, list):
        raise expected(f"a list of layers, such as - {EXAMPLE}", value)
    return value


def _some_layers(value: object) -> object:
    if value == []:
        raise misfit("expected at least one layer")
    return value


def _one_layer(value: object) -> object:
    if not isinstance(value, dict) or len(value) != 1 or not next(iter(value)):
        raise expected(f"one layer with its name, such as {EXAMPLE}", value)
    return value


def _branches(value: object) -> object:
    if not isinstance(value, list) or len(value) < 2:
        raise expected("a list of two branches or more", value)
    return value


class _Branch:
    """Annotates a list of layers that may be none of them: `identity`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._listed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        return {"anyOf": [{"const": IDENTITY}, handler(schema)]}

    @staticmethod
    def _listed(value: object) -> object:
        if not isinstance(value, list) and value != IDENTITY:
            raise expected(f"a branch: a list of layers, or {IDENTITY}", value)
        return [] if value == IDENTITY else value


class _Kinds:
    """Annotates a mapping with exactly one of the kinds among its keys, and then that kind's options."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        kinds = {
            # A tag is a step of an error's place; a word that no file has as a key does not disturb that.
            f"<{kind}>": handler.generate_schema(
                Annotated[dict[str, Any], Keys(options, (kind, *REQUIRED.get(kind, ())))]
            )
            for kind, options in KINDS.items()
        }
        union = core_schema.tagged_union_schema(kinds, lambda value: f"<{kind_of(value)}>")
        return core_schema.no_info_before_validator_function(self._one_kind, union)

    @staticmethod
    def _one_kind(value: object) -> object:
        if not isinstance(value, dict):
            raise expected(f"a mapping, as in {EXAMPLE}", value)
        kinds = [key for key in value if key in KINDS]
        options = {option for options in KINDS.values() for option in options}
        stray = [key for key in value if key not in options]
        if not kinds and stray:
            raise misfit(unknown("kind of layer", stray[0], KINDS), stray[0])
        if not kinds:
            raise misfit(f"the layer's kind is missing; valid: {choices(KINDS)}")
        if len(kinds) > 1:
            raise misfit(f"a layer is of one kind, not {' and '.join(kinds)}", kinds[1])
        return value


def kind_of(body: Mapping[str, Any]) -> str:
    """Which of `KINDS` a layer is."""
    return next(kind for kind in KINDS if kind in body)


_Layer = Annotated[dict[str, Annotated[dict[str, Any], _Kinds()]], BeforeValidator(_one_layer)]
Layers = TypeAliasType("Layers", Annotated[tuple[_Layer, ...], BeforeValidator(_layers)])
_SomeLayers = Annotated[Layers, BeforeValidator(_some_layers)]
_Branches = Annotated[tuple[Annotated[Layers, _Branch()], ...], BeforeValidator(_branches)]

KINDS: Final[dict[str, dict[str, Any]]] = {
    "conv": {"conv": VALUES["stride"], "k": VALUES["k"], **_SLIDES, "groups": VALUES["groups"], **_LEARNS},
    "depthwise": {"depthwise": VALUES["stride"], **_SLIDES, **_LEARNS},
    "fully_connected": {"fully_connected": _OUTPUTS, **_LEARNS},
    "max_pool": {"max_pool": _WINDOW, **_POOLS},
    "average_pool": {"average_pool": _WINDOW, **_POOLS},
    "concatenate": {"concatenate": _Branches},
    "add": {"add": _Branches},
    "sequence": {"sequence": _SomeLayers},
}
"""Kind → its options; the option of the kind's own name is the extent of its kernel, its outputs, or its parts."""

REQUIRED: Final = {"conv": ("k",)}


# --- the network ----------------------------------------------------------------------------------


def _several(setting: str) -> Any:
    return Annotated[tuple[VALUES[setting], ...], OneOrMany()]  # type: ignore[valid-type]


_OWN: Final = {"layers": _SomeLayers, **_LEARNS, "rounding": _ROUNDING}
_EITHER: Final = {
    "input": _INPUT,
    "batch": _several("batch"),
    "direction": _several("direction"),
}


def _own_or_filed(value: object) -> object:
    if not isinstance(value, dict):
        return value
    check_keys(value, (*_EITHER, *_OWN, "file"))
    if "file" not in value and (missing := [key for key in ("input", "layers") if key not in value]):
        raise misfit(f"'{missing[0]}' is missing: a network has input and layers, or the file of another suite's")
    for key in _OWN:
        if "file" in value and key in value:
            raise misfit(f"{key} is for the network's own file to say; beside file: {choices(_EITHER)}", key)
    return value


WrittenNetwork = Annotated[
    dict[str, Any],
    Keys({**_EITHER, **_OWN, "file": _TEXT}),
    BeforeValidator(_own_or_filed),
    Shorthand(lambda file: {"file": file}, "another network suite's file"),
]
