"""The emitter: each of its operations against numpy, at the width of this CPU and of others."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from convbench_algorithms import emitter
from convbench_algorithms.emitter import emitted, lanes_of


def _multiply_add_plain(a, b, y, count):
    for i in range(count):
        y[i] = a[i] * b[0] + y[i]


@emitted(_multiply_add_plain)
def _multiply_add(e, a, b, y, count):
    factor = e.broadcast(b)
    whole = count // e.lanes * e.lanes
    with e.loop(whole, step=e.lanes) as i:
        e.store(e.fma(e.load(a, i), factor, e.load(y, i)), y, i)
    mask = e.first_lanes(count - whole)
    e.store_masked(mask, e.fma(e.load_masked(mask, a, whole), factor, e.load_masked(mask, y, whole)), y, whole)


def _block_sum_plain(x, y, rows):
    for i in range(lanes_of(x.itemsize)):
        total = x[0, i]
        for r in range(1, rows):
            total += x[r, i]
        y[i] = total


@emitted(_block_sum_plain)
def _block_sum(e, x, y, rows):
    total = e.variable(e.constant(0.0))
    with e.loop(rows) as r:
        total.set(total.get() + e.load(x.at(r)))
    e.store(total.get(), y)


@emitted(_block_sum_plain)
def _block_sum_round_by_round(e, x, y, rows):
    total = e.variable(e.constant(0.0))
    with e.loop(rows, unroll=False) as r:
        total.set(total.get() + e.load(x.at(r)))
    e.store(total.get(), y)


def _transpose_plain(x, y):
    for i in range(len(x)):
        for j in range(len(x)):
            y[j, i] = x[i, j]


@emitted(_transpose_plain)
def _transpose(e, x, y):
    for j, column in enumerate(e.transpose([e.load(x.at(i)) for i in range(e.lanes)])):
        e.store(column, y.at(j))


def _constants_plain(y, rows, columns):
    for i in range(len(y)):
        y[i] = rows + columns


@emitted(_constants_plain)
def _constants(e, y, rows, columns):
    assert isinstance(rows, int), "a constant of the caller"
    assert isinstance(columns, int), "captured by the caller"
    e.store(e.constant(rows + columns), y)


def _branches_plain(x, y, count):
    if count > 3:
        y[0] = -x[count]
    if count <= 3:
        y[0] = x[0] - x[1]


@emitted(_branches_plain)
def _branches(e, x, y, count):
    with e.when(count.compare(">", 3)):
        e.store_masked(e.first_lanes(e.integer(1)), -e.broadcast(x, count), y)
    with e.when(count.compare("<=", 3)):
        e.store_masked(e.first_lanes(e.integer(1)), e.broadcast(x) - e.broadcast(x, 1), y)


def _stream_plain(x, y):
    for i in range(len(y)):
        y[i] = x[i]


@emitted(_stream_plain)
def _stream(e, x, y):
    with e.loop(y.shape[0], step=e.lanes) as i:
        e.prefetch(x, i + 64)
        e.store_past_caches(e.load(x, i), y, i)


def _repeated_plain(x, y, last):
    for i in range(len(y)):
        y[i] = x[min(i, last)]


@emitted(_repeated_plain)
def _repeated(e, x, y, last):
    with e.loop(y.shape[0], step=e.lanes) as i:
        e.store(e.broadcast(x, last.minimum(i)), y, i)
        for lane in range(1, e.lanes):
            e.store_masked(e.first_lanes(e.integer(1)), e.broadcast(x, last.minimum(i + lane)), y, i + lane)


def _window_plain(x, y, low, high):
    for i in range(lanes_of(x.itemsize)):
        y[i] = x[i] if low <= i < high else 0


@emitted(_window_plain)
def _window(e, x, y, low, high):
    e.store(e.load_masked(e.lanes_between(low, high), x), y)


def _wide_window_plain(x, y, low, high):
    for i in range(3 * lanes_of(x.itemsize)):
        y[i] = x[i] if low <= i < high else 0


@emitted(_wide_window_plain)
def _wide_window(e, x, y, low, high):
    for v, mask in enumerate(e.masks_between(low, high, 3)):
        e.store(e.load_masked(mask, x, v * e.lanes), y, v * e.lanes)


def both(kernel):
    """The kernel emitted and plain, for calls from Python."""
    plain = kernel.plain
    return [njit(lambda *arguments: kernel(*arguments)), njit(lambda *arguments: plain(*arguments))]


def aligned(count, dtype):
    raw = np.zeros(count * 8 + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count * np.dtype(dtype).itemsize].view(dtype)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.mark.parametrize("count", [0, 1, 7, 16, 33, 100])
def test_tails_are_masked(dtype, count):
    rng = np.random.default_rng(count)
    a, b, y = (rng.integers(-9, 9, 128).astype(dtype) for _ in range(3))
    expected = y.copy()
    expected[:count] += a[:count] * b[0]
    for function in both(_multiply_add):
        got = y.copy()
        function(a, b, got, count)
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(("low", "high"), [(-3, 2), (1, 3), (2, 99), (3, 1), (-9, -2)])
def test_lanes_between(dtype, low, high):
    x = np.arange(1, 1 + lanes_of(np.dtype(dtype).itemsize), dtype=dtype)
    for function in both(_window):
        y = np.full_like(x, 7)
        function(x, y, low, high)
        np.testing.assert_array_equal(y, [v if low <= i < high else 0 for i, v in enumerate(x)])


@pytest.mark.parametrize(("low", "high"), [(-3, 2), (1, 30), (2, 99), (3, 1), (17, 19), (-9, -2), (-(2**31) + 1, 9)])
def test_masks_between(dtype, low, high):
    x = np.arange(1, 1 + 3 * lanes_of(np.dtype(dtype).itemsize), dtype=dtype)
    for function in both(_wide_window):
        y = np.full_like(x, 7)
        function(x, y, low, high)
        np.testing.assert_array_equal(y, [v if low <= i < high else 0 for i, v in enumerate(x)])


@pytest.mark.parametrize("kernel", [_block_sum, _block_sum_round_by_round])
@pytest.mark.parametrize("rows", [1, 5])
def test_a_loop_carries_variables(dtype, rows, kernel):
    x = np.arange(8 * 40, dtype=dtype).reshape(8, 40)[:, 3:]  # rows that are not contiguous, nor aligned
    for function in both(kernel):
        y = np.zeros(lanes_of(x.itemsize), dtype)
        function(x, y, rows)
        np.testing.assert_array_equal(y, x[:rows, : len(y)].sum(0))


def test_a_square_is_transposed_in_registers(dtype):
    lanes = lanes_of(np.dtype(dtype).itemsize)
    x = np.arange(lanes**2, dtype=dtype).reshape(lanes, lanes)
    for function in both(_transpose):
        y = np.zeros_like(x)
        function(x, y)
        np.testing.assert_array_equal(y, x.T)


def test_constants_of_the_caller_arrive_as_python_values(dtype):
    columns = 3

    @njit
    def caller(y):
        _constants(y, 5, columns)

    y = np.zeros(lanes_of(np.dtype(dtype).itemsize), dtype)
    caller(y)
    assert set(y) == {8}


@pytest.mark.parametrize("count", [2, 5])
def test_branches(dtype, count):
    x = np.arange(1, 20, dtype=dtype) ** 2
    for function in both(_branches):
        y = np.full(4, 7, dtype)
        function(x, y, count)
        np.testing.assert_array_equal(y, [-x[5] if count > 3 else -3, 7, 7, 7])


@pytest.mark.skipif(not emitter.VECTOR_BYTES, reason="what runs here is plain code, which LLVM unrolls as it likes")
def test_a_loop_is_left_as_it_is_on_demand():
    def additions(kernel):
        function = njit(lambda *arguments: kernel(*arguments))
        function(np.zeros((4, 64)), np.zeros(64), 4)
        (assembly,) = function.inspect_asm().values()
        return assembly.count("addp") + assembly.count("fadd")

    assert additions(_block_sum_round_by_round) < additions(_block_sum)


@pytest.mark.parametrize("last", [0, 5, 100])
def test_the_lesser_of_two(dtype, last):
    x, y = np.arange(128, dtype=dtype), np.zeros(64, dtype)
    for function in both(_repeated):
        y[:] = -1
        function(x, y, last)
        np.testing.assert_array_equal(y, np.minimum(np.arange(64), last))


def test_stores_past_the_caches(dtype):
    x, y = np.arange(640, dtype=dtype), aligned(256, dtype)
    for function in both(_stream):
        y[:] = 0
        function(x, y)
        np.testing.assert_array_equal(y, x[:256])


CPUS = {"AVX2": ("haswell", "+avx,+avx2,+fma", 32), "no vector unit that is known": ("x86-64", "+sse2", 0)}


@pytest.mark.parametrize("cpu", CPUS)
def test_other_cpus(cpu):
    """Everything above once more, compiled for a CPU with narrower vectors, or none."""
    if emitter.VECTOR_BYTES < 32 or "NUMBA_CPU_NAME" in os.environ:
        pytest.skip("needs an x86-64 CPU with AVX2, compiled for itself")
    name, features, vector_bytes = CPUS[cpu]
    env = {**os.environ, "NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "EXPECTED": str(vector_bytes)}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", __file__]
    finished = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_width_is_that_of_the_cpu_compiled_for():
    expected = int(os.environ.get("EXPECTED", emitter.VECTOR_BYTES))
    assert expected == emitter.VECTOR_BYTES
