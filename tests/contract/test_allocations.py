"""`execute` allocates nothing, whoever would do it: numpy, Numba, FFTW, BLAS.

tracemalloc sees what Python and numpy take. The rest is seen by the operating system: with malloc told to take
every larger block afresh from it, and to give it back at once, each such block costs page faults, in every call.
"""

from __future__ import annotations

import ctypes
import resource
import sys
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numba import njit

from contract.cases import ALGORITHMS, CASES
from contract.harness import changed, prepared, thread_count
from convbench.algorithm import Array, PreparedConv, Resources
from convbench.operands import operands
from convbench.spec import ConvSpec

MAY_ALLOCATE_BYTES = 16 * 1024  # views, arguments of calls
BLOCK_BYTES = 32 * 1024  # FFTW takes smaller ones of its own while it executes: buffers for a few lines
MAY_FAULT_PAGES = 3
M_MMAP_THRESHOLD = -3
DEFAULT_THRESHOLD = 128 * 1024


@pytest.fixture
def fresh_blocks() -> Iterator[None]:
    """Every block of BLOCK_BYTES and more comes from the operating system."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs glibc's mallopt")
    libc = ctypes.CDLL(None)
    assert libc.mallopt(M_MMAP_THRESHOLD, BLOCK_BYTES)
    yield
    assert libc.mallopt(M_MMAP_THRESHOLD, DEFAULT_THRESHOLD)


def traced_bytes(call: Callable[[], None]) -> int:
    """The most that Python and numpy hold at once during the call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def faulted_pages(call: Callable[[], None]) -> int:
    """The pages that the process touches first in the call, in the quietest of five."""

    def once() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        call()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    return min(once() for _ in range(5))


def warm_call(conv: PreparedConv, x: Array, y: Array) -> Callable[[], None]:
    """A call whose first time, with all that is made once, is over."""

    def call() -> None:
        conv.execute(x, y)

    call()
    return call


@pytest.mark.parametrize("name", [name for name, one in ALGORITHMS.items() if one.device == "cpu"])
@pytest.mark.usefixtures("fresh_blocks")
def test_execute_allocates_nothing(name: str) -> None:
    """On the host; the card's stand-in has NumPy's transforms, which do."""
    algorithm = ALGORITHMS[name]
    if "allocates" in algorithm.tags:
        pytest.skip("says so in its tags")
    for threads in (1, 2):
        spec = changed(ConvSpec.parse(CASES[name].faults), n=1, c=16, k=16, h=64, w=64)  # 256 KiB and more an array
        made = operands(spec, 0)
        y = np.empty(spec.output_shape, spec.dtype)
        with thread_count(threads):
            conv = prepared(algorithm.plan(spec, Resources(threads=threads)), made.prepared)
            call = warm_call(conv, made.input, y)
            assert faulted_pages(call) <= MAY_FAULT_PAGES
            assert traced_bytes(call) <= MAY_ALLOCATE_BYTES


@njit
def _through_a_temporary(x, y):
    temporary = np.empty(x.size, x.dtype)
    for i in range(x.size):
        temporary[i] = 2 * x[i]
    for i in range(x.size):
        y[i] = temporary[i]


class _Hidden(PreparedConv):
    def execute(self, x: Array, y: Array) -> None:
        _through_a_temporary(x, y)


class _Open(PreparedConv):
    def execute(self, x: Array, y: Array) -> None:
        y[...] = 2 * x


@pytest.mark.usefixtures("fresh_blocks")
def test_what_allocates_is_found() -> None:
    x, y = np.ones(2**22, np.float32), np.empty(2**22, np.float32)  # 16 MiB: more than a hole in the heap
    assert faulted_pages(warm_call(_Hidden(), x, y)) > 32
    assert traced_bytes(warm_call(_Open(), x, y)) >= x.nbytes
