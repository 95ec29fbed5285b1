"""A few of the inputs that `scripts/fuzz.py` tries by the hundred thousand, chosen by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convbench.errors import ConvbenchError, SuiteError
from convbench.suite import load_suite
from fuzz.mutations import WAYS, json_value, mutated
from fuzz.seeds import BOMBS, seeds
from fuzz.targets import TARGETS, refusable, told, written

EXAMPLES = {"run": 12, "suite": 15, "plugin": 8}


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_one_line_escapes(name: str) -> None:
    @settings(max_examples=EXAMPLES.get(name, 30))
    @given(st.randoms(use_true_random=False))
    def nearly_good(random: Random) -> None:
        TARGETS[name](mutated(name, random))

    @settings(max_examples=10)
    @given(st.binary(max_size=200))
    def any_bytes(raw: bytes) -> None:
        TARGETS[name](raw)

    nearly_good()
    any_bytes()


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "suite"])
def test_what_is_good_is_read(name: str) -> None:
    told.clear()
    TARGETS[name](seeds()[name][0])
    assert told == {"read": 1}


def test_a_shipped_suite_is_read() -> None:
    told.clear()
    for raw in seeds()["suite"][:3]:
        TARGETS["suite"](raw)
    assert told == {"read": 3}


@pytest.mark.parametrize("text", BOMBS, ids=[text[:40] for text in BOMBS])
def test_a_bomb_is_refused_before_it_goes_off(text: str) -> None:
    with pytest.raises(SuiteError) as refused:
        load_suite(written("bomb.yaml", text.encode()))
    assert str(refused.value).startswith(str(written("bomb.yaml", text.encode())))


def _raise(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("x"), AssertionError(), ConvbenchError("")])
def test_a_target_lets_nothing_else_pass(error: Exception) -> None:
    with pytest.raises((KeyError, ValueError, AssertionError)), refusable():
        _raise(error)()


def test_an_error_quotes_anything_in_one_line() -> None:
    error = ConvbenchError("a\nb\0c\ud800d " + "x" * 10_000)
    assert str(error).startswith("a b c d xxx")
    assert str(error).isprintable()
    assert len(str(error)) == 4000


def test_mutations_change_values_within() -> None:
    random = Random(0)
    found = {json_value(random, b'{"a": {"b": [1, 2]}}') for _ in range(300)}
    assert len(found) > 50
    assert any(raw.startswith(b'{"a": {"b": [') for raw in found)
    assert set(WAYS) == set(TARGETS) == set(seeds())
