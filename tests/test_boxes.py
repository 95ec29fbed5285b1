"""Boxes: sums that slide and tables of sums, each kernel against its plain twin, on images that invite drift."""

from __future__ import annotations

from functools import cache

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from convbench.agreement import full_reference, judge
from convbench.algorithm import ConvAlgorithm, PreparedConv, Resources, Unsupported
from convbench.operands import Operands, operands
from convbench.spec import ConvSpec
from convbench_algorithms.aligned import aligned_zeros
from convbench_algorithms.box import Box
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.integral_image import IntegralImage
from convbench_algorithms.running_sums import block_of_sums
from convbench_algorithms.table_rows import add_row


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
def blocks(kernel):
    @njit
    def call(lines, first, step, count, taps, ends, sums):
        kernel(lines, first, step, count, taps, ends, sums, 2)

    return call


@cache
def additions(kernel):
    return njit(lambda table, row, line, columns: kernel(table, row, line, columns))


def twins(caller, kernel, *constants):
    """The kernel emitted and plain, for calls from Python."""
    return [caller(each, *constants) for each in (kernel, kernel.plain)]


@pytest.mark.parametrize("taps", [1, 2, 7])
@pytest.mark.parametrize("step", [1, 3])
def test_blocks_of_sums(dtype, lanes, taps, step):
    lines = integers((60, 2 * lanes), dtype)
    for count in range(1, taps + 1):
        results = []
        for kernel in twins(blocks, block_of_sums):
            ends, sums = np.zeros((taps, 2 * lanes), dtype), np.zeros((60, 2 * lanes), dtype)
            kernel(lines, 5, step, count, taps, ends, sums)
            results.append(sums)
        np.testing.assert_array_equal(*results)
        expected = [lines[5 + j * step : 5 + (j + taps) * step : step].sum(axis=0) for j in range(count)]
        np.testing.assert_array_equal(results[0][5 : 5 + count * step : step], expected)


@pytest.mark.parametrize("columns", [1, 5, 8, 19])
def test_a_row_of_a_table(dtype, columns):
    line = integers((1, 40), dtype)
    results = []
    for kernel in twins(additions, add_row):
        table = integers((3, 45), "float64")
        kernel(table, 1, line, columns)
        results.append(table[:, : columns + 1])
    np.testing.assert_array_equal(*results)
    table = integers((3, 45), "float64")
    np.testing.assert_array_equal(results[0][2, 1:], table[1, 1 : columns + 1] + line[0, :columns].cumsum())
    assert (results[0][:, 0] == table[:, 0]).all()


def executed(algorithm: ConvAlgorithm, spec: ConvSpec, made: Operands) -> np.ndarray:
    numba.set_num_threads(1)
    conv = algorithm.plan(spec, Resources()).prepare(made.prepared)
    assert isinstance(conv, PreparedConv)
    y = np.full(spec.output_shape, np.nan, spec.dtype)
    conv.execute(made.input, y)
    return y


BOXES = pytest.mark.parametrize("algorithm", [Box(), IntegralImage()], ids=lambda one: one.name)


@BOXES
@settings(max_examples=40, deadline=None)
@given(
    dtype=st.sampled_from(("float32", "float64")),
    offset=st.sampled_from((0.0, 1e4, -1e7)),
    spikes=st.lists(st.tuples(st.integers(0, 39), st.integers(0, 69), st.sampled_from((1e3, -1e6, 1e12))), max_size=3),
    taps=st.sampled_from(((3, 3), (9, 1), (5, 31))),
)
def test_boxes_of_hostile_images(algorithm, dtype, offset, spikes, taps) -> None:
    """Fault: running sums in float32 carry each spike's rounding on to the end of its row."""
    spec = ConvSpec(h=40, w=70, r=taps[0], s=taps[1], filter="box", dtype=dtype)
    x = np.random.default_rng(3).standard_normal(spec.x_shape) + offset
    for row, column, size in spikes:
        x[0, 0, row, column] += size
    made = Operands(operands(spec, 1).prepared, x.astype(dtype))
    agreement = judge(
        executed(algorithm, spec, made), full_reference(spec, made.prepared, made.input), algorithm.error_model(spec)
    )
    assert agreement.agrees, agreement


def test_a_spike_leaves_nothing_behind() -> None:
    spec = ConvSpec(h=30, w=600, r=5, s=7, filter="box")
    made = operands(spec, 1)
    with_spike = made.input.copy()
    with_spike[0, 0, 10, 50] = 1e20
    before, after = (executed(Box(), spec, Operands(made.prepared, x)) for x in (made.input, with_spike))
    differs = np.argwhere(before != after)
    assert differs.min(axis=0)[2:].tolist() == [6, 44]
    assert differs.max(axis=0)[2:].tolist() == [10, 50]


@BOXES
def test_a_filter_that_is_no_box_is_told(algorithm) -> None:
    spec = ConvSpec(h=20, w=20, r=3, s=3, filter="box")
    w = operands(spec, 1).prepared
    w[0, 0, 1, 1] *= 2
    assert algorithm.plan(spec, Resources()).prepare(w) == Unsupported(
        "w is not constant over each R×S window, whatever its family says"
    )


@BOXES
def test_each_slice_may_have_its_own_value(algorithm) -> None:
    spec = ConvSpec(n=2, c=4, h=12, w=14, k=6, r=3, s=3, groups=2, padding=1, filter="box")
    made = operands(spec, 1)
    w = made.prepared * np.random.default_rng(5).standard_normal((6, 2, 1, 1)).astype(np.float32)
    y = executed(algorithm, spec, Operands(w, made.input))
    assert judge(y, full_reference(spec, w, made.input), algorithm.error_model(spec)).agrees
