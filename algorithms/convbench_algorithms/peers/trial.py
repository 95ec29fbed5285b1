"""A short race where a library offers several ways and does not tell which is fastest for a shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from typing import Any, Final

RACE_S: Final = 0.1
FEWEST_ROUNDS: Final = 5
MOST_ROUNDS: Final = 100
LEAD: Final = 0.97
"""What the time of a later way must be of the first one's, to be taken instead: a draw goes to the first."""


def fastest(ways: Mapping[str, Callable[[], Any]]) -> str:
    """The name of the way whose call takes least time; each is called in turn, after one call to warm up."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for call in ways.values():
        call()
    begin = perf_counter()
    for rounds in range(MOST_ROUNDS):
        if rounds >= FEWEST_ROUNDS and perf_counter() - begin > RACE_S:
            break
        for name, call in ways.items():
            start = perf_counter()
            call()
            times[name].append(perf_counter() - start)
    first, *others = ways
    best = min(others, key=lambda name: median(times[name]), default=first)
    return best if median(times[best]) < LEAD * median(times[first]) else first
