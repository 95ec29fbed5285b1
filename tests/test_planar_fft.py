"""FFTs of tiles in planes, against numpy's; every emitted pass against its plain twin."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numba import njit

from convbench.spec import ConvSpec
from convbench_algorithms.butterflies import RADICES
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.fft_error import fft_error
from convbench_algorithms.fft_passes import LAST_RADICES, column_last, column_pass, row_pass
from convbench_algorithms.fft_squares import ANALYSE, CONVOLVE, SYNTHESISE, squares
from convbench_algorithms.planar_fft import kernels, transform, transform_tile
from convbench_algorithms.spectral_sums import channel_sums
from convbench_algorithms.tile_choice import lengths


def through(step, tile, spectrum=None):
    """The tile [2,M,N] taken through a step, as a copy."""
    result = np.zeros((2, *tile.shape[1:]), tile.dtype)
    result[...] = tile
    columns, rows = transform(tile.shape[1:], tile.dtype)
    filters = result.copy() if spectrum is None else spectrum
    transform_tile(kernels(tile.dtype, step), step, *result, tile.shape[2], *filters, *columns, *rows)
    return result


def as_complex(planes):
    return planes[0] + 1j * planes[1].astype(np.float64)


def close(got, right, points):
    """Within the bound of transforms of so many points, for data that are no worse than random."""
    bound = fft_error(ConvSpec(h=1, w=1, r=1, s=1, dtype=str(got.dtype)), points).bound / 100
    assert np.linalg.norm(as_complex(got) - right) <= bound * np.linalg.norm(right)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


# Between them, and along either axis, they take every radix.
EXTENTS = [(16, 16), (32, 48), (48, 32), (80, 96), (96, 80), (160, 64), (192, 128), (256, 192), (64, 256), (384, 320)]


@pytest.mark.parametrize("extent", EXTENTS)
def test_convolution_and_round_trip(dtype, extent):
    rng = np.random.default_rng(0)
    tile, other = rng.standard_normal((2, 2, *extent)).astype(dtype)
    points = extent[0] * extent[1]
    spectra = [np.fft.fft2(as_complex(planes)) for planes in (tile, other)]
    spectrum = through(ANALYSE, other)
    close(through(SYNTHESISE, spectrum), as_complex(other) * points, points)
    close(through(CONVOLVE, tile, spectrum), np.fft.ifft2(spectra[0] * spectra[1]) * points, points)


def test_a_spectrum_is_a_permutation_of_numpys(dtype):
    """Where single frequencies go: to one place each, all of them different."""
    M, N = 48, 32
    places = set()
    for p, q in [(0, 0), (1, 0), (0, 1), (5, 7), (47, 31), (24, 16)]:
        wave = np.exp(2j * np.pi * (p * np.arange(M)[:, None] / M + q * np.arange(N) / N))
        spectrum = as_complex(through(ANALYSE, np.array([wave.real, wave.imag], dtype)))
        place = np.unravel_index(np.abs(spectrum).argmax(), (M, N))
        assert spectrum[place] == pytest.approx(M * N, rel=1e-5)
        assert np.abs(spectrum).sum() == pytest.approx(M * N, rel=1e-3)
        places.add(place)
    assert len(places) == 6


@cache
def column_caller(kernel, inverse):
    """A pass, for calls from Python: compiled once for all radices."""
    return njit(lambda re, im, N, at, span, radix, w, begin: kernel(re, im, at, span, radix, w, begin, inverse))


@cache
def row_caller(kernel, inverse):
    return njit(lambda re, im, N, at, span, radix, w, begin: kernel(re, im, N, at, span, radix, w, begin, inverse))


@pytest.mark.parametrize("radix", RADICES)
@pytest.mark.parametrize("inverse", [0, 1])
@pytest.mark.parametrize("along", ["columns", "rows"])
def test_passes_compute_what_their_plain_twins_do(dtype, radix, inverse, along):
    lanes = lanes_of(np.dtype(dtype).itemsize)
    columns = along == "columns"
    kernel, caller = (column_pass, column_caller) if columns else (row_pass, row_caller)
    span = radix * (3 if columns else lanes)
    shape = (2 * span, 3 * lanes) if columns else (3 * lanes, 2 * span + 4)
    rng = np.random.default_rng(radix)
    factors = rng.standard_normal((2, radix, span // radix))
    factors[:, 0] = [[1], [0]]  # of q = 0
    twiddles = np.concatenate([np.zeros(5), factors.ravel()]).astype(dtype)
    tile = rng.standard_normal((2, *shape)).astype(dtype)
    results = []
    for function in (kernel, kernel.plain):
        planes = tile.copy()
        caller(function, inverse)(*planes, 2 * span, lanes, span, radix, twiddles, 5)
        results.append(planes)
    np.testing.assert_allclose(*results, rtol=0, atol=100 * np.finfo(dtype).eps * radix)
    assert np.array_equal(results[0] != tile, results[1] != tile), "what is changed, and what is not"


@pytest.mark.parametrize("radix", LAST_RADICES)
def test_the_last_pass_computes_what_its_plain_twin_does(dtype, radix):
    lanes = lanes_of(np.dtype(dtype).itemsize)
    tile = np.random.default_rng(1).standard_normal((2, 3 * radix, 3 * lanes)).astype(dtype)
    kernel, results = column_last, []
    for function in (kernel, kernel.plain):
        planes = tile.copy()
        njit(lambda re, im, at, radix, run=function: run(re, im, at, radix))(*planes, lanes, radix)
        results.append(planes)
    np.testing.assert_allclose(*results, rtol=0, atol=100 * np.finfo(dtype).eps * radix)


@pytest.mark.parametrize("step", [ANALYSE, CONVOLVE, SYNTHESISE])
def test_squares_compute_what_their_plain_twin_does(dtype, step):
    lanes = lanes_of(np.dtype(dtype).itemsize)
    tile, spectrum = np.random.default_rng(2).standard_normal((2, 2, 2 * lanes, 3 * lanes)).astype(dtype)
    kernel, results = squares, []
    for function in (kernel, kernel.plain):
        planes = tile.copy()
        call = njit(lambda re, im, N, at, a, b, run=function: run(re, im, N, at, a, b, step))
        call(*planes, 2 * lanes, lanes, *spectrum)
        results.append(planes)
    np.testing.assert_allclose(*results, rtol=0, atol=2000 * np.finfo(dtype).eps * lanes)


@pytest.mark.parametrize(("pairs", "filters", "groups"), [(1, 4, 1), (3, 7, 1), (2, 6, 2), (5, 5, 5)])
def test_sums_over_channels(dtype, pairs, filters, groups):
    rng = np.random.default_rng(3)
    lanes, vectors, C = lanes_of(np.dtype(dtype).itemsize), 3, 10
    F, D = vectors * lanes, C // groups
    x = rng.integers(-4, 4, (pairs * C, 2 * F + 5)).astype(dtype)
    w = rng.integers(-4, 4, (vectors, filters, D, 2, lanes)).astype(dtype)
    y = np.full((pairs * filters, 2 * F + 5), 7, dtype)
    channel_sums(2, pairs, C, x, w, y)
    a = as_complex(x[:, : 2 * F].reshape(-1, 2, F).swapaxes(0, 1)).reshape(pairs, groups, D, F)
    b = as_complex(np.moveaxis(w, 3, 0)).transpose(1, 2, 0, 3).reshape(groups, filters // groups, D, F)
    sums = np.einsum("bgdf,gkdf->bgkf", a, b).reshape(-1, F)
    np.testing.assert_array_equal(y, np.concatenate([sums.real, sums.imag, np.full((len(y), 5), 7)], axis=1))


def test_every_length_that_is_chosen_has_radices():
    chosen = list(lengths(1, 5000))
    assert chosen[:6] == [16, 32, 48, 64, 80, 96]
    assert chosen[-1] == 5120
    for length in chosen:
        assert transform((length, length), "float32")
