"""The shim finds what it is there for: kernels that are right pass in any order, planted faults do not."""

from __future__ import annotations

import numpy as np
import pytest

from gpu.shim import HERE, Executable, KernelError, build, needs_compiler, run_in_all_orders

pytestmark = needs_compiler

TAPS = 5
H, W = 21, 37


def column_sums(fault: int) -> tuple[np.ndarray, np.ndarray]:
    """What the kernel says, and what is right."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((H, W), np.float32)
    w = rng.standard_normal(TAPS).astype(np.float32)
    y = np.full_like(x, np.nan)
    kernel = build(HERE / "column_sums.cu", "column_sums", {"TAPS": TAPS, "FAULT": fault}, constant="filter")
    _, found = run_in_all_orders(
        kernel,
        [x, y, np.int32(H), np.int32(W)],
        grid=(-(-W // 16), 1, 1),
        block=(16, 8, 1),
        shared_bytes=(8 + TAPS - 1) * 16 * 4,
        constant=w,
    )
    padded = np.pad(x.astype(np.float64), ((TAPS // 2, TAPS // 2), (0, 0)))
    expected = sum(w[r] * padded[r : r + H] for r in range(TAPS))
    return found, np.asarray(expected)


def test_a_kernel_that_is_right_gives_the_right_result_in_every_order() -> None:
    found, expected = column_sums(0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("fault", "told"), [(3, "heap-buffer-overflow"), (5, "before a barrier|different barriers")])
def test_a_fault_is_named(fault: int, told: str) -> None:
    with pytest.raises(KernelError, match=told):
        column_sums(fault)


@pytest.mark.parametrize("fault", [1, 4])
def test_a_missing_barrier_makes_the_result_depend_on_the_order(fault: int) -> None:
    with pytest.raises(KernelError, match="a barrier is missing"):
        column_sums(fault)


def test_a_halo_that_is_too_short_reads_what_was_never_written() -> None:
    found, expected = column_sums(2)
    assert np.isnan(found).any()
    assert not np.isnan(expected).any()


def warp_sums(fault: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(3 * 64, dtype=np.float32)
    kernel = build(HERE / "warp_sums.cu", "warp_sums", {"FAULT": fault})
    _, found = run_in_all_orders(kernel, [x, np.full(6, np.nan, np.float32)], grid=(3, 1, 1), block=(64, 1, 1))
    return found, x.reshape(6, 32).sum(axis=1)


def test_shuffles_exchange_what_the_lanes_of_a_warp_hold() -> None:
    found, expected = warp_sums(0)
    np.testing.assert_array_equal(found, expected)


def test_halves_are_those_of_ieee_754() -> None:
    """Every half, and of the floats those between two halves and on either side of where rounding turns."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    exact = halves.astype(np.float32)
    between = ((exact[:-1].astype(np.float64) + exact[1:]) / 2).astype(np.float32)
    floats = np.concatenate((exact, between, np.nextafter(between, np.float32(0)), np.float32([65519.9, 65520, 1e9])))
    floats = np.resize(floats, -(-len(floats) // 32) * 32)
    with np.errstate(over="ignore"):
        expected = floats.astype(np.float16)
    for kernel, x, right in (("to_float", halves, exact), ("to_half", floats, expected)):
        made = build(HERE / "halves.cu", kernel, {"REAL": "float", "STORED": "Half"})
        _, found = made.run([x, np.zeros_like(right)], grid=(len(x) // 32, 1, 1), block=(32, 1, 1))
        np.testing.assert_array_equal(found, right)


def test_a_shuffle_that_lanes_are_missing_from_is_a_fault() -> None:
    with pytest.raises(KernelError, match="a shuffle waits for lanes that do not come"):
        warp_sums(1)


def test_a_launch_with_the_wrong_arguments_is_a_fault() -> None:
    kernel: Executable = build(HERE / "warp_sums.cu", "warp_sums", {"FAULT": 0})
    with pytest.raises(KernelError, match="another number of arguments"):
        kernel.run([np.zeros(32, np.float32)], (1, 1, 1), (32, 1, 1))
    with pytest.raises(KernelError, match="a pointer is given a number"):
        kernel.run([np.zeros(32, np.float32), np.float32(1)], (1, 1, 1), (32, 1, 1))
