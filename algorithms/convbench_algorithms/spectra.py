"""Sums over channels in the frequency domain, where a convolution is a product at each frequency."""

from __future__ import annotations

from typing import Final

from numba import njit, prange

from convbench.algorithm import Array

# Frequencies taken together: long enough for vector units, short enough that a block of one filter's
# channels stays in the first-level cache while all tiles of a batch pass by it.
BLOCK: Final = 64
DEPTHWISE_BLOCK: Final = 4096  # just a thread's share: nothing is used twice


FAST: Final = {"contract", "reassoc", "nsz", "arcp"}


@njit(nogil=True, cache=True, fastmath=FAST)
def _sum_block(block: int, x: Array, w: Array, y: Array) -> None:
    B, C, F = x.shape
    K, D, _ = w.shape  # D = C/groups
    filters = K // (C // D)  # in a group
    first = block * BLOCK
    last = min(first + BLOCK, F)
    for k in range(K):
        c0 = k // filters * D
        for b in range(B):
            total = y[b, k, first:last]
            x0 = x[b, c0, first:last]
            w0 = w[k, 0, first:last]
            for f in range(len(total)):
                total[f] = x0[f] * w0[f]
            # Four channels at a time, so that each sum is loaded and stored a quarter as often.
            d = 1
            while d + 4 <= D:
                x0 = x[b, c0 + d, first:last]
                x1 = x[b, c0 + d + 1, first:last]
                x2 = x[b, c0 + d + 2, first:last]
                x3 = x[b, c0 + d + 3, first:last]
                w0 = w[k, d, first:last]
                w1 = w[k, d + 1, first:last]
                w2 = w[k, d + 2, first:last]
                w3 = w[k, d + 3, first:last]
                for f in range(len(total)):
                    total[f] += (x0[f] * w0[f] + x1[f] * w1[f]) + (x2[f] * w2[f] + x3[f] * w3[f])
                d += 4
            while d < D:
                x0 = x[b, c0 + d, first:last]
                w0 = w[k, d, first:last]
                for f in range(len(total)):
                    total[f] += x0[f] * w0[f]
                d += 1


@njit(nogil=True, cache=True, fastmath=FAST)
def _multiply_block(block: int, x: Array, w: Array) -> None:
    B, C, F = x.shape
    first = block * DEPTHWISE_BLOCK
    last = min(first + DEPTHWISE_BLOCK, F)
    for c in range(C):
        factors = w[c, 0, first:last]
        for b in range(B):
            values = x[b, c, first:last]
            for f in range(len(values)):
                values[f] *= factors[f]


# Each kernel twice: for one of several threads, and spread over all of them. They are written out, since
# Numba's cache would take two compilations of one function for the same.


@njit(nogil=True, cache=True)
def channel_sums(x: Array, w: Array, y: Array) -> None:
    """y [B,K,F] = Σ_c x [B,C,F] · w [K,C/groups,F], over the channels c of k's group, all complex."""
    for block in range((x.shape[2] + BLOCK - 1) // BLOCK):
        _sum_block(block, x, w, y)


@njit(nogil=True, cache=True, parallel=True)
def parallel_channel_sums(x: Array, w: Array, y: Array) -> None:
    """`channel_sums` by all threads."""
    for block in prange((x.shape[2] + BLOCK - 1) // BLOCK):
        _sum_block(block, x, w, y)


@njit(nogil=True, cache=True)
def depthwise_products(x: Array, w: Array) -> None:
    """x [B,C,F] *= w [C,1,F]: the sums of one channel each, in place, since they need no second array."""
    for block in range((x.shape[2] + DEPTHWISE_BLOCK - 1) // DEPTHWISE_BLOCK):
        _multiply_block(block, x, w)


@njit(nogil=True, cache=True, parallel=True)
def parallel_depthwise_products(x: Array, w: Array) -> None:
    """`depthwise_products` by all threads."""
    for block in prange((x.shape[2] + DEPTHWISE_BLOCK - 1) // DEPTHWISE_BLOCK):
        _multiply_block(block, x, w)
