"""A line dealt out to m lines, every m-th element to the same one, and woven back.

Unrolled for the usual m: with the number known, LLVM turns the strides into shuffles of vectors.
"""

from __future__ import annotations

from numba import njit

from convbench.algorithm import Array


@njit(nogil=True, cache=True)
def deal(line: Array, lines: Array, count: int) -> None:
    """lines[j, t] = line[t·m + j] for t < `count`; lines [m,≥count], line [≥m·count]."""
    m = len(lines)
    if m == 2:
        a, b = lines[0], lines[1]
        for t in range(count):
            a[t] = line[2 * t]
            b[t] = line[2 * t + 1]
    elif m == 4:
        a, b, c, d = lines[0], lines[1], lines[2], lines[3]
        for t in range(count):
            a[t] = line[4 * t]
            b[t] = line[4 * t + 1]
            c[t] = line[4 * t + 2]
            d[t] = line[4 * t + 3]
    elif m == 6:
        a, b, c = lines[0], lines[1], lines[2]
        d, e, f = lines[3], lines[4], lines[5]
        for t in range(count):
            a[t] = line[6 * t]
            b[t] = line[6 * t + 1]
            c[t] = line[6 * t + 2]
            d[t] = line[6 * t + 3]
            e[t] = line[6 * t + 4]
            f[t] = line[6 * t + 5]
    else:
        for j in range(m):
            a = lines[j]
            for t in range(count):
                a[t] = line[m * t + j]


@njit(nogil=True, cache=True)
def weave(lines: Array, line: Array, count: int) -> None:
    """line[t·m + j] = lines[j, t] for t < `count`: the inverse of `deal`."""
    m = len(lines)
    if m == 2:
        a, b = lines[0], lines[1]
        for t in range(count):
            line[2 * t] = a[t]
            line[2 * t + 1] = b[t]
    elif m == 4:
        a, b, c, d = lines[0], lines[1], lines[2], lines[3]
        for t in range(count):
            line[4 * t] = a[t]
            line[4 * t + 1] = b[t]
            line[4 * t + 2] = c[t]
            line[4 * t + 3] = d[t]
    elif m == 6:
        a, b, c = lines[0], lines[1], lines[2]
        d, e, f = lines[3], lines[4], lines[5]
        for t in range(count):
            line[6 * t] = a[t]
            line[6 * t + 1] = b[t]
            line[6 * t + 2] = c[t]
            line[6 * t + 3] = d[t]
            line[6 * t + 4] = e[t]
            line[6 * t + 5] = f[t]
    else:
        for j in range(m):
            a = lines[j]
            for t in range(count):
                line[m * t + j] = a[t]
