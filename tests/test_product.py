"""The product's kernels, emitted and plain: every size of block, tails, and what must not be touched."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numba import njit

from convbench_algorithms import phase_tiles, product, strided_copy
from convbench_algorithms.aligned import aligned_zeros
from convbench_algorithms.blocking import Blocking, best_blocking, largest_part
from convbench_algorithms.emitter import lanes_of

CANARY = 12345


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


def integers(rng, *shape, dtype):
    """Small enough for every sum to be exact, in whatever order."""
    return rng.integers(-9, 9, shape).astype(dtype)


def expected(w, source, starts, pitch, lines, length):
    places = starts[:, None, None] + np.arange(lines)[:, None] * pitch + np.arange(length)
    return np.tensordot(w, source[places], 1)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("K", [1, 5, 6, 7, 13, 16, 33, 50])
def test_products_of_every_shape(wide, K, dtype):
    rng = np.random.default_rng(K)
    lanes = lanes_of(np.dtype(dtype).itemsize)
    sums = np.zeros(product.sums_length(np.dtype(dtype).itemsize), dtype)
    for T, lines, length in itertools.product((1, 3), (1, 2), (1, lanes - 1, lanes, 2 * lanes + 3, 5 * lanes + 1)):
        pitch = length + 3
        starts = rng.integers(0, 40, T)
        w, source = integers(rng, K, T, dtype=dtype), integers(rng, 40 + lines * pitch, dtype=dtype)
        Y = np.full((K + 1, lines, length + 5), CANARY, dtype)
        product.multiply(wide, product.pack(w, wide), source, starts, pitch, Y[:K, :, :length], sums, False)
        np.testing.assert_array_equal(Y[:K, :, :length], expected(w, source, starts, pitch, lines, length))
        assert (Y[K] == CANARY).all()
        assert (Y[:, :, length:] == CANARY).all()


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("K", [1, 6, 7, 31])
@pytest.mark.parametrize("past_caches", [False, True])
def test_lines_that_follow_each_other_are_one(wide, K, past_caches, dtype):
    rng = np.random.default_rng(K)
    itemsize = np.dtype(dtype).itemsize
    lanes = lanes_of(itemsize)
    sums = np.zeros(product.sums_length(itemsize), dtype)
    for lines, length in ((3, lanes - 1), (4, lanes), (7, lanes + 1), (5, 3 * lanes - 2), (2, 9 * lanes), (1, 3)):
        pitch, distance = length + 2, (lines * length // lanes + 2) * lanes  # channels whole vectors apart
        starts = rng.integers(0, 40, 3)
        w, source = integers(rng, K, 3, dtype=dtype), integers(rng, 40 + lines * pitch, dtype=dtype)
        W = product.pack(w, wide)
        memory = aligned_zeros((K * distance + 2 * lanes,), dtype)
        for offset in (0, 1, lanes - 1):
            memory[:] = CANARY
            channels = memory[offset : offset + K * distance].reshape(K, distance)
            Y = channels[:, : lines * length].reshape(K, lines, length)
            assert np.shares_memory(Y, memory)
            product.multiply(wide, W, source, starts, pitch, Y, sums, past_caches)
            np.testing.assert_array_equal(Y, expected(w, source, starts, pitch, lines, length))
            assert (channels[:, lines * length :] == CANARY).all()
            assert (memory[:offset] == CANARY).all()
            assert (memory[offset + K * distance :] == CANARY).all()


@pytest.mark.parametrize("rows", range(1, product.ROWS + 1))
def test_blocks_of_pixels_are_their_plain_twin(rows, dtype):
    rng, lanes = np.random.default_rng(rows), lanes_of(np.dtype(dtype).itemsize)
    emitted, plain = product._pixels, product._pixels.plain
    kernels = [njit(lambda *arguments: emitted(*arguments)), njit(lambda *arguments: plain(*arguments))]
    W, source, starts = integers(rng, 4 * rows, dtype=dtype), integers(rng, 500, dtype=dtype), rng.integers(0, 40, 4)
    for vectors in range(1, product.VECTORS + 1):
        for width, before in itertools.product((vectors * lanes, (vectors - 1) * lanes + 1), (0, 1)):
            line = width - before if rows >= product.FEWEST_JOINED else width
            for past_caches in {False, width % lanes == 0}:
                first, second = (aligned_zeros((rows, 5 * lanes), dtype) for _ in range(2))
                for kernel, Y in zip(kernels, (first, second), strict=True):
                    kernel(W, source, starts, Y, rows, vectors, width, line, 7, past_caches)
                np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("pixels", range(1, product.PIXELS + 1))
def test_blocks_of_channels_are_their_plain_twin(pixels, dtype):
    rng, itemsize = np.random.default_rng(pixels), np.dtype(dtype).itemsize
    emitted, plain = product._channels, product._channels.plain
    kernels = [njit(lambda *arguments: emitted(*arguments)), njit(lambda *arguments: plain(*arguments))]
    source, starts = integers(rng, 500, dtype=dtype), rng.integers(0, 40, 4)
    for vectors in range(1, product.WIDE + 1):
        width = vectors * lanes_of(itemsize)
        W = integers(rng, 4 * width, dtype=dtype)
        first, second = (np.zeros(product.sums_length(itemsize), dtype) for _ in range(2))
        for kernel, sums in zip(kernels, (first, second), strict=True):
            kernel(W, source, starts, sums, pixels, vectors, 0)
        np.testing.assert_array_equal(first[: pixels * width], second[: pixels * width])


@pytest.mark.parametrize("step", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [0, 1, 7, 16, 33, 64])
def test_every_nth_element_is_copied(step, count, dtype):
    source = np.arange(max((count - 1) * step + 1, 0), dtype=dtype)
    target = np.full(count + 9, CANARY, dtype)
    strided_copy.copy_strided(source, target, count, step)
    np.testing.assert_array_equal(target[:count], source[::step])
    assert (target[count:] == CANARY).all()


@pytest.mark.parametrize("u", [1, 2, 3])
@pytest.mark.parametrize("v", [1, 2, 3, 4])
@pytest.mark.parametrize("kept", [1, 4])
def test_a_tile_holds_the_phases_of_the_padded_image(u, v, kept, dtype):
    rng = np.random.default_rng(u * v)
    x = integers(rng, 2, 9, 150, dtype=dtype)
    rows, cols = (np.pad(np.arange(n), (2, 3), constant_values=-1) for n in x.shape[1:])
    padded = np.pad(x, ((0, 0), (2, 3), (2, 3)))
    for p, q, pitch in ((0, 0, 160 // v), (1, 2, 100 // v), (2, 5, 17)):
        tile = np.full((2, min(u, kept), min(v, kept), 4 * pitch + 5), CANARY, dtype)  # a few to spare
        phase_tiles.fill_tile(x, tile, rows, cols, 2, u, v, pitch, p, q)
        lines = tile[..., :-5].reshape(*tile.shape[:3], 4, pitch)
        assert (tile[..., -5:] == CANARY).all()
        for a, b in np.ndindex(*tile.shape[1:3]):
            phase = padded[:, p * u + a :: u, q * v + b :: v][:, :4, :pitch]
            np.testing.assert_array_equal(lines[:, a, b, : phase.shape[1], : phase.shape[2]], phase)


@pytest.mark.parametrize("wide", [False, True])
def test_jobs_cover_each_output_once(wide, dtype):
    itemsize = np.dtype(dtype).itemsize
    for K, pixels, channel_parts, pixel_parts in itertools.product((1, 5, 40), (1, 49, 100), (1, 2), (1, 3)):
        blocking = Blocking(K, wide, channel_parts, pixel_parts)
        covered = np.zeros((2, K, pixels), int)
        for image, k, k_end, first, last in blocking.jobs(2, blocking.pixel_edges(pixels, itemsize), itemsize):
            covered[image, k:k_end, first:last] += 1
        assert (covered == 1).all()


def test_two_threads_share_what_is_larger():
    def choose(K, pixels):
        return best_blocking(
            1, K, 512, 2, 4, 1, lambda parts, wide: (1, largest_part(pixels, parts, 1 if wide else 16), 0)
        )

    assert choose(2048, 49).channel_parts == 2
    assert choose(64, 3136).pixel_parts == 2
