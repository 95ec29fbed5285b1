"""Copying every v-th element of a row, in vectors where v is 1, 2 or 4."""

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
    for v in (1, 2, 4):
        with e.when(step.compare("==", v)):
            # The last group is not whole: (count − 1)·v + 1 elements are there to be read.
            end = count * v - (v - 1)
            whole = end // (v * e.lanes) * e.lanes
            with e.loop(whole, step=e.lanes) as i:
                e.store(phases_of(e, [e.load(source, i * v + j * e.lanes) for j in range(v)])[0], target, i)
            with e.loop(count, start=whole, step=e.lanes) as i:
                places = [i * v + j * e.lanes for j in range(v)]
                loaded = [e.load_masked(e.first_lanes(end - place), source, place) for place in places]
                e.store_masked(e.first_lanes(count - i), phases_of(e, loaded)[0], target, i)


def phases_of(e: Any, vectors: list[Any]) -> list[Any]:
    """Vector b of the result holds elements b, b + v, b + 2v, … of the v given ones; v is a power of two."""
    if len(vectors) == 1:
        return vectors
    pairs = list(zip(vectors[::2], vectors[1::2], strict=True))
    halves = [phases_of(e, [e.shuffle(a, b, list(range(odd, 2 * e.lanes, 2))) for a, b in pairs]) for odd in (0, 1)]
    return [phase for both in zip(*halves, strict=True) for phase in both]


@njit(nogil=True, cache=True)
def copy_strided(source: Array, target: Array, count: int, step: int) -> None:
    """target[i] = source[i·step] for i < count."""
    if step in (1, 2, 4):
        _copy(source, target, count, step)
    else:
        for i in range(count):
            target[i] = source[i * step]
