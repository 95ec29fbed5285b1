"""The three kernels of Winograd convolution: into frequencies, the products, and back.

Every transform is a small matrix product over lanes of tiles, so `multiply` does them all.
"""

from __future__ import annotations

from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap
from convbench.spec import Pair
from convbench_algorithms.block_product import multiply

Arrays = tuple[Array, Array]
Maps = tuple[IndexMap, IndexMap]
Window = tuple[int, int, int, int]


@njit(parallel=True, nogil=True, cache=True)
def transform_tiles(
    x: Array,
    segments: IndexMap,
    maps: Maps,
    left: int,
    m: Pair,
    window: Window,
    lanes: int,
    B: Arrays,
    starts: Maps,
    scratch: Array,
    V: Array,
) -> None:
    """V [α_h·α_w,C,pitch] = Bᵀ d B of the tiles d in x [N,C,H,W]; segment i begins at lane i·`lanes`.

    `segments` [·,3] are image, tile row and tile column; `B` the two Bᵀ [α,α]; see `Tiles` for the rest.
    """
    C = x.shape[1]
    rows, cols = maps
    tile_rows, tile_cols, halo_rows, halo_cols = window
    width = tile_cols + halo_cols
    B_h, B_w = B
    starts_h, starts_w = starts
    threads = len(scratch)
    total = len(segments) * C
    for thread in prange(threads):
        phases = scratch[thread, 0]
        halfway = scratch[thread, 1]
        for unit in range(thread * total // threads, (thread + 1) * total // threads):
            segment = unit // C
            c = unit % C
            n, top, first = segments[segment]
            here = left - first * m[1]
            _split(x[n, c], rows[top * m[0] :], cols[first * m[1] :], here, m, tile_rows + halo_rows, width, phases)
            for j in range(m[1]):
                multiply(B_h, phases[j:].reshape(-1), starts_h, halfway[j :: m[1]], tile_rows * width)
            for a in range(len(B_h)):
                by_frequency = V[a * len(B_w) : (a + 1) * len(B_w), c, segment * lanes :]
                multiply(B_w, halfway[a * m[1] :].reshape(-1), starts_w, by_frequency, lanes)


@njit(nogil=True, cache=True)
def _split(
    x: Array, rows: IndexMap, cols: IndexMap, left: int, m: Pair, tile_rows: int, width: int, phases: Array
) -> None:
    """Phases [m_h·m_w,·] of the padded x [H,W], as `rows` and `cols` map it; x begins at padded column `left`."""
    W = x.shape[1]
    m_h, m_w = m
    for row in range(tile_rows * m_h):
        source = rows[row]
        start = row // m_h * width
        for j in range(m_w):
            target = phases[row % m_h * m_w + j, start : start + width]
            if source == OUTSIDE:
                target[:] = 0
                continue
            line = x[source]
            # Tiles begin … end read x itself; only those outside need the map.
            begin = min(max(0, (left - j + m_w - 1) // m_w), width)
            end = max(begin, min(width, (left + W - j + m_w - 1) // m_w))
            for tile in range(begin, end):
                target[tile] = line[tile * m_w + j - left]
            for tile in range(begin):
                col = cols[tile * m_w + j]
                target[tile] = 0 if col == OUTSIDE else line[col]
            for tile in range(end, width):
                col = cols[tile * m_w + j]
                target[tile] = 0 if col == OUTSIDE else line[col]


@njit(parallel=True, nogil=True, cache=True)
def multiply_frequencies(U: Array, V: Array, M: Array, starts: IndexMap, lanes: int, threads: int) -> None:
    """M [F,K,pitch] = U [F,K,C/groups] V [F,C,pitch] in the first `lanes` of every frequency and group."""
    F, K, Cg = U.shape
    G = V.shape[1] // Cg
    Kg = K // G
    for thread in prange(threads):
        for fg in range(thread * F * G // threads, (thread + 1) * F * G // threads):
            f = fg // G
            g = fg % G
            source = V[f, g * Cg : (g + 1) * Cg].reshape(-1)
            multiply(U[f, g * Kg : (g + 1) * Kg], source, starts, M[f, g * Kg : (g + 1) * Kg, :lanes], lanes)


@njit(parallel=True, nogil=True, cache=True)
def invert_tiles(
    M: Array,
    segments: IndexMap,
    m: Pair,
    window: Window,
    lanes: int,
    A: Arrays,
    starts: Maps,
    scratch: Array,
    y: Array,
) -> None:
    """y [N,K,P,Q] = Aᵀ M A of the tiles of `segments`, cut at P and Q; `A` are the two Aᵀ [m,α]."""
    K = y.shape[1]
    A_h, A_w = A
    starts_h, starts_w = starts
    alpha_w = A_w.shape[1]
    threads = len(scratch)
    total = len(segments) * K
    for thread in prange(threads):
        halfway = scratch[thread, 0]
        outputs = scratch[thread, 1]
        for unit in range(thread * total // threads, (thread + 1) * total // threads):
            segment = unit // K
            k = unit % K
            n, top, first = segments[segment]
            for b in range(alpha_w):
                source = M[b:].reshape(-1)[k * M.shape[2] + segment * lanes :]
                multiply(A_h, source, starts_h, halfway[b::alpha_w], lanes)
            for i in range(m[0]):
                multiply(A_w, halfway[i * alpha_w :].reshape(-1), starts_w, outputs, lanes)
                _interleave(outputs, i, top, first, m, window, y[n, k])


@njit(nogil=True, cache=True)
def _interleave(outputs: Array, i: int, top: int, first: int, m: Pair, window: Window, y: Array) -> None:
    """Row i of every tile: y[(top+a)·m_h + i, (first+b)·m_w + j] = outputs[j, a·width + b]."""
    P, Q = y.shape
    tile_rows, tile_cols, _, halo_cols = window
    for a in range(tile_rows):
        p = (top + a) * m[0] + i
        if p >= P:
            break
        start = a * (tile_cols + halo_cols)
        for j in range(m[1]):
            source = outputs[j, start : start + tile_cols]
            q = first * m[1] + j
            for tile in range(min(tile_cols, (Q - q + m[1] - 1) // m[1])):
                y[p, q + tile * m[1]] = source[tile]
