"""In what scopes the tests are dealt out to two processes, and in what order: a process runs a scope from end to end.

Tests that start runs pin processes to cores: all of them are one scope, so that none disturbs another. The tests of
the contract are a scope for each algorithm, whose kernels are then compiled in one process. The others go by file.
"""

from __future__ import annotations

import re
from functools import cache

from convbench.catalog import builtin

FIRST = ("runs", "tests/gpu/", "tests/contract/")


@cache
def _names() -> frozenset[str]:
    return frozenset(builtin())


@cache
def scope_of(nodeid: str) -> str:
    """A test's scope."""
    path, _, test = nodeid.partition("::")
    if path.startswith(("tests/runs/", "tests/faults/", "tests/gate/")):
        return "runs"
    if path.startswith("tests/contract/"):
        named = next((word for word in re.split(r"\W+", test) if word in _names()), None)
        return f"tests/contract/{named.removesuffix('_from_host')}" if named else path
    return path


def rank(nodeid: str) -> int:
    """The place of its scope among those that are begun first, because they take longest."""
    scope = scope_of(nodeid)
    return next((place for place, start in enumerate(FIRST) if scope.startswith(start)), len(FIRST))
