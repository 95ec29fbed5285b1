"""Lines of tiles folded and unfolded: emitted kernels against their plain twins, tails, edges and all."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from convbench.spec import ConvSpec
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.fft_tiles import saving_grid
from convbench_algorithms.tile_choice import whole_axes, wrapping_extents
from convbench_algorithms.tile_folds import fold_line, half_turns, unfold_line


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.mark.parametrize(
    ("at", "first", "last"), [(3, 0, 1), (0, 0, 0), (-5, 5, 1), (-21, 21, 0.5), (-2, 2, 0.1), (7, 0, 0.8)]
)
def test_folding_computes_what_its_plain_twin_does(dtype, at, first, last):
    N = 4 * lanes_of(np.dtype(dtype).itemsize)
    first, last = min(first, N), max(round(last * N), min(first, N))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 2, 5, last + at)).astype(dtype) if last > first else np.zeros((2, 2, 5, 1), dtype)
    results = []
    for kernel in (fold_line, fold_line.plain):
        planes = np.full((2, 3, N + 5), 7, dtype)
        fold = njit(
            lambda x, p, q, re, im, at, first, last, N, run=kernel: run(
                x, 1, 0, 4, 2, at, first, last, p, q, q, p, re, im, 1, N
            )
        )
        fold(x, *np.array([0.6, -0.8], dtype), *planes, at, first, last, N)
        results.append(planes)
    np.testing.assert_allclose(*results, rtol=0, atol=8 * np.finfo(dtype).eps)
    assert (results[0][:, [0, 2]] == 7).all()
    assert (results[0][:, 1, N:] == 7).all(), "what is beyond the tile stays"


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 50])
@pytest.mark.parametrize("q", [0, 1, 7])
@pytest.mark.parametrize("stream", [0, 1])
def test_unfolding_computes_what_its_plain_twin_does(dtype, count, q, stream):
    planes = np.random.default_rng(1).standard_normal((2, 3, 64)).astype(dtype)
    results = []
    for kernel in (unfold_line, unfold_line.plain):
        y = np.full((2, 2, 3, 60), 7, dtype)
        unfold = njit(
            lambda a, b, p, s, y, q, count, stream, run=kernel: run(a, b, 2, p, s, y, 1, 0, 1, q, count, stream)
        )
        unfold(*planes, *np.array([0.6, -0.8], dtype), y, q, count, stream)
        results.append(y)
    np.testing.assert_allclose(*results, rtol=0, atol=8 * np.finfo(dtype).eps)
    results[0][1, 0, 1, q : q + count] = 7
    assert (results[0] == 7).all(), "nothing else is written"


def test_half_turns_multiply_to_a_quarter_of_the_circle():
    cosines, sines = half_turns(16, "float64")
    assert (cosines[1] + 1j * sines[1]) ** 16 == pytest.approx(1j)


def test_zeros_before_an_image_are_those_after_it():
    """A single tile then holds the image with one margin instead of two."""
    spec = ConvSpec(h=256, w=256, r=127, s=127, padding=((63, 63), (63, 63)))
    assert wrapping_extents(spec) == (319, 319)
    grid = whole_axes(spec, saving_grid(spec, (320, 256)), wrapping_extents(spec))
    assert (grid.counts, grid.keep) == ((1, 2), (256, 130))
    mirrored = ConvSpec(h=256, w=256, r=127, s=127, padding=((63, 63), (63, 63)), boundary="reflect")
    assert wrapping_extents(mirrored) == (382, 382)
