"""The direct kernels: weighted sums of shifted images, and the dot products that are their gradient.

Both take the flattened images and shifts of `phases.PhaseImages`. Taps are applied several at a
time, so that a partial sum is loaded and stored once for many multiply-adds, and output channels
several at a time, so that each element of x is loaded once for all of them. Partial sums stay in
the first-level cache for the whole of a filter.
"""

from __future__ import annotations

from typing import Final

from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import IndexMap

FLAGS: Final = {"contract", "reassoc", "nsz", "arcp"}
CHANNELS_AT_ONCE: Final = 4


@njit(parallel=True, nogil=True, cache=True, fastmath=FLAGS)
def sum_of_shifts(images: Array, w: Array, shifts: IndexMap, pitch: int, y: Array, sums: Array) -> None:
    """y [N,K,P,Q] = Σ_t w[k,t] · image shifted by shifts[t]; images [N,groups,·], w [K,T], shifts [T].

    `sums` [threads, CHANNELS_AT_ONCE, strip] holds each thread's partial sums.
    """
    N, K, P, Q = y.shape
    G = images.shape[1]
    KG = K // G
    threads, _, strip = sums.shape
    length = (P - 1) * pitch + Q
    strips = (length + strip - 1) // strip
    blocks = (KG + CHANNELS_AT_ONCE - 1) // CHANNELS_AT_ONCE
    units = N * G * strips * blocks
    for thread in prange(threads):
        # Channel blocks vary fastest: they all read the same strip of x, which stays in cache.
        for unit in range(units * thread // threads, units * (thread + 1) // threads):
            block = unit % blocks * CHANNELS_AT_ONCE
            start = unit // blocks % strips * strip
            g = unit // (blocks * strips) % G
            n = unit // (blocks * strips * G)
            size = min(strip, length - start)
            image = images[n, g, start:]
            first = g * KG + block
            count = min(KG - block, CHANNELS_AT_ONCE)
            if count == CHANNELS_AT_ONCE:
                _four_channels(image, w[first : first + count], shifts, sums[thread], size)
            else:
                for k in range(count):
                    _one_channel(image, w[first + k], shifts, sums[thread, k], size)
            for k in range(count):
                _drop_gaps(sums[thread, k], size, start, pitch, y[n, first + k])


@njit(nogil=True, cache=True, fastmath=FLAGS)
def _drop_gaps(sums: Array, size: int, start: int, pitch: int, y: Array) -> None:
    """Copy positions start … start+size of the pitched rows to y [P,Q], without columns Q … pitch."""
    _, Q = y.shape
    for p in range(start // pitch, (start + size - 1) // pitch + 1):
        first = max(start - p * pitch, 0)
        last = min(start + size - p * pitch, Q)
        if first < last:
            target = y[p, first:last]
            source = sums[p * pitch + first - start :]
            for q in range(last - first):
                target[q] = source[q]


@njit(nogil=True, cache=True, fastmath=FLAGS)
def _one_channel(image: Array, w: Array, shifts: IndexMap, sums: Array, size: int) -> None:
    """Sums[:size] = Σ_t w[t] · image[shifts[t] :], eight taps at a time."""
    T = len(shifts)
    zero = sums.dtype.type(0)
    t = 0
    while t + 8 <= T:
        w0, w1, w2, w3, w4, w5, w6, w7 = w[t], w[t + 1], w[t + 2], w[t + 3], w[t + 4], w[t + 5], w[t + 6], w[t + 7]
        x0, x1, x2, x3 = image[shifts[t] :], image[shifts[t + 1] :], image[shifts[t + 2] :], image[shifts[t + 3] :]
        x4, x5, x6, x7 = image[shifts[t + 4] :], image[shifts[t + 5] :], image[shifts[t + 6] :], image[shifts[t + 7] :]
        for j in range(size):
            before = sums[j] if t > 0 else zero
            near = w0 * x0[j] + w1 * x1[j] + w2 * x2[j] + w3 * x3[j]
            far = w4 * x4[j] + w5 * x5[j] + w6 * x6[j] + w7 * x7[j]
            sums[j] = before + (near + far)
        t += 8
    while t < T:
        w0 = w[t]
        x0 = image[shifts[t] :]
        for j in range(size):
            sums[j] = (sums[j] if t > 0 else zero) + w0 * x0[j]
        t += 1


@njit(nogil=True, cache=True, fastmath=FLAGS)
def _four_channels(image: Array, w: Array, shifts: IndexMap, sums: Array, size: int) -> None:
    """Sums[i,:size] = Σ_t w[i,t] · image[shifts[t] :] for four channels i, four taps at a time."""
    T = len(shifts)
    zero = sums.dtype.type(0)
    y0, y1, y2, y3 = sums[0], sums[1], sums[2], sums[3]
    t = 0
    while t + 4 <= T:
        a0, a1, a2, a3 = w[0, t], w[0, t + 1], w[0, t + 2], w[0, t + 3]
        b0, b1, b2, b3 = w[1, t], w[1, t + 1], w[1, t + 2], w[1, t + 3]
        c0, c1, c2, c3 = w[2, t], w[2, t + 1], w[2, t + 2], w[2, t + 3]
        d0, d1, d2, d3 = w[3, t], w[3, t + 1], w[3, t + 2], w[3, t + 3]
        x0, x1, x2, x3 = image[shifts[t] :], image[shifts[t + 1] :], image[shifts[t + 2] :], image[shifts[t + 3] :]
        for j in range(size):
            e0, e1, e2, e3 = x0[j], x1[j], x2[j], x3[j]
            y0[j] = (y0[j] if t > 0 else zero) + (a0 * e0 + a1 * e1 + a2 * e2 + a3 * e3)
            y1[j] = (y1[j] if t > 0 else zero) + (b0 * e0 + b1 * e1 + b2 * e2 + b3 * e3)
            y2[j] = (y2[j] if t > 0 else zero) + (c0 * e0 + c1 * e1 + c2 * e2 + c3 * e3)
            y3[j] = (y3[j] if t > 0 else zero) + (d0 * e0 + d1 * e1 + d2 * e2 + d3 * e3)
        t += 4
    while t < T:
        a0, b0, c0, d0 = w[0, t], w[1, t], w[2, t], w[3, t]
        x0 = image[shifts[t] :]
        for j in range(size):
            y0[j] = (y0[j] if t > 0 else zero) + a0 * x0[j]
            y1[j] = (y1[j] if t > 0 else zero) + b0 * x0[j]
            y2[j] = (y2[j] if t > 0 else zero) + c0 * x0[j]
            y3[j] = (y3[j] if t > 0 else zero) + d0 * x0[j]
        t += 1


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
