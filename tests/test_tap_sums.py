"""The kernels of separable convolution: each emitted one against its plain twin, whole blocks and tails."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numba import njit

from convbench.algorithm import Resources
from convbench.spec import ConvSpec
from convbench_algorithms.aligned import aligned_zeros
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.factored import FactoredPlan
from convbench_algorithms.short_sums import copy, filter_both
from convbench_algorithms.tap_sums import GROUP, filter_columns, filter_rows, slide, transpose_rows


def both(kernel, *constants):
    """The kernel emitted and plain, for calls from Python: the constants come last, or where `step` stands."""
    return [_caller(each, *constants) for each in (kernel, kernel.plain)]


@cache
def _caller(kernel, *constants):
    if not constants:
        return njit(lambda *arguments: kernel(*arguments))
    R, S, mirrored = constants

    @njit
    def call(x, start, pitch, sources, row, zeros, columns, rows, y, p, q, height, width, add, stream):
        kernel(x, start, pitch, sources, row, zeros, columns, rows, y, p, q, height, width, add, stream, R, S, mirrored)

    return call


@cache
def columns_caller(kernel, step):
    @njit
    def call(lines, tap_step, weights, pairs, panels, row, count):
        kernel(lines, step, tap_step, weights, pairs, panels, row, count)

    return call


@cache
def rows_caller(kernel, step):
    @njit
    def call(panels, row, tap_step, weights, pairs, y, p, q, height, width, add, stream):
        kernel(panels, row, step, tap_step, weights, pairs, y, p, q, height, width, add, stream)

    return call


def integers(shape, dtype):
    """Small whole numbers: every order of summing them gives the same."""
    array = aligned_zeros(shape, dtype)
    array[...] = np.random.default_rng(7).integers(-9, 9, shape)
    return array


def mirrored(taps, dtype):
    weights = integers((taps,), dtype)
    return weights + weights[::-1]


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def lanes(dtype):
    return lanes_of(np.dtype(dtype).itemsize)


@pytest.mark.parametrize("width", [0, 1, 5, 16, 37])
def test_rows_are_transposed(dtype, lanes, width):
    x = integers((lanes * 50,), dtype)
    sources = np.append(99, np.arange(lanes)[::-1])
    sources[3] = -1  # a line of zeros
    for turn in both(transpose_rows):
        lines = np.zeros((64, lanes), dtype)
        turn(x, 3, 50, sources, 1, np.zeros(lanes, dtype), width, lines, 2)
        rows = [x[source * 50 + 3 :][:width] * (source >= 0) for source in sources[1:]]
        np.testing.assert_array_equal(lines[2 : 2 + width], np.stack(rows, axis=1).reshape(width, lanes))


# Taps below, at and above whole groups, and with rests.
@pytest.mark.parametrize("taps", [1, 3, 5, 9, 14, 23])
@pytest.mark.parametrize(("step", "tap_step"), [(1, 1), (1, 3), (2, 1), (3, 2)])
@pytest.mark.parametrize("symmetric", [False, True])
def test_lines_are_filtered(dtype, lanes, taps, step, tap_step, symmetric):
    paired = symmetric and step == tap_step == 1
    weights = mirrored(taps, dtype) if symmetric else integers((taps,), dtype)
    pairs = taps // 2 // GROUP * GROUP if paired else 0
    lines = integers((2 * lanes * step + taps * tap_step, lanes), dtype)
    for kernel in (filter_columns, filter_columns.plain):
        panels = np.full((2, lanes + 3, lanes), 99, dtype)
        columns_caller(kernel, step)(lines, tap_step, weights, pairs, panels, 3, 2)
        for panel, lane, column in np.ndindex(2, lanes, lanes):
            first = (panel * lanes + column) * step
            expected = lines[first : first + taps * tap_step : tap_step, lane] @ weights
            assert panels[panel, 3 + lane, column] == expected
        assert (panels[:, :3] == 99).all()


@pytest.mark.parametrize("taps", [1, 9, 14])
@pytest.mark.parametrize(("step", "tap_step"), [(1, 1), (2, 3)])
@pytest.mark.parametrize(("height", "width", "add"), [(1, 1, 0), (3, 21, 1), (16, 32, 0), (16, 32, 1), (16, 40, 0)])
@pytest.mark.parametrize("stream", [0, 1])
def test_panels_are_filtered_into_y(dtype, lanes, taps, step, tap_step, height, width, add, stream):
    weights = mirrored(taps, dtype)
    pairs = taps // 2 // GROUP * GROUP if step == tap_step == 1 else 0
    panels = integers((-(-width // lanes), 2 + lanes * step + taps * tap_step, lanes), dtype)
    height = min(height, lanes)
    for kernel in (filter_rows, filter_rows.plain):
        y = aligned_zeros((18, 64), dtype)
        y[...] = 5 if add else np.nan
        rows_caller(kernel, step)(panels, 2, tap_step, weights, pairs, y, 1, 16, height, width, add, stream)
        for b, j in np.ndindex(height, width):
            first = 2 + b * step
            expected = panels[j // lanes, first : first + taps * tap_step : tap_step, j % lanes] @ weights
            assert y[1 + b, 16 + j] == expected + 5 * add
        y[1 : 1 + height, 16 : 16 + width] = 5 if add else np.nan
        np.testing.assert_array_equal(y, 5 if add else np.nan)


@pytest.mark.parametrize(("R", "S"), [(1, 1), (5, 5), (2, 7), (7, 1), (6, 4), (9, 9)])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize(("height", "width", "add", "stream"), [(1, 1, 0, 0), (7, 21, 1, 0), (9, 48, 0, 1)])
def test_both_passes_at_once(dtype, R, S, symmetric, height, width, add, stream):
    columns, rows = (mirrored(taps, dtype) if symmetric else integers((taps,), dtype) for taps in (R, S))
    image = integers((12, 96), dtype)
    sources = np.random.default_rng(3).integers(-1, len(image), 2 + height + R - 1)  # −1: a line of zeros
    lines = np.where(sources[2:, None] < 0, 0, image[sources[2:], 5:])
    expected = np.zeros((height, width), dtype)
    for r, s in np.ndindex(R, S):
        expected += columns[r] * rows[s] * lines[r : r + height, s : s + width]
    for filter_each in both(filter_both, R, S, int(symmetric)):
        y = aligned_zeros((12, 80), dtype)
        y[...] = 5 if add else np.nan
        zeros = np.zeros(64, dtype)
        filter_each(
            image.reshape(-1), 5, 96, sources, 2, zeros, columns, rows, y, 1, 16, height, width, add, stream
        )  # fmt: skip
        np.testing.assert_array_equal(y[1 : 1 + height, 16 : 16 + width], expected + 5 * add)
        y[1 : 1 + height, 16 : 16 + width] = 5 if add else np.nan
        np.testing.assert_array_equal(y, 5 if add else np.nan)


@pytest.mark.parametrize("boundary", ["zero", "reflect", "symmetric", "edge", "wrap"])
@pytest.mark.parametrize(("h", "w"), [(70, 112), (37, 75), (21, 12), (1040, 1024)])  # the last goes past the caches
@pytest.mark.parametrize("misplaced", [0, 4, 15])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("R", "S"), [(5, 7), (13, 10)])  # in registers, through a window
def test_rows_from_x_to_y_whatever_their_places(boundary, h, w, misplaced, threads, R, S):
    padding = ((R - 2, 1), (2, S - 3))
    spec = ConvSpec(h=h, w=w, r=R, s=S, padding=padding, boundary=boundary)
    x, y = (integers((h * w + 16,), "float32")[misplaced:][: h * w].reshape(1, 1, h, w) for _ in range(2))
    column, row = mirrored(R, "float32"), integers((S,), "float32")
    y[...] = np.nan
    plan = FactoredPlan("separable", spec, Resources(threads=threads), max_rank=1)
    plan.prepare(np.outer(column, row)[None, None]).execute(x, y)
    padded = np.pad(x[0, 0], padding, mode=boundary if boundary != "zero" else "constant").astype(np.float64)
    along = sum(row[s] * padded[:, s : s + w] for s in range(S))
    expected = sum(column[r] * along[r : r + h] for r in range(R))
    np.testing.assert_allclose(y[0, 0], expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("count", [0, 1, 16, 37])
def test_rows_are_copied(dtype, count):
    source = integers((50,), dtype)
    for copied in both(copy):
        target = np.zeros(50, dtype)
        copied(source, 3, target, 5, count)
        np.testing.assert_array_equal(target[5 : 5 + count], source[3 : 3 + count])
        assert not target[:5].any()
        assert not target[5 + count :].any()


def test_the_window_slides_over_itself(dtype, lanes):
    before = integers((3, 9, lanes), dtype)
    for move in both(slide):
        panels = before.copy()
        move(panels, 2, 6, 2)
        np.testing.assert_array_equal(panels[:2, :6], before[:2, 2:8])
        np.testing.assert_array_equal(panels[:2, 6:], before[:2, 6:])
        np.testing.assert_array_equal(panels[2], before[2])
