"""The gradient for the weights as dot products of dy with shifted images (`phases.PhaseImages`).

Four taps and four output channels at a time: each element of x and of dy is loaded once for four products.
"""

from __future__ import annotations

from typing import Final

from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import IndexMap

FLAGS: Final = {"contract", "reassoc", "nsz", "arcp"}


@njit(parallel=True, nogil=True, cache=True, fastmath=FLAGS)
def dots_with_shifts(images: Array, dy: Array, shifts: IndexMap, pitch: int, dw: Array, threads: int) -> None:
    """dw [K,T] = Σ over N, P and Q of dy [N,K,P,Q] · image shifted by shifts[t], four by four."""
    _, K, _, _ = dy.shape
    G = images.shape[1]
    KG = K // G
    T = len(shifts)
    channel_blocks = (KG + 3) // 4
    tap_blocks = (T + 3) // 4
    units = G * channel_blocks * tap_blocks
    for thread in prange(threads):
        for unit in range(units * thread // threads, units * (thread + 1) // threads):
            t = unit % tap_blocks * 4
            k = unit // tap_blocks % channel_blocks * 4
            g = unit // (tap_blocks * channel_blocks)
            if KG - k >= 4:
                _four_by_four(images, dy, shifts, pitch, dw, g, g * KG + k, t)
            else:
                for i in range(k, KG):
                    _one_by_four(images, dy, shifts, pitch, dw, g, g * KG + i, t)


@njit(nogil=True, cache=True, fastmath=FLAGS)
def _one_by_four(images: Array, dy: Array, shifts: IndexMap, pitch: int, dw: Array, g: int, k: int, t: int) -> None:
    N, _, P, Q = dy.shape
    T = len(shifts)
    # Past the last tap, it is computed again: simpler than three kernels for what is left over.
    t1, t2, t3 = min(t + 1, T - 1), min(t + 2, T - 1), min(t + 3, T - 1)
    zero = dw.dtype.type(0)
    a0, a1, a2, a3 = zero, zero, zero, zero
    for n in range(N):
        for p in range(P):
            image = images[n, g, p * pitch :]
            x0, x1, x2, x3 = image[shifts[t] :], image[shifts[t1] :], image[shifts[t2] :], image[shifts[t3] :]
            d0 = dy[n, k, p]
            for q in range(Q):
                a0 += d0[q] * x0[q]
                a1 += d0[q] * x1[q]
                a2 += d0[q] * x2[q]
                a3 += d0[q] * x3[q]
    dw[k, t], dw[k, t1], dw[k, t2], dw[k, t3] = a0, a1, a2, a3


@njit(nogil=True, cache=True, fastmath=FLAGS)
def _four_by_four(images: Array, dy: Array, shifts: IndexMap, pitch: int, dw: Array, g: int, k: int, t: int) -> None:
    N, _, P, Q = dy.shape
    T = len(shifts)
    t1, t2, t3 = min(t + 1, T - 1), min(t + 2, T - 1), min(t + 3, T - 1)
    zero = dw.dtype.type(0)
    a0, a1, a2, a3 = zero, zero, zero, zero
    b0, b1, b2, b3 = zero, zero, zero, zero
    c0, c1, c2, c3 = zero, zero, zero, zero
    d0, d1, d2, d3 = zero, zero, zero, zero
    for n in range(N):
        for p in range(P):
            image = images[n, g, p * pitch :]
            x0, x1, x2, x3 = image[shifts[t] :], image[shifts[t1] :], image[shifts[t2] :], image[shifts[t3] :]
            y0, y1, y2, y3 = dy[n, k, p], dy[n, k + 1, p], dy[n, k + 2, p], dy[n, k + 3, p]
            for q in range(Q):
                e0, e1, e2, e3 = x0[q], x1[q], x2[q], x3[q]
                a0 += y0[q] * e0
                a1 += y0[q] * e1
                a2 += y0[q] * e2
                a3 += y0[q] * e3
                b0 += y1[q] * e0
                b1 += y1[q] * e1
                b2 += y1[q] * e2
                b3 += y1[q] * e3
                c0 += y2[q] * e0
                c1 += y2[q] * e1
                c2 += y2[q] * e2
                c3 += y2[q] * e3
                d0 += y3[q] * e0
                d1 += y3[q] * e1
                d2 += y3[q] * e2
                d3 += y3[q] * e3
    dw[k, t], dw[k, t1], dw[k, t2], dw[k, t3] = a0, a1, a2, a3
    dw[k + 1, t], dw[k + 1, t1], dw[k + 1, t2], dw[k + 1, t3] = b0, b1, b2, b3
    dw[k + 2, t], dw[k + 2, t1], dw[k + 2, t2], dw[k + 2, t3] = c0, c1, c2, c3
    dw[k + 3, t], dw[k + 3, t1], dw[k + 3, t2], dw[k + 3, t3] = d0, d1, d2, d3
