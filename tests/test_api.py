"""The Python API: the right answer, or a clear exception."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from scipy import signal

import convbench as cb
from convbench.errors import OperandError, SpecError, UnknownAlgorithmError, UnsupportedError, WorkspaceTooLargeError

RNG = np.random.default_rng(7)


def randn(*shape: int, dtype: str = "float32") -> Any:
    return RNG.standard_normal(shape).astype(dtype)


def test_the_three_calls() -> None:
    spec = cb.ConvSpec(n=1, c=16, h=20, w=20, k=16, r=3, s=3, padding=1)
    x, w = randn(*spec.x_shape), randn(*spec.w_shape)
    conv = cb.prepare(spec, w, algorithm="im2col", threads=2)
    y = conv(x)
    again = np.full(spec.y_shape, np.nan, np.float32)
    conv.execute(x, again)
    assert np.array_equal(y, again)
    assert "im2col" in cb.algorithms()


@pytest.mark.parametrize(
    ("shape", "kernel"), [((1, 1, 30, 31), 3), ((1, 1, 60, 60), 25), ((2, 16, 12, 12), 3), ((1, 8, 9, 9), 1)]
)
def test_auto_is_right_whatever_it_chooses(shape: tuple[int, int, int, int], kernel: int) -> None:
    x = randn(*shape, dtype="float64")
    w = randn(16, shape[1], kernel, kernel, dtype="float64")
    y = cb.conv2d(x, w)
    for n in range(shape[0]):
        expected = sum(signal.correlate2d(x[n, c], w[5, c], mode="valid") for c in range(shape[1]))
        assert np.allclose(y[n, 5], expected, atol=1e-9)


def test_images_of_two_dimensions() -> None:
    x, w = randn(40, 50, dtype="float64"), randn(5, 5, dtype="float64")
    y = cb.conv2d(x, w, padding="same", boundary="symmetric", flip=True)
    assert np.allclose(y, signal.convolve2d(x, w, mode="same", boundary="symm"))


@pytest.mark.parametrize(
    ("x", "w", "message"),
    [
        (randn(1, 1, 8, 8, dtype="float64"), randn(1, 1, 3, 3), "w must be float64"),
        (randn(1, 1, 8, 8)[..., ::2], randn(1, 1, 3, 3), "x must be C-contiguous"),
        (randn(1, 2, 8, 8), randn(1, 1, 3, 3), "x has C=2 channels and w has C/groups=1"),
        (randn(8, 8), randn(1, 1, 3, 3), "x and w must both be of 4 dimensions"),
        (randn(1, 1, 8, 8).tolist(), randn(1, 1, 3, 3), "x must be a numpy array, not list"),
        (np.full((1, 1, 8, 8), np.nan, np.float32), randn(1, 1, 3, 3), "x contains NaN or Inf"),
        (randn(1, 1, 8, 8), np.full((1, 1, 3, 3), np.inf, np.float32), "w contains NaN or Inf"),
        (randn(1, 1, 2, 2), randn(1, 1, 3, 3), "the output is empty"),
        (randn(1, 1, 8, 8).astype(int), randn(1, 1, 3, 3).astype(int), "dtype 'int64' is unknown"),
    ],
)
def test_operands_that_do_not_fit_raise(x: Any, w: Any, message: str) -> None:
    with pytest.raises((OperandError, SpecError), match=message.replace("(", r"\(")):
        cb.conv2d(x, w)


def test_outputs_that_do_not_fit_raise() -> None:
    spec = cb.ConvSpec(h=8, w=8, r=3, s=3, padding=1)
    conv = cb.prepare(spec, randn(1, 1, 3, 3), algorithm="direct")
    x = randn(1, 1, 8, 8)
    with pytest.raises(OperandError, match="x and y overlap"):
        conv.execute(x, x)
    y = np.empty((1, 1, 8, 8), np.float32)
    y.flags.writeable = False
    with pytest.raises(OperandError, match="y is read-only"):
        conv.execute(x, y)
    with pytest.raises(OperandError, match=r"y must"):
        conv.execute(x, np.empty((1, 1, 8, 9), np.float32))


def test_what_cannot_be_done_is_said() -> None:
    spec = cb.ConvSpec(h=8, w=8, r=3, s=3)
    w = randn(1, 1, 3, 3)
    with pytest.raises(UnknownAlgorithmError, match=r"unknown algorithm 'nave'; valid: .*naive"):
        cb.prepare(spec, w, algorithm="nave")
    with pytest.raises(UnsupportedError, match="gemm1x1: "):
        cb.prepare(spec, w, algorithm="gemm1x1")
    with pytest.raises(UnsupportedError, match=r"separable: .*rank 3"):
        cb.prepare(cb.ConvSpec(h=8, w=8, r=3, s=3, filter="gaussian:1"), w, algorithm="separable")
    with pytest.raises(WorkspaceTooLargeError, match="needs"):
        cb.prepare(spec, w, algorithm="im2col", memory_limit_bytes=10)
    with pytest.raises(OperandError, match="threads=0 is out of range"):
        cb.prepare(spec, w, threads=0)
    with pytest.raises(AttributeError, match="conv3d"):
        cb.conv3d  # noqa: B018


def test_calls_from_several_threads_do_not_mix() -> None:
    spec = cb.ConvSpec(h=64, w=64, r=9, s=9, padding="same")
    conv = cb.prepare(spec, randn(1, 1, 9, 9), algorithm="im2col")
    images = [randn(*spec.x_shape) for _ in range(8)]
    expected = [conv(image) for image in images]
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        for _ in range(20):
            found[number] = conv(images[number])

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(found[number], expected[number]) for number in range(8))


def test_importing_convbench_imports_no_numerics() -> None:
    import subprocess
    import sys

    script = "import convbench, sys; print([m for m in ('numpy', 'numba', 'scipy', 'matplotlib') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "[]"
