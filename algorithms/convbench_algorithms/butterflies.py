"""Discrete Fourier transforms of a few points, whole vectors at a time, as they are emitted into FFT passes.

A complex number is a pair of vectors, its real and its imaginary parts: no lane ever meets another. The inverse
transform needs no code of its own: i·conj(z) is z with its parts exchanged, so exchanging them before and after
the forward transform makes it the inverse one (Duhamel, Piron & Etcheto, IEEE Trans. ASSP 36, 1988).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from convbench_algorithms.emitter import Emitter, Vector

Complex = tuple[Vector, Vector]

RADICES: Final = (2, 3, 4, 5, 6, 8, 10, 12, 16)
"""As many points as 32 registers hold in one go; any of them may follow any other."""


def dft(e: Emitter, x: Sequence[Complex]) -> list[Complex]:
    """X[q] = Σ_k x[k]·exp(−2πi·kq/n) for n of 1 … 5 or a product of those: Cooley and Tukey, in registers."""
    n = len(x)
    if n in _SMALL:
        return _SMALL[n](e, x)
    inner = next(factor for factor in (4, 3, 5, 2) if n % factor == 0)
    outer = n // inner
    # k = j + outer·i and q = p + inner·s: transforms over i, rotations by exp(−2πi·jp/n), transforms over j.
    parts = [dft(e, x[j::outer]) for j in range(outer)]
    turned = [[_rotated(e, parts[j][p], j * p, n) for j in range(outer)] for p in range(inner)]
    columns = [dft(e, row) for row in turned]
    return [columns[q % inner][q // inner] for q in range(n)]


def product(e: Emitter, a: Complex, b: Complex) -> Complex:
    """a·b."""
    return e.fma(a[0], b[0], -(a[1] * b[1])), e.fma(a[0], b[1], a[1] * b[0])


def _rotated(e: Emitter, z: Complex, k: int, n: int) -> Complex:
    """z·exp(−2πi·k/n); by a quarter of the circle for nothing, by an eighth with one product for each part."""
    k %= n
    if 4 * k >= n:
        return _rotated(e, (z[1], -z[0]), 4 * k - n, 4 * n)  # (4k − n)/4n is k/n less a quarter
    if k == 0:
        return z
    if 8 * k == n:
        half = e.constant(math.sqrt(0.5))
        return (z[0] + z[1]) * half, (z[1] - z[0]) * half
    angle = 2 * math.pi * k / n
    return product(e, z, (e.constant(math.cos(angle)), e.constant(-math.sin(angle))))


def _plus(a: Complex, b: Complex) -> Complex:
    return a[0] + b[0], a[1] + b[1]


def _minus(a: Complex, b: Complex) -> Complex:
    return a[0] - b[0], a[1] - b[1]


def _plus_i_times(e: Emitter, a: Complex, factor: float, b: Complex) -> Complex:
    """a + i·factor·b."""
    return e.fma(e.constant(-factor), b[1], a[0]), e.fma(e.constant(factor), b[0], a[1])


def _plus_times(e: Emitter, a: Complex, factor: float, b: Complex) -> Complex:
    """a + factor·b."""
    real = e.constant(factor)
    return e.fma(real, b[0], a[0]), e.fma(real, b[1], a[1])


def _one(_: Emitter, x: Sequence[Complex]) -> list[Complex]:
    return list(x)


def _two(_: Emitter, x: Sequence[Complex]) -> list[Complex]:
    return [_plus(x[0], x[1]), _minus(x[0], x[1])]


def _three(e: Emitter, x: Sequence[Complex]) -> list[Complex]:
    total, difference = _plus(x[1], x[2]), _minus(x[1], x[2])
    middle = _plus_times(e, x[0], -0.5, total)
    sine = math.sqrt(0.75)
    return [
        _plus(x[0], total),
        _plus_i_times(e, middle, -sine, difference),
        _plus_i_times(e, middle, sine, difference),
    ]


def _four(_: Emitter, x: Sequence[Complex]) -> list[Complex]:
    even, odd = _plus(x[0], x[2]), _minus(x[0], x[2])
    total, difference = _plus(x[1], x[3]), _minus(x[1], x[3])
    turned = difference[1], -difference[0]
    return [_plus(even, total), _plus(odd, turned), _minus(even, total), _minus(odd, turned)]


def _five(e: Emitter, x: Sequence[Complex]) -> list[Complex]:
    cosines = [math.cos(2 * math.pi * k / 5) for k in (1, 2)]
    sines = [math.sin(2 * math.pi * k / 5) for k in (1, 2)]
    totals = [_plus(x[1], x[4]), _plus(x[2], x[3])]
    differences = [_minus(x[1], x[4]), _minus(x[2], x[3])]
    near = _plus_times(e, _plus_times(e, x[0], cosines[0], totals[0]), cosines[1], totals[1])
    far = _plus_times(e, _plus_times(e, x[0], cosines[1], totals[0]), cosines[0], totals[1])
    # The sums of sines, divided by sin 72°, which the last additions multiply by.
    ratio = sines[1] / sines[0]
    inner = _plus_times(e, differences[0], ratio, differences[1])
    scaled = tuple(e.constant(ratio) * part for part in differences[0])
    outer = _minus((scaled[0], scaled[1]), differences[1])
    return [
        _plus(_plus(x[0], totals[0]), totals[1]),
        _plus_i_times(e, near, -sines[0], inner),
        _plus_i_times(e, far, -sines[0], outer),
        _plus_i_times(e, far, sines[0], outer),
        _plus_i_times(e, near, sines[0], inner),
    ]


_SMALL: Final = {1: _one, 2: _two, 3: _three, 4: _four, 5: _five}
