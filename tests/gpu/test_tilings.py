"""How problems are cut into blocks, threads and tiles: plain functions, which need no card."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given

from contract.harness import changed
from convbench.agreement import full_reference
from convbench.algorithm import MiB
from convbench.operands import operands
from convbench.spec import ConvSpec
from convbench_algorithms.backward import unsupported_direction
from convbench_algorithms.cuda import blocking, direct, implicit_gemm, stream, tensor_gemm, winograd
from convbench_algorithms.cuda.device import MULTIPROCESSORS
from convbench_algorithms.cuda.fft import whole_extent
from convbench_algorithms.cuda.fft_overlap_save import CACHE_BYTES, batch_of, cheapest_tiling
from convbench_algorithms.cuda.geometry import Geometry, correlation_filter
from convbench_algorithms.cuda.spectral import needed_extent, smooth_lengths
from gpu.targets import EVERYTHING
from spec_strategy import specs

every_target = pytest.mark.parametrize("text", EVERYTHING)


def geometry(text: str) -> Geometry:
    return Geometry.of(ConvSpec.parse(text))


def by_its_maps(g: Geometry, w: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The sum in `Geometry`'s own words."""
    y = np.zeros((g.n, g.k, g.p, g.q))
    for n, k, p, q in np.ndindex(*y.shape):
        first = k // g.filters * g.channels
        for c, r, s in np.ndindex(g.channels, g.r, g.s):
            row = g.rows[g.stride[0] * p + g.dilation[0] * r]
            col = g.cols[g.stride[1] * q + g.dilation[1] * s]
            if row >= 0 and col >= 0:
                y[n, k, p, q] += w[k, c, r, s] * x[n, first + c, row, col]
    return y


@given(specs(n=1, h=5, w=4, r=2, s=3, filter="random"))
def test_the_maps_say_what_the_reference_computes(spec: ConvSpec) -> None:
    assume(unsupported_direction(spec) is None)
    spec = changed(spec, dtype="float64")
    made = operands(spec, 3)
    found = by_its_maps(Geometry.of(spec), correlation_filter(spec, made.prepared), made.input)
    np.testing.assert_allclose(found.ravel(), full_reference(spec, made.prepared, made.input).values, atol=1e-12)


@given(specs())
def test_left_is_where_the_image_lies_as_it_is(spec: ConvSpec) -> None:
    assume(unsupported_direction(spec) is None)
    g = Geometry.of(spec)
    for before, positions, extent in ((g.left, g.cols, g.w), (g.top, g.rows, g.h)):
        if before < 0:
            assert spec.direction == "backward_data"
        else:
            seen = positions[before : before + extent]
            np.testing.assert_array_equal(seen, np.arange(len(seen)))


@every_target
def test_a_threads_outputs_fit_its_registers_and_its_code_the_cache(text: str) -> None:
    g = geometry(text)
    tile = direct.thread_tile(g)
    assert g.filters % tile.filters == 0
    assert tile.rows * tile.cols * tile.filters <= direct.MOST_SUMS
    if not tile.rolled:
        assert tile.rows * tile.cols * tile.filters * g.r * g.s <= direct.MOST_PRODUCTS


PRODUCTS = (
    (implicit_gemm.TILES, 8, implicit_gemm.PRODUCTS_A_CYCLE),
    (tensor_gemm.TILES, 32, tensor_gemm.BYTES_A_CYCLE / 4),
)
"""Tiles, taps of a slice, multiply-adds a cycle."""


