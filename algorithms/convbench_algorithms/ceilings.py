"""What this machine could do at most: the two ceilings of the roofline model, and what BLAS makes of the first.

Williams, Waterman & Patterson, "Roofline" (CACM 52, 2009): an algorithm that does f flops on b bytes of memory
takes at least max(f / multiply-add rate, b / bandwidth).
"""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads
from threadpoolctl import threadpool_limits

from convbench.algorithm import Array, MiB
from convbench_algorithms.emitter import emitted, lanes_of

SUMS: Final = 12
"""Independent sums: two units that take four cycles each keep eight busy, and AVX2 has registers for fourteen."""

ROUNDS: Final = 4_000_000  # some ten milliseconds
COPY_BYTES: Final = 128 * MiB  # several times what last-level caches hold
PRODUCT: Final = 1024
"""Rows and columns of the matrices that are multiplied."""
REPEATS: Final = 9


def measure_ceilings(threads: int, dtype: str = "float32") -> tuple[float, float, float]:
    """Multiply-adds in FLOP/s, bytes read and written a second by a copy, and a matrix product in FLOP/s.

    Of `threads` threads; in about a second.

    The best of a few tries: a ceiling is what the machine does when nothing disturbs it.
    """
    before = get_num_threads()
    set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            return _measured(threads, dtype)
    finally:
        set_num_threads(before)


def _measured(threads: int, dtype: str) -> tuple[float, float, float]:
    lanes = lanes_of(np.dtype(dtype).itemsize)
    factors = np.full((threads, lanes), 0.5, dtype)
    sums = np.zeros((threads, SUMS, lanes), dtype)
    source = np.zeros(COPY_BYTES // np.dtype(dtype).itemsize, dtype)
    target = np.zeros_like(source)
    _multiply_add(factors, sums, 1)
    _copy(source[:threads], target[:threads], threads)
    flops = 2.0 * threads * ROUNDS * SUMS * lanes
    matrix = np.full((PRODUCT, PRODUCT), 0.5, dtype)
    product = np.empty_like(matrix)
    return (
        flops / _fastest(lambda: _multiply_add(factors, sums, ROUNDS)),
        2.0 * COPY_BYTES / _fastest(lambda: _copy(source, target, threads)),
        2.0 * PRODUCT**3 / _fastest(lambda: np.matmul(matrix, matrix, out=product)),
    )


def _fastest(call: Any) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def _multiply_add_plain(factor: Array, sums: Array, rounds: int) -> None:
    for _ in range(rounds):
        for s in range(len(sums)):
            for lane in range(len(factor)):
                sums[s, lane] = sums[s, lane] * factor[lane] + factor[lane]


@emitted(_multiply_add_plain)
def multiply_add_block(e: Any, factor: Any, sums: Any, rounds: Any) -> None:
    """sums[s] = sums[s]·factor + factor, `rounds` times: multiply-adds that wait for nothing but one another."""
    constant = e.load(factor)
    kept = [e.variable(e.load(sums.at(s))) for s in range(SUMS)]
    with e.loop(rounds):
        for total in kept:
            total.set(e.fma(total.get(), constant, constant))
    for s, total in enumerate(kept):
        e.store(total.get(), sums.at(s))


@njit(nogil=True, cache=True, parallel=True)
def _multiply_add(factors: Array, sums: Array, rounds: int) -> None:
    for thread in prange(len(factors)):
        multiply_add_block(factors[thread], sums[thread], rounds)


@njit(nogil=True, cache=True, parallel=True)
def _copy(source: Array, target: Array, threads: int) -> None:
    for thread in prange(threads):
        first, last = len(source) * thread // threads, len(source) * (thread + 1) // threads
        target[first:last] = source[first:last]
