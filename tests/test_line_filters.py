"""The recursion along lines, and what turns lines: each kernel against its plain twin, and what recursion promises."""

from __future__ import annotations

from functools import cache

import numba
import numpy as np
import pytest
from numba import njit

from convbench.algorithm import ConvAlgorithm, PreparedConv, Resources, Unsupported
from convbench.operands import Operands, operands
from convbench.spec import ConvSpec
from convbench_algorithms.aligned import aligned_zeros
from convbench_algorithms.deriche import difference, sections
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.line_squares import turn_lines, write_lines
from convbench_algorithms.recursion import BLOCK, along_lines, recurse
from convbench_algorithms.recursive_gaussian import RecursiveGaussian
from convbench_algorithms.two_passes import VECTORS


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def lanes(dtype):
    return lanes_of(np.dtype(dtype).itemsize)


def integers(shape, dtype):
    """Small whole numbers: every order of summing them gives the same."""
    array = aligned_zeros(shape, dtype)
    array[...] = np.random.default_rng(7).integers(-9, 9, shape)
    return array


@cache
def recursions(kernel, upward, keep):
    @njit
    def call(lines, first, last, weights, states, sums, shift):
        kernel(lines, first, last, weights, states, sums, shift, 2, upward, keep)

    return call


@cache
def turns(kernel):
    @njit
    def call(lines, first, step, panels, q, row):
        kernel(lines, first, step, panels, q, row, 2)

    return call


@cache
def writes(kernel):
    @njit
    def call(lines, first, step, scale, y, p, q, height, width, add, stream):
        kernel(lines, first, step, scale, y, p, q, height, width, add, stream, 2)

    return call


def twins(caller, kernel, *constants):
    """The kernel emitted and plain, for calls from Python."""
    return [caller(each, *constants) for each in (kernel, kernel.plain)]


@pytest.mark.parametrize("upward", [0, 1])
@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("count", [0, 1, BLOCK + 3])
def test_the_recursion(dtype, lanes, upward, keep, count):
    lines = integers((BLOCK + 9, 2 * lanes), dtype)
    weights = sections(2.5, 1.0)[upward].astype(dtype)
    results = []
    for kernel in twins(recursions, recurse, upward, keep):
        states, sums = np.ones((2, 2, 2 * lanes), dtype), np.ones((BLOCK + 9, 2 * lanes), dtype)
        kernel(lines, 4, 4 + count, weights, states, sums, 2)
        results.append(np.concatenate((states.reshape(4, -1), sums)))
    np.testing.assert_allclose(*results, rtol=0, atol=100 * np.finfo(dtype).eps)
    assert (results[0][4:6] == 1).all()
    assert (results[0][6 + count :] == 1).all()


@pytest.mark.parametrize("step", [1, 2])
def test_lines_are_turned(dtype, lanes, step):
    width = 2 * lanes
    lines = integers((3 + step * lanes, width), dtype)
    results = []
    for kernel in twins(turns, turn_lines):
        panels = np.zeros((2, width + 5, width), dtype)
        kernel(lines, 3, step, panels, width + lanes, 5)
        results.append(panels)
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(results[0][1, 5:, lanes:], lines[3 : 3 + step * lanes : step].T)


@pytest.mark.parametrize("add", [0, 1])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 19), (16, 32)])
def test_lines_are_written(dtype, lanes, add, height, width):
    height, width = min(height, lanes), min(width, 2 * lanes)
    lines = integers((2 * lanes + 1, 2 * lanes), dtype)
    results = []
    for kernel in twins(writes, write_lines):
        y = np.ones((lanes + 2, 40), dtype)
        kernel(lines, 1, 2, np.dtype(dtype).type(3), y, 1, 5, height, width, add, 0)
        results.append(y)
    np.testing.assert_array_equal(*results)
    written = 3 * lines[1 : 1 + 2 * height : 2, :width] + add
    np.testing.assert_array_equal(results[0][1 : 1 + height, 5 : 5 + width], written)
    results[0][1 : 1 + height, 5 : 5 + width] = 1
    assert (results[0] == 1).all()


