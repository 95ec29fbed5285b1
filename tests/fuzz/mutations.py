"""Inputs that are nearly good: bytes cut, doubled and flipped, and values of JSON and YAML swapped for nasty ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any, Final

import yaml

from convbench.result import Block
from fuzz.seeds import seeds
from fuzz.targets import CUT

NASTY: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 2**31 - 1, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.0, -0.0, 0.5, -1.5,
    1e-308, 5e-324, 1e308, -1e308, 1e-12, float("nan"), float("inf"), float("-inf"), "NaN", "Infinity", "", " ",
    "x", "0", "1e999", "direct", "fft", "cpu", "cuda", "passed", "crashed", "../../up", "/tmp/absolute", "a/b",
    "C:\\x", ".", "..", "a\0b", "a\nb", "\u2028", "\u202e", "é😀", "\ud800", "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>", "' onmouseover='x", "</script><script>x", "{{ 7*7 }}", "{% raw %}", "$x^2$",
    "[red]x[/]", "[/", "%s%n", "`x`", "|", "x" * 300, "x" * 100_000, [], {}, [[]], [1, 2], [None], {"": ""},
    {"x": 1}, {"a": {"b": {"c": [1]}}}, "n1c1h9w9k1r3s3", "n1c1h2147483647w2147483647k1r1s1", "same", "float64",
    "strict", "tf32",
)  # fmt: skip
WORDS: Final = (
    b"", b"\0", b"\n", b"\r", b"\t", b"  ", b"- ", b": ", b"? ", b"&a ", b"*a", b"!!python/name:os.system ", b"!x ",
    b"| ", b"> ", b"---\n", b"...", b"%YAML 9.9\n", b"[", b"]", b"{", b"}", b"'", b'"', b",", b"#", b"1e400",
    b".inf", b".nan", b"-1", b"9" * 40, b"9" * 5000, b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\\ud800", b"\\x",
    b"null", b"true", b"~", b"NaN", b"Infinity", b"+", b"=", b"x", b"*4",
)  # fmt: skip

Mutation = Callable[[Random, bytes], bytes]


def mutated(target: str, random: Random) -> bytes:
    """An input for a target."""
    raw = random.choice(seeds()[target])
    for _ in range(random.choice((1, 1, 1, 1, 2, 5))):
        raw = random.choice(WAYS[target])(random, raw)
    return raw


# --- bytes ------------------------------------------------------------------------------------------


def cut(random: Random, raw: bytes) -> bytes:
    """A piece left out, doubled, moved, or replaced by a word."""
    start = random.randrange(len(raw) + 1)
    end = min(start + random.choice((0, 1, 2, 5, 20, 200)), len(raw))
    other = random.randrange(len(raw) + 1)
    piece = random.choice(
        (b"", raw[start:end] * 2, random.choice(WORDS), raw[other : other + end - start], random.randbytes(3))
    )
    return raw[:start] + piece + raw[end:]


def flip(random: Random, raw: bytes) -> bytes:
    """One byte another one."""
    if not raw:
        return random.randbytes(1)
    at = random.randrange(len(raw))
    return (
        raw[:at] + random.choice((bytes([raw[at] ^ (1 << random.randrange(8))]), random.randbytes(1))) + raw[at + 1 :]
    )


def torn(random: Random, raw: bytes) -> bytes:
    """Cut short."""
    return raw[: random.randrange(len(raw) + 1)]


def lines(random: Random, raw: bytes) -> bytes:
    """A line left out, doubled, or elsewhere."""
    found = raw.splitlines(keepends=True) or [b""]
    line = found.pop(random.randrange(len(found)))
    for _ in range(random.randrange(3)):
        found.insert(random.randrange(len(found) + 1), line)
    return b"".join(found)


def number(random: Random, raw: bytes) -> bytes:
    """A digit's run replaced by another number."""
    digits = [at for at, byte in enumerate(raw) if 48 <= byte <= 57]
    if not digits:
        return raw
    start = end = random.choice(digits)
    while end < len(raw) and 48 <= raw[end] <= 57:
        end += 1
    return (
        raw[:start]
        + str(random.choice((0, 1, 2, 9, 64, 4096, 99999, 2**31 - 1, 2**31, 10**18, -1, 1.5))).encode()
        + raw[end:]
    )


# --- values -----------------------------------------------------------------------------------------


def nasty(random: Random, data: Any) -> Any:
    """The data with one value of it, anywhere, lost, doubled, exchanged, or nasty."""
    if not isinstance(data, dict | list) or not data or random.random() < 0.08:
        alike = [one for one in NASTY if type(one) is type(data)]
        return random.choice(alike if alike and random.random() < 0.6 else NASTY)
    key = random.choice(list(data) if isinstance(data, dict) else range(len(data)))
    changed = data.copy()
    way = random.random()
    if way < 0.06:
        changed.pop(key)
    elif way < 0.1 and isinstance(changed, list):
        changed *= random.choice((2, 2, 50))
    elif way < 0.1:
        changed[str(random.choice(NASTY))] = data[key]
    elif way < 0.16:
        changed[key] = data[random.choice(list(data) if isinstance(data, dict) else range(len(data)))]
    else:
        changed[key] = nasty(random, data[key])
    return changed


def json_value(random: Random, raw: bytes) -> bytes:
    """A JSON document with another value."""
    return _as_json(nasty(random, json.loads(raw))) if _is_json(raw) else cut(random, raw)


def run_value(random: Random, raw: bytes) -> bytes:
    """A run with another value in run.json, or in one or all lines of its journal."""
    info, _, journal = raw.partition(CUT)
    found = journal.split(b"\n")
    if random.random() < 0.5 or not all(map(_is_json, filter(None, found))):
        return json_value(random, info) + CUT + journal
    if random.random() < 0.7:
        at = random.randrange(len(found))
        found[at] = json_value(random, found[at])
    else:
        key, value = random.choice(sorted(Block.model_fields)), random.choice(NASTY)
        found = [_as_json({**json.loads(line), key: value}) if line.startswith(b"{") else line for line in found]
    return info + CUT + b"\n".join(found)


def yaml_value(random: Random, raw: bytes) -> bytes:
    """A YAML document with another value."""
    try:
        text = yaml.dump(nasty(random, _plain(raw)), allow_unicode=True, sort_keys=False, Dumper=yaml.SafeDumper)
    except (yaml.YAMLError, ValueError, RecursionError):
        return cut(random, raw)
    return text.encode("utf-8", "surrogatepass")


@cache
def _plain(raw: bytes) -> Any:
    return yaml.safe_load(raw)


def _is_json(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True


def _as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


_BYTES: Final[Sequence[Mutation]] = (cut, flip, torn, number)
WAYS: Final[dict[str, Sequence[Mutation]]] = {
    "spec": (cut, cut, number, number, flip),
    "suite": (*_BYTES, lines, number, yaml_value, yaml_value, yaml_value),
    "table": (*_BYTES, lines, number),
    "journal": (*_BYTES, lines),
    "run": (cut, lines, number, *[run_value] * 9),
    "plugin": (cut, flip, torn),
    "metadata": (cut, *[json_value] * 5),
    "image": (cut, flip, flip, flip, torn),
    "dispatch": (cut, torn, number, *[json_value] * 5),
}
