"""Deriche's recursion along lines of vectors: down, and, its sums added to the first one's, up again."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from numba import njit

from convbench.algorithm import Array
from convbench_algorithms.compilation_cache import named
from convbench_algorithms.emitter import Emitter, Int, emitted, lanes_of

SECTIONS: Final = 2
BLOCK: Final = 16
"""Positions between two looks for states that have faded out: at σ 1, they fall by a factor of 6 in each."""
FAINT: Final = 2**40
"""Multiples of the least normal number: fewer than a state can fall by in a block."""


def _recurse_plain(
    lines: Any, first: int, last: int, weights: Any, states: Any, sums: Any, shift: int,
    vectors: int, upward: int, keep: int,
) -> None:  # fmt: skip
    width = lanes_of(lines.itemsize) * vectors
    least = FAINT * np.finfo(lines.dtype).tiny
    for i in range(last - first):
        position = last - 1 - i if upward else first + i
        for lane in range(width):
            x, total = lines[position, lane], lines.dtype.type(0)
            if upward and keep:
                total = sums[position - shift, lane]
            for section in range(len(weights)):
                beta, rho, of_s, of_d = weights[section]
                s, d = states[section, 0, lane], states[section, 1, lane]
                if upward:
                    total += of_s * s + of_d * d
                d = rho * d + x - s
                s += beta * d
                if not upward:
                    total += of_s * s + of_d * d
                states[section, 0, lane] = s if abs(s) >= least else 0
                states[section, 1, lane] = d if abs(d) >= least else 0
            if keep:
                sums[position - shift, lane] = total


@emitted(_recurse_plain)
def recurse(
    e: Emitter, lines: Any, first: Int, last: Int, weights: Any, states: Any, sums: Any, shift: Int,
    vectors: int, upward: int, keep: int,
) -> None:  # fmt: skip
    """Both sections of one direction over positions first … last−1, from `states` on, which are left as they end.

    sums[i − shift] is set (downwards), or added to (`upward`), if `keep`. lines [positions,width], weights [2,4] as in
    `deriche.sections`, states [2,2,width], sums [positions,width], width = lanes·vectors. The last three are constants.
    """
    weight = [[e.broadcast(weights.at(section), j) for j in range(4)] for section in range(SECTIONS)]
    places = [
        [(states.at(section, 0) + v * e.lanes, states.at(section, 1) + v * e.lanes) for section in range(SECTIONS)]
        for v in range(vectors)
    ]
    state = [[[e.variable(e.load(place)) for place in pair] for pair in of_vector] for of_vector in places]
    count = last - first
    least = FAINT * float(np.finfo(f"float{8 * e.itemsize}").tiny)
    with e.loop(count, step=BLOCK) as begin:
        with e.loop((begin + BLOCK).minimum(count), start=begin, unroll=False) as i:
            position = last - 1 - i if upward else first + i
            line, target = lines.at(position), sums.at(position - shift)
            for v in range(vectors):
                x = e.load(line, v * e.lanes)
                total = e.load(target, v * e.lanes) if upward and keep else e.constant(0.0)
                for (beta, rho, of_s, of_d), (slow, fast) in zip(weight, state[v], strict=True):
                    s, d = slow.get(), fast.get()
                    if upward:
                        total = e.fma(of_d, d, e.fma(of_s, s, total))
                    d = e.fma(rho, d, x) - s  # the product does not wait for s
                    s = e.fma(beta, d, s)
                    if not upward:
                        total = e.fma(of_d, d, e.fma(of_s, s, total))
                    slow.set(s)
                    fast.set(d)
                if keep:
                    e.store(total, target, v * e.lanes)
        # What fades on and on ends as denormal numbers, which take many times as long.
        for variable in (variable for of_vector in state for pair in of_vector for variable in pair):
            variable.set(e.without_faint(variable.get(), least))
    for of_vector, there in zip(state, places, strict=True):
        for pair, both in zip(of_vector, there, strict=True):
            for variable, place in zip(pair, both, strict=True):
                e.store(variable.get(), place)


@cache
def along_lines(vectors: int) -> Any:
    """sums[i] = Σ_t h(t)·lines[i + reach + t], for `two_passes.kernel`: `taps` is 2·reach + 1, `work` the states."""

    def recursion(lines: Array, outputs: int, taps: int, _: int, weights: Array, work: Array, sums: Array) -> None:
        reach = taps // 2
        end, total = reach + outputs, outputs + taps - 1
        states = work.reshape((SECTIONS, 2, lines.shape[1]))
        # What lies before the first line is taken to be like it: of a constant, s is that constant, and d nothing.
        states[:, 0], states[:, 1] = lines[0], 0
        recurse(lines, 0, reach, weights[0], states, sums, reach, vectors, 0, 0)
        recurse(lines, reach, end, weights[0], states, sums, reach, vectors, 0, 1)
        states[:, 0], states[:, 1] = lines[total - 1], 0
        recurse(lines, end, total, weights[1], states, sums, reach, vectors, 1, 0)
        recurse(lines, reach, end, weights[1], states, sums, reach, vectors, 1, 1)

    return njit(nogil=True, cache=True, error_model="numpy")(named(recursion, vectors))
