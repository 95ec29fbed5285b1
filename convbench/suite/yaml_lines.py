"""YAML as plain data that remembers its lines, from files that nobody vouches for.

PyYAML composes the node graph; nothing is ever constructed from a tag. The scalars are YAML 1.2's
(`yes` is a word, `1:30` is not ninety), and size, depth and aliases are bounded *before* anything
is expanded, so that a bomb of nested aliases costs nothing.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from convbench.errors import SuiteError, choices

MAX_BYTES: Final = 2**20
MAX_NODES: Final = 100_000  # with every alias expanded
MAX_DEPTH: Final = 32
MAX_DIGITS: Final = 18

Place = tuple[str | int, ...]
"""Where a value stands: ("sweep", "kernel", 2)."""


@dataclass(frozen=True)
class Document:
    """A YAML file's data, and the line of each of its values."""

    file: str
    text: str
    data: Any
    lines: Mapping[Place, int]

    def known(self, place: Place) -> Place:
        """`place` without the steps that the file does not spell out."""
        found: Place = ()
        for step in place:
            if (*found, step) in self.lines:
                found = (*found, step)
        return found

    def where(self, *place: str | int) -> str:
        """`file:line` of a value, or of the nearest one around it."""
        return f"{self.file}:{self.lines[self.known(place)]}"

    def error(self, place: Place, message: str, key: Place = ()) -> SuiteError:
        """A one-line error, `file:line: sweep.kernel[2]: message`; the line is that of `key` within the place."""
        steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.known(place)]
        path = "".join(steps).removeprefix(".")
        return SuiteError(f"{self.where(*place, *key)}: {path}{': ' if path else ''}{message}")


def read_yaml(path: Path) -> Document:
    """The file's data with its lines. Raises `SuiteError` for anything that is not plain, finite YAML."""
    return parse_yaml(read_text(path), str(path))


