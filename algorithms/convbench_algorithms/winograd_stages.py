"""The three stages of Winograd convolution over a block of tiles: into frequencies, the products, and back.

A block's V and M stay in cache between them. Tiles are numbered through all images, tile rows and tile columns, so that
any range of numbers is a block; *runs* of tiles that are neighbours in a tile row are transformed together.

Each F(m_h,R) × F(m_w,S) is a specialisation of its own, which captures nothing but these numbers: with other compiled
functions in its closure, Numba would not find it again in its cache on disk.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from numba import njit, prange

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.kernel_clock import lapped, now_ns
from convbench_algorithms.lane_transposes import lanes_to_rows, rows_to_lanes
from convbench_algorithms.winograd_kernels import filter_taps, input_columns, input_rows, output_tiles
from convbench_algorithms.winograd_product import PANEL, multiply_panel

RUN: Final = 16
"""Tiles of a run, at most: what it works on fits the first-level cache."""

INTO_FREQUENCIES: Final = 1
PRODUCTS: Final = 2
BACK: Final = 4
ALL: Final = INTO_FREQUENCIES | PRODUCTS | BACK


@cache
def stages_for(m_h: int, R: int, m_w: int, S: int) -> Any:
    """`run_stages` for F(m_h,R) × F(m_w,S)."""

    @njit(parallel=True, nogil=True, cache=True)
    def run_stages(
        stages: int,
        first: int,
        last: int,
        block: int,
        groups: int,
        threads: int,
        x: Array,
        rows: IndexMap,
        cols: IndexMap,
        left: int,
        B_h: Array,
        B_w: Array,
        A_h: Array,
        A_w: Array,
        U: Array,
        V: Array,
        M: Array,
        lines: Array,
        y: Array,
        clock: int,
        spent: Array,
    ) -> None:
        """The given stages for the tiles `first` … `last` of all images.

        With `ALL`, each thread takes a share of the tiles through all stages, in blocks, with a V [·,F,tiles,C] and
        an M [·,F,tiles,K] of its own. With one stage the threads share the channels of one block, and V[0], M[0].
        x [N,C,H,W], y [N,K,P,Q]; `rows` and `cols` map padded indices to those of x, which begins at padded
        column `left`; lines [threads,≥α_h and ≥m_h,·] is scratch; U is packed by `transform_filter`.
        With a `clock`, `spent` [threads,3] gets what each thread took for each stage (see `kernel_clock`).
        """
        C = x.shape[1]
        K = y.shape[1]
        L = lanes_of(x.itemsize)
        per_group = (K // groups + L - 1) // L
        panels = (per_group + PANEL - 1) // PANEL
        depth = C // groups
        alone = 1 if stages == ALL else 0
        teams = threads if alone else 1
        shares = threads // teams
        for thread in prange(threads):
            # A share of the tiles, and all their channels; or all tiles of the block, and a share of the channels.
            own = thread * alone
            share = thread - own
            begin = first + (last - first) * own // teams
            end = first + (last - first) * (own + 1) // teams
            blocks = (end - begin + block - 1) // block
            scratch = lines[thread]
            at = now_ns(clock) if clock else 0
            for b in range(blocks):
                t0 = begin + (end - begin) * b // blocks
                t1 = begin + (end - begin) * (b + 1) // blocks
                if stages & INTO_FREQUENCIES:
                    units = (C + L - 1) // L
                    _into(
                        x, rows, cols, left, B_h, B_w, scratch, V[own], t0, t1,
                        (y.shape[2] + m_h - 1) // m_h, (y.shape[3] + m_w - 1) // m_w,
                        share * units // shares, (share + 1) * units // shares, m_h, R, m_w, S,
                    )  # fmt: skip
                if clock:
                    at = lapped(clock, at, spent[thread], 0)
                if stages & PRODUCTS:
                    units = len(U) * groups * panels
                    for unit in range(share * units // shares, (share + 1) * units // shares):
                        f = unit // (groups * panels)
                        g = unit // panels % groups
                        v = unit % panels * PANEL
                        factors = U[f, (g * per_group + v) * depth * L :]
                        sums = M[own, f, :, (g * per_group + v) * L :]
                        multiply_panel(
                            factors, V[own, f, :, g * depth :], sums, t1 - t0, depth, min(PANEL, per_group - v)
                        )
                if clock:
                    at = lapped(clock, at, spent[thread], 1)
                if stages & BACK:
                    units = groups * per_group
                    _back(
                        M[own], A_h, A_w, scratch, y, t0, t1, groups, per_group,
                        share * units // shares, (share + 1) * units // shares, m_h, R, m_w, S,
                    )  # fmt: skip
                if clock:
                    at = lapped(clock, at, spent[thread], 2)

    return run_stages


@njit(nogil=True, inline="always")
def _into(
    x: Array, rows: IndexMap, cols: IndexMap, left: int, B_h: Array, B_w: Array, lines: Array, V: Array,
    t0: int, t1: int, tile_rows: int, tile_cols: int, first: int, last: int, m_h: int, R: int, m_w: int, S: int,
) -> None:  # fmt: skip
    """V [F,t1 − t0,C] of the vectors `first` … `last` of channels."""
    L = lanes_of(x.itemsize)
    t = t0
    while t < t1:
        tile_row = t // tile_cols
        b = t % tile_cols
        tiles = min(RUN, tile_cols - b, t1 - t)
        n = tile_row // tile_rows
        top = tile_row % tile_rows * m_h
        width = tiles * m_w + S - 1
        for unit in range(first, last):
            gather_lines(x, n, unit * L, rows[top:], cols[b * m_w :], left - b * m_w, m_h + R - 1, width, lines)
            input_columns(lines, width, B_h, m_h, R)
            input_rows(lines[: m_h + R - 1], V[:, t - t0 :, unit * L :], tiles, B_w, m_w, S)
        t += tiles


@njit(nogil=True, cache=True)
def gather_lines(
    x: Array, n: int, c: int, rows: IndexMap, cols: IndexMap, left: int, count: int, width: int, lines: Array
) -> None:
    """lines [count,width·lanes] = the padded x [N,C,H,W] of image n, channels c …, from the head of `rows` and `cols`.

    x begins at column `left` of what is gathered. Lanes past C repeat the last channel.
    """
    C, W = x.shape[1], x.shape[3]
    L = lanes_of(x.itemsize)
    channels = min(L, C - c)
    begin = min(max(0, left), width)
    end = max(begin, min(width, left + W))
    for i in range(count):
        line = lines[i]
        row = rows[i]
        if row == OUTSIDE:
            line[: width * L] = 0
            continue
        if end > begin:
            rows_to_lanes(x[n, c:, row, begin - left :], line[begin * L :], channels, end - begin)
        for j in range(begin):
            _gather_pixel(x[n, c:, row], cols[j], channels, line[j * L : (j + 1) * L])
        for j in range(end, width):
            _gather_pixel(x[n, c:, row], cols[j], channels, line[j * L : (j + 1) * L])


@njit(nogil=True, cache=True)
def _gather_pixel(row: Array, col: int, channels: int, vector: Array) -> None:
    if col == OUTSIDE:
        vector[:] = 0
        return
    for lane in range(len(vector)):
        vector[lane] = row[min(lane, channels - 1), col]


@njit(nogil=True, inline="always")
def _back(
    M: Array, A_h: Array, A_w: Array, lines: Array, y: Array, t0: int, t1: int, groups: int, per_group: int,
    first: int, last: int, m_h: int, R: int, m_w: int, S: int,
) -> None:  # fmt: skip
    """y [N,K,P,Q] of the tiles t0 … t1 and the vectors `first` … `last` of channels of M [F,t1 − t0,K]."""
    _, K, P, Q = y.shape
    L = lanes_of(y.itemsize)
    tile_rows = (P + m_h - 1) // m_h
    tile_cols = (Q + m_w - 1) // m_w
    t = t0
    while t < t1:
        tile_row = t // tile_cols
        b = t % tile_cols
        tiles = min(RUN, tile_cols - b, t1 - t)
        n = tile_row // tile_rows
        top = tile_row % tile_rows * m_h
        width = min(tiles * m_w, Q - b * m_w)
        for unit in range(first, last):
            within = unit % per_group * L
            k = unit // per_group * (K // groups) + within
            output_tiles(M[:, t - t0 :, unit * L :], lines, tiles, A_h, A_w, m_h, R, m_w, S)
            for i in range(min(m_h, P - top)):
                lanes_to_rows(lines[i], y[n, k:, top + i, b * m_w :], min(L, K // groups - within), width)
        t += tiles


@cache
def filter_transform_for(m_h: int, R: int, m_w: int, S: int) -> Any:
    """`transform_filter` for F(m_h,R) × F(m_w,S)."""

    @njit(parallel=True, nogil=True, cache=True)
    def transform_filter(w: Array, groups: int, G_h: Array, G_w: Array, taps: Array, U: Array, threads: int) -> None:
        """U [F,groups·vectors·C/groups·lanes] = G w Gᵀ of w [K,C/groups·R·S]; taps [threads,·] is scratch.

        Packed for `multiply_panel`: for each group, for each `PANEL` of vectors of its K, for each channel the vectors.
        """
        L = lanes_of(w.itemsize)
        Kg = len(w) // groups
        depth = w.shape[1] // (R * S)
        per_group = (Kg + L - 1) // L
        chunk = (taps.shape[1] // L - L) // (R * S)
        chunks = (depth + chunk - 1) // chunk
        units = groups * per_group * chunks
        for thread in prange(threads):
            for unit in range(thread * units // threads, (thread + 1) * units // threads):
                c = unit % chunks * chunk
                v = unit // chunks % per_group
                g = unit // chunks // per_group
                count = min(chunk, depth - c)
                panel = v // PANEL * PANEL
                vectors = min(PANEL, per_group - panel)
                rows_to_lanes(w[g * Kg + v * L :, c * R * S :], taps[thread], min(L, Kg - v * L), count * R * S)
                start = ((g * per_group + panel) * depth + c * vectors + v - panel) * L
                filter_taps(taps[thread], U[:, start:], count, vectors * L, G_h, G_w, m_h, R, m_w, S)

    return transform_filter
