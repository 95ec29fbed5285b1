"""The three kernels of Winograd convolution: into frequencies, the products, and back.

Every transform is a small matrix product over lanes of tiles, so `multiply` does them all.
"""

from __future__ import annotations

from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap
from convbench.spec import Pair
from convbench_algorithms.block_product import multiply
from convbench_algorithms.interleaving import deal, weave

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
    height = tile_rows + halo_rows
    width = tile_cols + halo_cols
    B_h, B_w = B
    starts_h, starts_w = starts
    threads = len(scratch)
    total = len(segments) * C
    for thread in prange(threads):
        phases = scratch[thread, 0]
        halfway = scratch[thread, 1]
        # What the phases are dealt from; done with when halfway is written.
        lines = halfway.reshape(-1)[: m[0] * m[1] * height * width].reshape(m[0], height, m[1] * width)
        for unit in range(thread * total // threads, (thread + 1) * total // threads):
            segment = unit // C
            c = unit % C
            n, top, first = segments[segment]
            _copy_rows(x[n, c], rows[top * m[0] :], cols[first * m[1] :], left - first * m[1], lines)
            for i in range(m[0]):
                deal(lines[i].reshape(-1), phases[i * m[1] : (i + 1) * m[1]], height * width)
            for j in range(m[1]):
                multiply(B_h, phases[j:].reshape(-1), starts_h, halfway[j :: m[1]], tile_rows * width)
            for a in range(len(B_h)):
                by_frequency = V[a * len(B_w) : (a + 1) * len(B_w), c, segment * lanes :]
                multiply(B_w, halfway[a * m[1] :].reshape(-1), starts_w, by_frequency, lanes)


@njit(nogil=True, cache=True)
def _copy_rows(x: Array, rows: IndexMap, cols: IndexMap, left: int, lines: Array) -> None:
    """Lines [m_h,tile rows,length]: row i of every tile row of the padded x [H,W]; x begins at padded column `left`."""
    W = x.shape[1]
    m_h, tile_rows, length = lines.shape
    begin = min(max(0, left), length)
    end = max(begin, min(length, left + W))
    for row in range(tile_rows):
        for i in range(m_h):
            source = rows[row * m_h + i]
            target = lines[i, row]
            if source == OUTSIDE:
                for col in range(length):
                    target[col] = 0
                continue
            line = x[source]
            inside = target[begin:end]
            line_inside = line[max(0, begin - left) :]
            for col in range(end - begin):  # a plain loop: Numba's slice assignments cost more than such a row
                inside[col] = line_inside[col]
            for col in range(begin):
                target[col] = 0 if cols[col] == OUTSIDE else line[cols[col]]
            for col in range(end, length):
                target[col] = 0 if cols[col] == OUTSIDE else line[cols[col]]


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
    _, K, P, Q = y.shape
    A_h, A_w = A
    starts_h, starts_w = starts
    alpha_w = A_w.shape[1]
    threads = len(scratch)
    total = len(segments) * K
    tile_rows, tile_cols, _, halo_cols = window
    width = tile_cols + halo_cols
    for thread in prange(threads):
        halfway = scratch[thread, 0]
        outputs = scratch[thread, 1, : m[1]]
        lines = scratch[thread, 1, m[1] :].reshape(-1)
        for unit in range(thread * total // threads, (thread + 1) * total // threads):
            segment = unit // K
            k = unit % K
            n, top, first = segments[segment]
            for b in range(alpha_w):
                source = M[b:].reshape(-1)[k * M.shape[2] + segment * lanes :]
                multiply(A_h, source, starts_h, halfway[b::alpha_w], lanes)
            left = first * m[1]
            right = min(Q, left + tile_cols * m[1])
            for i in range(m[0]):
                multiply(A_w, halfway[i * alpha_w :].reshape(-1), starts_w, outputs, lanes)
                weave(outputs, lines, tile_rows * width)
                for a in range(min(tile_rows, (P - i + m[0] - 1) // m[0] - top)):
                    line = lines[a * width * m[1] :]
                    target = y[n, k, (top + a) * m[0] + i, left:]
                    for col in range(right - left):
                        target[col] = line[col]
