"""The machine's ceilings: the loop does the multiply-adds that are counted."""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, njit

from convbench import catalog
from convbench_algorithms import ceilings
from convbench_algorithms.ceilings import SUMS, multiply_add_block
from convbench_algorithms.emitter import lanes_of


def test_every_multiply_add_is_done() -> None:
    plain = multiply_add_block.plain
    lanes = lanes_of(4)
    factor = np.full(lanes, 0.5, np.float32)
    expected = np.zeros((SUMS, lanes), np.float32)
    for _ in range(5):
        expected = expected * factor + factor
    for call in (njit(lambda f, s, n: multiply_add_block(f, s, n)), njit(lambda f, s, n: plain(f, s, n))):
        sums = np.zeros((SUMS, lanes), np.float32)
        call(factor, sums, 5)
        np.testing.assert_array_equal(sums, expected)


def test_ceilings_are_told_for_a_number_of_threads(monkeypatch) -> None:
    monkeypatch.setattr(ceilings, "ROUNDS", 1000)
    monkeypatch.setattr(ceilings, "COPY_BYTES", 2**20)
    monkeypatch.setattr(ceilings, "PRODUCT", 64)
    before = get_num_threads()
    found = catalog.ceilings(1)
    assert found.threads == 1
    assert 0 < found.multiply_add_flops_per_s < 1e13
    assert 0 < found.copy_bytes_per_s < 1e13
    assert 0 < found.matrix_product_flops_per_s < 1e13
    assert get_num_threads() == before
