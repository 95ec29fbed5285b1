"""Copying every v-th element of a row, in vectors for the steps that networks have: 1 and 2."""

from __future__ import annotations

from typing import Any

from numba import njit

from convbench.algorithm import Array
from convbench_algorithms.emitter import emitted


def _copy_plain(source: Array, target: Array, count: int, step: int) -> None:
    for i in range(count):
        target[i] = source[i * step]


@emitted(_copy_plain)
def _copy(e: Any, source: Any, target: Any, count: Any, step: Any) -> None:
    whole = count // e.lanes * e.lanes
    rest = e.first_lanes(count - whole)
    with e.when(step.compare("==", 1)):
        with e.loop(whole, step=e.lanes) as i:
            e.store(e.load(source, i), target, i)
        with e.when(count.compare(">", whole)):
            e.store_masked(rest, e.load_masked(rest, source, whole), target, whole)
    with e.when(step.compare("==", 2)):
        even = range(0, 2 * e.lanes, 2)
        with e.loop(count, step=e.lanes) as i:
            # 2·count − 1 elements are there to be read: the last pair has no second.
            near, far = (e.first_lanes((count - i) * 2 - 1 - half) for half in (0, e.lanes))
            pair = e.load_masked(near, source, i * 2), e.load_masked(far, source, i * 2 + e.lanes)
            e.store_masked(e.first_lanes(count - i), e.shuffle(*pair, list(even)), target, i)


@njit(nogil=True, cache=True)
def copy_strided(source: Array, target: Array, count: int, step: int) -> None:
    """target[i] = source[i·step] for i < count."""
    if step <= 2:
        _copy(source, target, count, step)
    else:
        for i in range(count):
            target[i] = source[i * step]
