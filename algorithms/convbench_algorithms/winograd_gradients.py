"""The stages of Winograd's gradient for the weights, beside that of x: dy into frequencies, sums over tiles, and back.

Lanes are over output channels, each group's to a whole number of vectors. Threads share channels in the transforms, and
panels of the sums.
"""

# ruff: noqa: ARG001  the emitted code has no use for the matrices, nor the plain code for m, R and S

from __future__ import annotations

from functools import cache
from typing import Any

from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import IndexMap
from convbench_algorithms.emitter import emitted, lanes_of
from convbench_algorithms.linear_forms import product
from convbench_algorithms.winograd_kernels import output_tiles
from convbench_algorithms.winograd_product import PANEL, ROWS
from convbench_algorithms.winograd_stages import RUN, gather_lines
from convbench_algorithms.winograd_transforms import transforms

# --- G dy Gᵀ --------------------------------------------------------------------------------------


def _gradient_columns_plain(lines: Array, width: int, G: Array, m: int, R: int) -> None:
    column = G[:, 0].copy()
    for j in range(width * lanes_of(lines.itemsize)):
        for t in range(len(G)):
            column[t] = 0
            for i in range(m):
                column[t] += G[t, i] * lines[i, j]
        for t in range(len(G)):
            lines[t, j] = column[t]


@emitted(_gradient_columns_plain)
def gradient_columns(e: Any, lines: Any, width: Any, G: Any, m: int, R: int) -> None:
    """lines [α,width·lanes] = G · lines [m,·] along H, in place; G of F(R,m)."""
    transform = transforms(R, m)
    with e.loop(width) as j:
        column = [e.load(lines.at(i), j * e.lanes) for i in range(m)]
        for t, value in enumerate(product(e, transform.G, column)):
            e.store(value, lines.at(t), j * e.lanes)


def _gradient_rows_plain(lines: Array, D: Array, tiles: int, rows: int, G: Array, m: int, S: int) -> None:
    lanes = lanes_of(lines.itemsize)
    for a in range(rows):
        for tile in range(tiles):
            for b in range(len(G)):
                for lane in range(lanes):
                    total = D.dtype.type(0)
                    for j in range(m):
                        total += G[b, j] * lines[a, (tile * m + j) * lanes + lane]
                    D[a * len(G) + b, tile, lane] = total


@emitted(_gradient_rows_plain)
def gradient_rows(e: Any, lines: Any, D: Any, tiles: Any, rows: Any, G: Any, m: int, S: int) -> None:
    """D [rows·α,tiles,lanes] = `lines` · Gᵀ, tile by tile along W; lines [rows,tiles·m·lanes], G of F(S,m)."""
    transform = transforms(S, m)
    with e.loop(rows) as a, e.loop(tiles) as tile:
        place = lines.at(a) + tile * (m * e.lanes)
        row = product(e, transform.G, [e.load(place, j * e.lanes) for j in range(m)])
        first = D.at(a * transform.alpha, tile)
        for b, value in enumerate(row):
            e.store(value, first.plus_bytes(D.strides_bytes[0] * b))


# --- the sums over tiles --------------------------------------------------------------------------


def _sum_block_plain(D: Array, V: Array, sums: Array, tiles: int, rows: int, vectors: int, more: int) -> None:
    for r in range(rows):
        for j in range(vectors * lanes_of(D.itemsize)):
            total = sums[r, j] if more else D.dtype.type(0)
            for t in range(tiles):
                total += V[t, r] * D[t, j]
            sums[r, j] = total


@emitted(_sum_block_plain)
def _sum_block(e: Any, D: Any, V: Any, sums: Any, tiles: Any, rows: Any, vectors: Any, more: Any) -> None:
    """sums [rows,vectors·lanes] = Vᵀ [rows,tiles] · D [tiles,vectors·lanes], or that added to it where `more`.

    For an even number of rows up to `ROWS`.
    """
    shape = rows * (PANEL + 1) + vectors
    for v in range(1, PANEL + 1):
        for r in range(2, ROWS + 1, 2):
            with e.when(shape.compare("==", r * (PANEL + 1) + v)):
                _emit_sums(e, D, V, sums, tiles, r, v, more)


def _emit_sums(e: Any, D: Any, V: Any, sums: Any, tiles: Any, rows: int, vectors: int, more: Any) -> None:
    totals = [[e.variable(e.constant(0.0)) for _ in range(vectors)] for _ in range(rows)]
    with e.when(more.compare("!=", 0)):
        for r, row in enumerate(totals):
            for v, total in enumerate(row):
                total.set(e.load(sums.at(r), v * e.lanes))
    with e.loop(tiles, unroll=False) as t:
        numbers, place = V.at(t), D.at(t)
        pieces = [e.load(place, v * e.lanes) for v in range(vectors)]
        for r, row in enumerate(totals):
            number = e.broadcast(numbers, r)
            for piece, total in zip(pieces, row, strict=True):
                total.set(e.fma(number, piece, total.get()))
    for r, row in enumerate(totals):
        for v, total in enumerate(row):
            e.store(total.get(), sums.at(r), v * e.lanes)


