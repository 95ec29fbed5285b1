"""What a suite file may say: its keys, their types and defaults, and the JSON Schema of all that."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Annotated, Any, Final, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, model_validator
from pydantic import WithJsonSchema as Schema

from convbench.algorithm import Devices
from convbench.errors import SpecError, SuiteError, choices
from convbench.spec import ConvSpec
from convbench.suite.axes import RANGE, Axis, Keys, OneOrMany, Shorthand, check_keys
from convbench.suite.claims import WrittenClaim, WrittenCrossover
from convbench.suite.layers import WrittenNetwork
from convbench.suite.values import (
    DEFINITIONS,
    DURATION,
    NAMED,
    POSITIVE,
    SHARE,
    THREAD,
    VALUES,
    expected,
    flag,
    misfit,
    seconds,
    show,
    size_bytes,
    text,
    whole,
    word,
)
from convbench.suite.yaml_lines import Document, Place

SCHEMA_VERSION: Final = 1
NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}"

Thread = int | str
"""A number of threads, or "all"."""


def _name(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(NAME, value):
        raise expected("letters, digits, '.', '_' and '-', since it names a folder", value)
    return value


def _version(value: object) -> int:
    if value != SCHEMA_VERSION or isinstance(value, bool):
        raise misfit(f"this convbench reads version {SCHEMA_VERSION} of the format, not {show(value)}")
    return SCHEMA_VERSION


def _spec(value: str) -> ConvSpec:
    try:
        return ConvSpec.parse(value)
    except SpecError as error:
        raise misfit(str(error)) from error


_STRING: Final = {"type": "string"}
Text = Annotated[str, PlainValidator(text), Schema(_STRING)]
_THREADS: Final = Annotated[tuple[THREAD, ...], OneOrMany()]
_AXES: Final = {name: Annotated[tuple[type_, ...], Axis()] for name, type_ in VALUES.items()}  # type: ignore[valid-type]

Defaults = Annotated[dict[str, Any], Keys({**VALUES, "threads": _THREADS, "ground": Text})]
Sweep = Annotated[dict[str, Any], Keys({**_AXES, "threads": _THREADS, "ground": Text})]
Shape = Annotated[
    dict[str, Any] | ConvSpec,
    Keys({**VALUES, "threads": _THREADS, "weight": POSITIVE, "name": Text, "ground": Text}),
    Shorthand(_spec, "a spec's id, such as n1c64h56w56k64r3s3+padding=1"),
]
Table = Annotated[
    dict[str, Any],
    Keys(
        {
            "file": Text,
            "source": Annotated[tuple[Text, ...], OneOrMany()],
            "batch": VALUES["batch"],
            "most_gflop": POSITIVE,
        },
        ("file",),
    ),
    Shorthand(lambda file: {"file": file}, "a file's name"),
]
Selector = Annotated[
    dict[str, Any] | str,
    Keys({"tag": Text, "not": Text}, ("tag",)),
    Shorthand(lambda name: name, "an algorithm's name"),
]
Selectors = Annotated[tuple[Selector, ...], OneOrMany()]
Target = Annotated[
    dict[str, Any], Keys({"ground": Text, "threads": THREAD, "at_least": POSITIVE, "mean_at_least": POSITIVE})
]
Sides = Annotated[
    dict[str, Any],
    Keys({"ours": Selectors, "theirs": Selectors, "targets": Annotated[tuple[Target, ...], OneOrMany()]}),
]
_LIMITS: Final = {"max_slowdown": SHARE, "max_plan_slowdown": SHARE}
GateFor = Annotated[dict[str, Any], Keys({"ground": Text, "algorithm": Text, **_LIMITS})]
Gate = Annotated[
    dict[str, Any],
    Keys(
        {
            **_LIMITS,
            "max_error_growth": POSITIVE,
            "max_workspace_growth": SHARE,
            "cell_budget": DURATION,
            "limits": Annotated[tuple[GateFor, ...], OneOrMany()],
        }
    ),
]
Seconds = Annotated[float, PlainValidator(seconds), Schema({NAMED: "duration"})]
SizeBytes = Annotated[int, PlainValidator(size_bytes), Schema({NAMED: "size"})]
Flag = Annotated[bool, PlainValidator(flag), Schema({"type": "boolean"})]


def _whole(least: int, most: int) -> tuple[PlainValidator, Schema]:
    check = PlainValidator(partial(whole, least=least, most=most))
    return check, Schema({"type": "integer", "minimum": least, "maximum": most})


class SuiteFile(BaseModel):
    """The keys of a suite file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    schema_version: Annotated[int, PlainValidator(_version), Schema({"const": SCHEMA_VERSION})] = Field(
        SCHEMA_VERSION, alias="schema"
    )
    """The version of this file format."""
    name: Annotated[str, PlainValidator(_name), Schema({"type": "string", "pattern": f"^{NAME}$"})] = ""
    """What the run's folder is called; the file's name if not given."""
    description: Text = ""
    """The question that the suite answers."""
    defaults: Defaults = {}
    """Settings of every cell, unless its sweep or shape says otherwise."""
    sweep: Annotated[tuple[Sweep, ...], OneOrMany()] = ()
    """Axes, whose product is measured; or several such products."""
    shapes: Annotated[tuple[Shape, ...], OneOrMany()] = ()
    """Single problems, as settings or as a spec's id, each with a weight: how often a network has it."""
    shapes_from: Table | None = None
    """A CSV file of layers beside the suite, with columns source,name,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,…

    `batch` replaces their n; images are halved until a layer takes no more than `most_gflop`, and its name says so.
    """
    written_network: WrittenNetwork | None = Field(None, alias="network")
    """A network's layers, each convolution and fully connected layer of which is measured, weighted by how often there
    is one like it; or the `file` of another suite's network, at another `input`. Of `batch` and `direction` there may
    be several. `backward_data` leaves out the layers that see the input itself, whose gradient nobody needs. What is
    said of `bias`, `batch_norm` and the `rounding` of pools holds for every layer that does not say otherwise.
    """
    algorithms: Selectors = ()
    """Names, and `tag: …` for all with that tag (`not: …` for those without another); every algorithm, if not given."""
    crossovers: Annotated[tuple[WrittenCrossover, ...], OneOrMany()] = ()
    """Along an axis of the sweep, or along threads, where does `to` overtake `from`? With `refine: 2`, cells are added
    beside it, down to steps of 2, until it is placed to 5 %.
    """
    claims: Annotated[tuple[WrittenClaim, ...], OneOrMany()] = ()
    """What people say, each with a figure (a `crossover`, a `ratio` or a `payback`) and the bounds within which the
    claim holds; the run closes with a verdict on each.
    """
    versus: Sides | None = None
    """A closing table of `ours` against `theirs`, best against best in every cell, by `ground`; with targets for it.

    `ours` is whoever has no tag peer, and `theirs` whoever has it, unless given.
    """
    gate: Gate = {}
    """What `convbench gate` must find: the slowdown of execute (5%) and of plan and prepare (50%), the growth of the
    error (2, a factor) and of the workspace (10%), and the time for a contender in a cell (20s, or 60s with several
    threads); `limits` say otherwise for a ground or an algorithm.
    """
    device: Annotated[Devices, BeforeValidator(partial(word, kind="device", valid=get_args(Devices)))] = "cpu"
    """What the contenders run on; `both` compares them, each by the clock of where it runs."""
    cold: Flag = False
    """Whether to time calls with cold caches too, beside the hot ones: the caches are swept before each."""
    input: Text | None = None
    """An image for x, as a file beside the suite or as sample:grace_hopper.jpg; seeded random data, if not given."""
    strict_geometry: Flag = False
    """Whether to reject a stride that does not divide evenly."""
    passes: Annotated[int, *_whole(1, 1000)] = 5
    """How often every cell is visited, each time in fresh processes; where `gate:` is given, with every contender."""
    budget_s: Seconds | None = Field(None, alias="budget")
    """The whole run's time, such as 30s or 4m."""
    timeout_s: Seconds = Field(60.0, alias="timeout")
    """One contender's time in one cell and pass."""
    memory_limit_bytes: SizeBytes | None = Field(None, alias="memory_limit")
    """One contender's memory, such as 4GiB."""
    seed: Annotated[int, *_whole(0, 2**32 - 1)] = 0
    """Of the operands and of the order of measurement."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: object) -> object:
        valid = [field.alias or name for name, field in cls.model_fields.items()]
        if not isinstance(data, dict):
            raise expected(f"a mapping with some of the keys {choices(valid)}", data)
        return check_keys(data, valid)


AnySuite = TypeVar("AnySuite", bound=SuiteFile)


def validated(kind: type[AnySuite], document: Document) -> AnySuite:
    """The suite that a document holds. Raises `SuiteError` for the first mistake in it."""
    try:
        return kind.model_validate(document.data)
    except ValidationError as error:
        raise _first(document, error) from error


def _first(document: Document, error: ValidationError) -> SuiteError:
    """The error that comes first in the file, for pydantic collects them all."""
    faults: list[tuple[int, Place, str, Place]] = []
    for fault in error.errors(include_url=False):
        place = document.known(fault["loc"])
        key = fault.get("ctx", {}).get("key")
        keys: Place = () if key is None else (key,)
        faults.append((document.lines[document.known((*place, *keys))], place, fault["msg"], keys))
    _, place, message, keys = min(faults, key=lambda fault: fault[0])
    return document.error(place, message, keys)


def suite_schema() -> dict[str, Any]:
    """The JSON Schema of a suite file, for editors."""
    body = _untitled(SuiteFile.model_json_schema())
    body |= {"$defs": {**body.get("$defs", {}), **DEFINITIONS, "range": RANGE}}
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A convbench suite", **body}
    referring: dict[str, Any] = json.loads(json.dumps(schema).replace(f'"{NAMED}": "', '"$ref": "#/$defs/'))
    return referring


def _untitled(node: Any) -> Any:
    """Without the titles that pydantic makes of the keys."""
    if isinstance(node, dict):
        return {key: _untitled(part) for key, part in node.items() if key != "title"}
    return [_untitled(part) for part in node] if isinstance(node, list) else node
