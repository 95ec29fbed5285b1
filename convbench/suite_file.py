"""What a suite file may say: its keys, their types and defaults, and the JSON Schema of all that."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator
from pydantic import WithJsonSchema as Schema

from convbench.algorithm import Device
from convbench.axes import Axis, Keys, OneOrMany, Shorthand, check_keys
from convbench.errors import SpecError
from convbench.spec import ConvSpec
from convbench.values import (
    THREAD,
    VALUES,
    expected,
    flag,
    misfit,
    positive,
    seconds,
    size_bytes,
    text,
    value_type,
    whole,
    word,
)

SCHEMA_VERSION: Final = 1
NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}"

Thread = int | str
"""A number of threads, or "all"."""


def _name(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(NAME, value):
        raise expected("letters, digits, '.', '_' and '-', since it names a folder", value)
    return value


def _spec(value: str) -> ConvSpec:
    try:
        return ConvSpec.parse(value)
    except SpecError as error:
        raise misfit(str(error)) from error


_STRING: Final = {"type": "string"}
_DURATION: Final = {
    "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": r"^[0-9.]+ ?(s|m|min|h)$"}]
}
_SIZE: Final = {
    "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[0-9.]+ ?(B|KiB|MiB|GiB|TiB)$"}]
}
Text = Annotated[str, PlainValidator(text), Schema(_STRING)]
_THREADS: Final = Annotated[tuple[THREAD, ...], OneOrMany()]
_AXES: Final = {name: Annotated[tuple[type_, ...], Axis()] for name, type_ in VALUES.items()}  # type: ignore[valid-type]
_WEIGHT: Final = value_type(positive, {"type": "number", "exclusiveMinimum": 0})

Defaults = Annotated[dict[str, Any], Keys({**VALUES, "threads": _THREADS})]
Sweep = Annotated[dict[str, Any], Keys({**_AXES, "threads": _THREADS})]
Shape = Annotated[
    dict[str, Any] | ConvSpec,
    Keys({**VALUES, "threads": _THREADS, "weight": _WEIGHT, "name": Text}),
    Shorthand(_spec, {"type": "string", "description": "a spec's id: n1c64h56w56k64r3s3+padding=1"}),
]
Table = Annotated[
    dict[str, Any],
    Keys({"file": Text, "source": Annotated[tuple[Text, ...], OneOrMany()], "batch": VALUES["batch"]}, ("file",)),
    Shorthand(lambda file: {"file": file}, _STRING),
]
Selector = Annotated[dict[str, Any] | str, Keys({"tag": Text}, ("tag",)), Shorthand(lambda name: name, _STRING)]
Crossover = Annotated[dict[str, Any], Keys(dict.fromkeys(("axis", "from", "to"), Text), ("axis", "from", "to"))]
Seconds = Annotated[float, PlainValidator(seconds), Schema(_DURATION)]
SizeBytes = Annotated[int, PlainValidator(size_bytes), Schema(_SIZE)]
Flag = Annotated[bool, PlainValidator(flag), Schema({"type": "boolean"})]


def _whole(least: int, most: int) -> tuple[PlainValidator, Schema]:
    check = PlainValidator(partial(whole, least=least, most=most))
    return check, Schema({"type": "integer", "minimum": least, "maximum": most})


class SuiteFile(BaseModel):
    """The keys of a suite file."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="A convbench suite")

    schema_version: Annotated[int, *_whole(1, SCHEMA_VERSION)] = Field(SCHEMA_VERSION, alias="schema")
    name: Annotated[str, PlainValidator(_name), Schema({"type": "string", "pattern": f"^{NAME}$"})] = ""
    description: Text = ""
    defaults: Defaults = {}
    """Settings of every cell, unless its sweep or shape says otherwise."""
    sweep: Annotated[tuple[Sweep, ...], OneOrMany()] = ()
    """Each mapping is a product of axes."""
    shapes: Annotated[tuple[Shape, ...], OneOrMany()] = ()
    shapes_from: Table | None = None
    algorithms: Annotated[tuple[Selector, ...], OneOrMany()] = ()
    """Names and `{tag: …}`; none means every algorithm that supports the cell."""
    crossovers: Annotated[tuple[Crossover, ...], OneOrMany()] = ()
    device: Annotated[Device, BeforeValidator(partial(word, kind="device", valid=("cpu", "cuda")))] = "cpu"
    input: Text | None = None
    """A photograph for x, as a file beside the suite or `sample:…`; None: seeded random data."""
    strict_geometry: Flag = False
    passes: Annotated[int, *_whole(1, 1000)] = 3
    budget_s: Seconds | None = Field(None, alias="budget")
    timeout_s: Seconds = Field(60.0, alias="timeout")
    """For one contender in one cell and pass."""
    memory_limit_bytes: SizeBytes | None = Field(None, alias="memory_limit")
    seed: Annotated[int, *_whole(0, 2**32 - 1)] = 0

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: object) -> object:
        return check_keys(data, [field.alias or name for name, field in cls.model_fields.items()])


def suite_schema() -> dict[str, Any]:
    """The JSON Schema of a suite file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **SuiteFile.model_json_schema()}