@njit(parallel=True, nogil=True, cache=True)
def sum_products(
    threads: int, tiles: int, groups: int, per_group: int, depth: int, V: Array, D: Array, sums: Array, more: int
) -> None:
    """sums [F,≥C/groups,K] = Σ_t V [1,F,t,C] · D [F,t,K], or that added to them where `more`; C/groups is the `depth`.

    K in `per_group` vectors for each group; each thread takes a share of the panels. An odd last channel is summed with
    its neighbour, so the sums have an even number of them, and V one more row.
    """
    L = lanes_of(D.itemsize)
    panels = (per_group + PANEL - 1) // PANEL
    units = len(sums) * groups * panels
    for thread in prange(threads):
        for unit in range(thread * units // threads, (thread + 1) * units // threads):
            f = unit // (groups * panels)
            g = unit // panels % groups
            v = unit % panels * PANEL
            vectors = min(PANEL, per_group - v)
            k = (g * per_group + v) * L
            left = (depth + ROWS - 1) // ROWS
            c = 0
            while left > 0:
                rows = ((depth - c + left - 1) // left + 1) // 2 * 2
                _sum_block(D[f, :, k:], V[0, f, :, g * depth + c :], sums[f, c:, k:], tiles, rows, vectors, more)
                c += rows
                left -= 1


# --- the stages that depend on the tile -----------------------------------------------------------


@cache
def gradient_stages_for(m_h: int, R: int, m_w: int, S: int) -> tuple[Any, Any]:
    """`transform_dy` and `back` for tiles of m_h × m_w gradients and R × S taps."""

    @njit(parallel=True, nogil=True, cache=True)
    def transform_dy(
        threads: int, first: int, last: int, groups: int, dy: Array, rows: IndexMap, cols: IndexMap,
        G_h: Array, G_w: Array, lines: Array, D: Array,
    ) -> None:  # fmt: skip
        """D [F,last − first,K] = G dy Gᵀ of the tiles `first` … `last` of dy [N,K,P,Q], zeros beyond its edges."""
        L = lanes_of(dy.itemsize)
        _, K, P, Q = dy.shape
        tile_rows, tile_cols = (P + m_h - 1) // m_h, (Q + m_w - 1) // m_w
        filters = K // groups
        per_group = (filters + L - 1) // L
        units = groups * per_group
        for thread in prange(threads):
            scratch = lines[thread]
            t = first
            while t < last:
                b = t % tile_cols
                tiles = min(RUN, tile_cols - b, last - t)
                n = t // tile_cols // tile_rows
                top = t // tile_cols % tile_rows * m_h
                for unit in range(thread * units // threads, (thread + 1) * units // threads):
                    g = unit // per_group
                    own = dy[:, g * filters : (g + 1) * filters]
                    gather_lines(
                        own, n, unit % per_group * L, rows[top:], cols[b * m_w :], -b * m_w, m_h, tiles * m_w, scratch
                    )
                    gradient_columns(scratch, tiles * m_w, G_h, m_h, R)
                    gradient_rows(scratch, D[:, t - first :, unit * L :], tiles, m_h + R - 1, G_w, m_w, S)
                t += tiles

    @njit(parallel=True, nogil=True, cache=True)
    def back(
        threads: int, groups: int, per_group: int, sums: Array, A_h: Array, A_w: Array, lines: Array, dw: Array
    ) -> None:
        """dw [K,C/groups,R,S] = Aᵀ sums A, of sums [F,C/groups,K]."""
        L = lanes_of(dw.itemsize)
        filters, depth = len(dw) // groups, dw.shape[1]
        units = groups * per_group
        for thread in prange(threads):
            scratch = lines[thread]
            for unit in range(thread * units // threads, (thread + 1) * units // threads):
                within = unit % per_group * L
                k = unit // per_group * filters + within
                lanes = max(min(L, filters - within), 0)
                for c in range(0, depth, RUN):
                    channels = min(RUN, depth - c)
                    output_tiles(sums[:, c:, unit * L :], scratch, channels, A_h, A_w, R, m_h, S, m_w)
                    for lane in range(lanes):
                        for d in range(channels):
                            for r in range(R):
                                for s in range(S):
                                    dw[k + lane, c + d, r, s] = scratch[r, (d * S + s) * L + lane]

    return transform_dy, back