def executed(algorithm: ConvAlgorithm, spec: ConvSpec, made: Operands) -> np.ndarray:
    numba.set_num_threads(1)
    conv = algorithm.plan(spec, Resources()).prepare(made.prepared)
    assert isinstance(conv, PreparedConv)
    y = np.full(spec.output_shape, np.nan, spec.dtype)
    conv.execute(made.input, y)
    return y


# --- the recursion ------------------------------------------------------------------------------------


def along(x: np.ndarray, sigma: float, dtype: str) -> np.ndarray:
    """x filtered by the recursion alone, as far as it is told to reach."""
    width = lanes_of(np.dtype(dtype).itemsize) * VECTORS
    reach = round(4 * sigma)
    lines = np.repeat(x.astype(dtype)[:, None], width, axis=1)
    outputs = len(x) - 2 * reach
    sums, work = np.zeros((outputs, width), dtype), np.zeros((4, width), dtype)
    along_lines(VECTORS)(lines, outputs, 2 * reach + 1, 1, sections(sigma, 3.0).astype(dtype), work, sums)
    assert (sums == sums[:, :1]).all()
    return sums[:, 0]


@pytest.mark.parametrize("sigma", [1.0, 2.5, 20.0])
def test_it_is_nearly_a_gaussian(sigma: float) -> None:
    """On an impulse, in float64: as near as it says, and of the sum that it is given."""
    extent = round(12 * sigma)
    t = np.arange(-extent, extent + 1)
    h = along(np.pad(np.where(t == 0, 1.0, 0.0), round(4 * sigma)), sigma, "float64")
    assert h.sum() == pytest.approx(3, rel=1e-6)
    w = np.exp(-(t**2) / (2 * sigma**2))
    w *= 3 / w.sum()
    assert np.linalg.norm(h - w) / np.linalg.norm(w) < 6e-4
    assert difference(sigma, round(4 * sigma)) < 8e-4
    assert difference(sigma, round(2 * sigma)) > 5e-3


@pytest.mark.parametrize("sigma", [1, 8, 64, 256])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_it_rounds_little_worse_for_a_large_sigma(sigma: float, offset: float) -> None:
    """Fault: as one recursion of the fourth order, in float32, it was wrong by 0.02 at σ 64, and by 25 at σ 128."""
    x = (np.random.default_rng(1).standard_normal(20 * 256) + offset).astype(np.float32)
    exact = along(x, sigma, "float64")
    scale = np.linalg.norm(along(np.abs(x), sigma, "float64"))
    assert np.linalg.norm(along(x, sigma, "float32") - exact) / scale < (8 + sigma / 8) * 2.0**-24


def test_a_constant_stays_what_it_is() -> None:
    """Tiles begin within it: they take what is before them for more of it."""
    spec = ConvSpec(h=40, w=1100, r=17, s=17, padding="same", boundary="edge", filter="gaussian:2")
    made = operands(spec, 1)
    y = executed(RecursiveGaussian(), spec, Operands(made.prepared, np.full(spec.x_shape, 0.7, np.float32)))
    np.testing.assert_allclose(y, 0.7, rtol=2e-6)


@pytest.mark.parametrize("sigma", [1, 3])
def test_what_fades_out_becomes_zero(sigma: float) -> None:
    """Fault: an image of dots took five times as long, in denormal numbers."""
    x = np.zeros(200 * sigma)
    x[100 * sigma] = 1
    y = along(x, sigma, "float32")
    assert not ((y != 0) & (np.abs(y) < np.finfo(np.float32).tiny)).any()
    assert y[0] == y[-1] == 0


def test_another_filter_under_that_name_is_told() -> None:
    spec = ConvSpec(h=40, w=40, r=13, s=13, padding="same", filter="gaussian:2")
    w = np.ones(spec.w_shape, np.float32)
    assert isinstance(RecursiveGaussian().plan(spec, Resources()).prepare(w), Unsupported)
