"""The transforms of Winograd convolution, emitted for each F(m_h,R) × F(m_w,S), with lanes over channels.

Every transform is two small matrix products, along H and along W, whose numbers are known: see `linear_forms`.
The matrices come as arrays too, for the plain code.
"""

# ruff: noqa: ARG001  the emitted code has no use for the matrices, nor the plain code for m, R and S

from __future__ import annotations

from typing import Any

from convbench.algorithm import Array
from convbench_algorithms.emitter import emitted, lanes_of
from convbench_algorithms.linear_forms import product
from convbench_algorithms.winograd_transforms import Matrix, transforms


def _transposed(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))


# --- Bᵀ d B ---------------------------------------------------------------------------------------


def _input_columns_plain(lines: Array, width: int, B: Array, m: int, R: int) -> None:
    column = B[0].copy()
    for j in range(width * lanes_of(lines.itemsize)):
        for t in range(len(B)):
            column[t] = 0
            for i in range(len(B)):
                column[t] += B[i, t] * lines[i, j]
        for t in range(len(B)):
            lines[t, j] = column[t]


@emitted(_input_columns_plain)
def input_columns(e: Any, lines: Any, width: Any, B: Any, m: int, R: int) -> None:
    """lines [α,width·lanes] = Bᵀ · lines, in place: along H, once for all tiles that share a column."""
    transform = transforms(m, R)
    with e.loop(width) as j:
        column = [e.load(lines.at(i), j * e.lanes) for i in range(transform.alpha)]
        for t, value in enumerate(product(e, _transposed(transform.B), column)):
            e.store(value, lines.at(t), j * e.lanes)


def _input_rows_plain(lines: Array, V: Array, tiles: int, B: Array, m: int, S: int) -> None:
    lanes = lanes_of(lines.itemsize)
    for a in range(len(lines)):
        for tile in range(tiles):
            for b in range(len(B)):
                for lane in range(lanes):
                    total = V.dtype.type(0)
                    for j in range(len(B)):
                        total += B[j, b] * lines[a, (tile * m + j) * lanes + lane]
                    V[a * len(B) + b, tile, lane] = total


@emitted(_input_rows_plain)
def input_rows(e: Any, lines: Any, V: Any, tiles: Any, B: Any, m: int, S: int) -> None:
    """V [α_h·α,tiles,lanes] = `lines` · B, tile by tile along W; lines [α_h,≥(tiles·m + S − 1)·lanes]."""
    transform = transforms(m, S)
    alpha = transform.alpha
    with e.loop(lines.shape[0]) as a, e.loop(tiles) as tile:
        place = lines.at(a) + tile * (m * e.lanes)
        row = product(e, _transposed(transform.B), [e.load(place, j * e.lanes) for j in range(alpha)])
        first = V.at(a * alpha, tile)
        for b, value in enumerate(row):
            e.store(value, first.plus_bytes(V.strides_bytes[0] * b))


# --- Aᵀ M A ---------------------------------------------------------------------------------------


def _output_tiles_plain(
    M: Array,
    lines: Array,
    tiles: int,
    A_h: Array,
    A_w: Array,
    m_h: int,
    R: int,
    m_w: int,
    S: int,
) -> None:
    lanes = lanes_of(lines.itemsize)
    for tile in range(tiles):
        for i in range(m_h):
            for j in range(m_w):
                for lane in range(lanes):
                    total = M.dtype.type(0)
                    for a in range(len(A_h)):
                        for b in range(len(A_w)):
                            total += A_h[a, i] * A_w[b, j] * M[a * len(A_w) + b, tile, lane]
                    lines[i, (tile * m_w + j) * lanes + lane] = total


@emitted(_output_tiles_plain)
def output_tiles(
    e: Any,
    M: Any,
    lines: Any,
    tiles: Any,
    A_h: Any,
    A_w: Any,
    m_h: int,
    R: int,
    m_w: int,
    S: int,
) -> None:
    """lines [m_h,tiles·m_w·lanes] = A_hᵀ · M · A_w, tile by tile; M [α_h·α_w,tiles,≥lanes]."""
    vertical, horizontal = transforms(m_h, R), transforms(m_w, S)
    with e.loop(tiles) as tile:
        first = M.at(0, tile)
        half = []
        for a in range(vertical.alpha):
            row = [first.plus_bytes(M.strides_bytes[0] * (a * horizontal.alpha + b)) for b in range(horizontal.alpha)]
            half.append(product(e, _transposed(horizontal.A), [e.load(place) for place in row]))
        for j, column in enumerate(zip(*half, strict=True)):
            for i, value in enumerate(product(e, _transposed(vertical.A), column)):
                e.store(value, lines.at(i), (tile * m_w + j) * e.lanes)


# --- G w Gᵀ ---------------------------------------------------------------------------------------


def _filter_taps_plain(
    taps: Array,
    U: Array,
    depth: int,
    pitch: int,
    G_h: Array,
    G_w: Array,
    m_h: int,
    R: int,
    m_w: int,
    S: int,
) -> None:
    lanes = lanes_of(taps.itemsize)
    for c in range(depth):
        for a in range(len(G_h)):
            for b in range(len(G_w)):
                for lane in range(lanes):
                    total = U.dtype.type(0)
                    for r in range(R):
                        for s in range(S):
                            total += G_h[a, r] * G_w[b, s] * taps[((c * R + r) * S + s) * lanes + lane]
                    U[a * len(G_w) + b, c * pitch + lane] = total


@emitted(_filter_taps_plain)
def filter_taps(
    e: Any,
    taps: Any,
    U: Any,
    depth: Any,
    pitch: Any,
    G_h: Any,
    G_w: Any,
    m_h: int,
    R: int,
    m_w: int,
    S: int,
) -> None:
    """U[·, c·pitch …] = G_h · w_c · G_wᵀ for c < `depth`; taps [depth·R·S·lanes], U [α_h·α_w,…]."""
    vertical, horizontal = transforms(m_h, R), transforms(m_w, S)
    with e.loop(depth) as c:
        first = taps + c * (R * S * e.lanes)
        columns = [[e.load(first, (r * S + s) * e.lanes) for r in range(R)] for s in range(S)]
        half = [product(e, vertical.G, column) for column in columns]
        for a, row in enumerate(zip(*half, strict=True)):
            for b, value in enumerate(product(e, horizontal.G, row)):
                e.store(value, U.at(a * horizontal.alpha + b), c * pitch)