def blocking_of(g: Geometry, tiles: Sequence[Any], slice_taps: int, rate: float) -> blocking.Blocking[Any]:
    return blocking.cheapest_blocking(g, tiles, -(-g.channels * g.r * g.s // slice_taps), slice_taps, rate)


@every_target
def test_the_blocks_of_a_product_cover_it(text: str) -> None:
    g = geometry(text)
    for tiles, taps, rate in PRODUCTS:
        found = blocking_of(g, tiles, taps, rate)
        across, down = blocking.blocks_of(g, found.tile)
        assert (across - 1) * found.tile.positions < g.n * g.p * g.q <= across * found.tile.positions
        assert (down - 1) * found.tile.filters < g.filters <= down * found.tile.filters
        assert (found.splits - 1) * found.share < found.slices <= found.splits * found.share
        assert found.grid(g) == (across * down, g.groups, found.splits)


def test_a_tile_is_one_of_whole_warps_and_of_shared_memory_that_any_card_has() -> None:
    for a in implicit_gemm.TILES:
        assert a.filters // a.thread_filters * (a.positions // a.thread_positions) == implicit_gemm.THREADS
        assert a.shared_bytes(8) <= 99 * 1024
    for b in tensor_gemm.TILES:
        assert b.threads in (128, 256)
        assert b.shared_bytes <= 99 * 1024


def test_large_layers_have_large_tiles_and_small_ones_split_their_sums() -> None:
    large, small = geometry("n64c128h28w28k128r3s3+padding=1"), geometry("c512h14w14k512r3s3+padding=1")
    for tiles, taps, rate in PRODUCTS:
        assert blocking_of(large, tiles, taps, rate).tile == tiles[0]
        assert blocking_of(large, tiles, taps, rate).splits == 1
        found = blocking_of(small, tiles, taps, rate)
        assert found.splits > 4
        assert prod(found.grid(small)) >= blocking.MULTIPROCESSORS // 2


@every_target
def test_a_streams_sums_fit_its_registers_and_its_strips_fill_the_card(text: str) -> None:
    g = geometry(text)
    found = stream.stream_of(g)
    words = g.computed_bytes // 4
    assert found.cols * g.r * words <= stream.MOST_SUM_WORDS or found.cols == 1
    assert found.length >= min(g.r, g.p)
    threads = g.n * g.k * -(-g.q // found.cols) * -(-g.p // found.length)
    assert found.length == min(g.r, g.p) or threads >= MULTIPROCESSORS * stream.THREADS / 2


@every_target
def test_tiles_keep_the_workspace_that_they_are_given(text: str) -> None:
    g = geometry(text)
    for limit in (8 * MiB, 64 * MiB):
        tiling = cheapest_tiling(g, limit)
        assert tiling.counts[0] * tiling.fit[0] >= g.p
        assert tiling.counts[1] * tiling.fit[1] >= g.q
        batch = batch_of(g, tiling, limit)
        assert batch == 1 or batch * (g.c + g.k) * tiling.nbytes(g.itemsize) <= min(limit, CACHE_BYTES)


def test_a_large_image_is_cut_into_tiles_that_stay_in_the_cache() -> None:
    g = geometry("h8192w8192r31s31+padding=15")
    tiling = cheapest_tiling(g, 64 * MiB)
    assert tiling.tiles > 1
    assert tiling.extent < whole_extent(g)
    assert 2 * tiling.nbytes(4) <= CACHE_BYTES
    assert tiling.tiles * tiling.extent[0] * tiling.extent[1] < 1.5 * g.p * g.q  # the overlap is the lesser part


@pytest.mark.parametrize("least", [1, 7, 97, 1031, 4103])
def test_lengths_are_even_and_smooth(least: int) -> None:
    length = next(smooth_lengths(least))
    assert least <= length <= 1.2 * least + 2
    assert length % 2 == 0
    for prime in (2, 3, 5, 7):
        while length % prime == 0:
            length //= prime
    assert length == 1


@every_target
def test_a_whole_image_is_no_less_than_what_is_seen(text: str) -> None:
    g = geometry(text)
    assert all(whole >= needed for whole, needed in zip(whole_extent(g), needed_extent(g), strict=True))


def test_winograds_batches_are_even() -> None:
    g = geometry("n16c64h56w56k64r3s3+padding=1")
    assert winograd.batch_of(g, 36, 3136, 36 * 128 * 4 * 3136) == 3136
    assert winograd.batch_of(g, 36, 3136, 36 * 128 * 4 * 3000) == 1568
    assert winograd.batch_of(g, 36, 3136, 1) == 1