def parse_yaml(text: str, file: str) -> Document:
    """The data of YAML text; `file` is what its errors call it."""
    loader = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        raise _error(file, mark.line + 1 if mark else 1, f"not valid YAML: {problem}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _error(file, line, f"not valid YAML: the character {error.character:#x} is not allowed") from error
    except (ValueError, OverflowError) as error:  # PyYAML passes any number to chr() and int()
        line = loader.line + 1 if loader else 1
        raise _error(file, line, "not valid YAML: an escape or a version number is out of range") from error
    if root is None:
        raise _error(file, 1, "the file is empty")
    lines: dict[Place, int] = {(): root.start_mark.line + 1}
    return Document(file, text, _build(root, (), lines, file), lines)


def read_text(path: Path) -> str:
    """A small UTF-8 file's text. Raises `SuiteError` where it is missing, too large or not UTF-8."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except IsADirectoryError as error:
        raise _error(file, 1, "this is a folder, not a file") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _error(file, 1, f"cannot be read: {reason}") from error
    if len(raw) > MAX_BYTES:
        raise _error(file, 1, f"the file is larger than {MAX_BYTES // 2**20} MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _error(file, line, f"not UTF-8: byte {raw[error.start]:#04x} at offset {error.start}") from error


def unknown(kind: str, word: object, valid: Iterable[str]) -> str:
    """`unknown algorithm 'fftt'; did you mean 'fft'? valid: direct, fft, …`."""
    valid = sorted(valid)
    near = difflib.get_close_matches(str(word)[:100], valid, n=1, cutoff=0.55)
    hint = f"; did you mean '{near[0]}'?" if near else ";"
    return f"unknown {kind} '{shorten(str(word))}'{hint} valid: {choices(valid)}"


def shorten(text: str, limit: int = 60) -> str:
    """Text short enough to stand within a message."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _error(file: str, line: int, message: str) -> SuiteError:
    return SuiteError(f"{file}:{line}: {message}")


# --- composing ------------------------------------------------------------------------------------

_TAG: Final = "tag:yaml.org,2002:"
_INT: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_TOO_DEEP: Final = f"nested more than {MAX_DEPTH} deep"
_TOO_MANY: Final = f"more than {MAX_NODES:,} values, with aliases expanded"
_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}


class _Loader(yaml.SafeLoader):
    """Composes nodes, with YAML 1.2's scalars, and counts what they would expand to."""

    yaml_implicit_resolvers: Any = {}  # noqa: RUF012  (PyYAML's own name for it)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.count = 0
        self.sizes: dict[int, tuple[int, int]] = {}  # id(node) -> nodes in it, and its depth

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self.depth += 1
        self.count += 1
        if self.depth > MAX_DEPTH:
            raise _fault(event, _TOO_DEEP)
        if self.count > MAX_NODES:
            raise _fault(event, _TOO_MANY)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if id(node) not in self.sizes:
            if isinstance(event, yaml.AliasEvent):  # to a node that is not whole yet
                raise _fault(event, f"*{event.anchor} contains itself")
            self.sizes[id(node)] = self._size(node, event)
        return node

    def _size(self, node: Any, event: Any) -> tuple[int, int]:
        children: Iterable[Any] = ()
        if isinstance(node, yaml.SequenceNode):
            children = node.value
        elif isinstance(node, yaml.MappingNode):
            children = (child for pair in node.value for child in pair)
        nodes, depth = 1, 1
        for child in children:
            inside, deep = self.sizes[id(child)]
            nodes, depth = nodes + inside, max(depth, deep + 1)
        if depth > MAX_DEPTH:
            raise _fault(event, _TOO_DEEP)
        if nodes > MAX_NODES:
            raise _fault(event, _TOO_MANY)
        return nodes, depth


for _kind, _pattern in (
    ("bool", "true|True|TRUE|false|False|FALSE"),
    ("null", "~|null|Null|NULL|"),
    ("int", _INT.pattern),
    ("float", _FLOAT.pattern),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(rf"(?:{_pattern})\Z"), None)


def _fault(event: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


# --- building -------------------------------------------------------------------------------------


def _build(node: Any, place: Place, lines: dict[Place, int], file: str) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, file)
    kind = "seq" if isinstance(node, yaml.SequenceNode) else "map"
    if node.tag != _TAG + kind:
        raise _tag_error(node, file)
    if kind == "seq":
        for index, child in enumerate(node.value):
            lines[(*place, index)] = child.start_mark.line + 1
        return [_build(child, (*place, index), lines, file) for index, child in enumerate(node.value)]
    mapping: dict[str, Any] = {}
    for key_node, child in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise _error(file, line, "a key must be a word")
        _scalar(key_node, file)
        key: str = key_node.value
        if key in mapping:
            raise _error(file, line, f"'{shorten(key)}' is given twice (before on line {lines[(*place, key)]})")
        lines[(*place, key)] = line
        mapping[key] = _build(child, (*place, key), lines, file)
    return mapping


def _scalar(node: Any, file: str) -> str | int | float | bool | None:
    text: str = node.value
    line = node.start_mark.line + 1
    kind = node.tag.removeprefix(_TAG)
    if kind == "str":
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise _error(file, line, "not valid YAML: half of a surrogate pair")
        return text
    if kind in ("bool", "null") and text in _CONSTANTS:
        return _CONSTANTS[text]
    if kind == "int" and _INT.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise _error(file, line, f"{shorten(text, 24)} has more than {MAX_DIGITS} digits")
        return int(text)
    if kind == "float" and _FLOAT.fullmatch(text):
        number = math.inf if text[-1].isalpha() else float(text)  # .inf and .nan are the ones that end in a letter
        if not math.isfinite(number):
            raise _error(file, line, f"{shorten(text)} is not a finite number")
        return number
    raise _tag_error(node, file)


def _tag_error(node: Any, file: str) -> SuiteError:
    shown = node.tag.replace(_TAG, "!!")
    return _error(file, node.start_mark.line + 1, f"the tag '{shorten(shown)}' is not allowed: a suite is plain data")
