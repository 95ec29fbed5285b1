"""A clock for kernels: how long each thread was in each stage, where threads do not wait for each other between them.

    t = now_ns(clock) if clock else 0
    …
    if clock:
        t = lapped(clock, t, spent, stage)      # spent[stage] += what has passed since t

`clock` is an argument, CLOCK or 0 for a call that is not watched: an address is another one in every process, and must
not get into a kernel that is kept on disk. To look takes some 30 ns.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from typing import Any, Final

from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic

from convbench.algorithm import Array
from convbench.staged import Stages

CLOCK: Final = int(ctypes.cast(ctypes.CDLL(None).clock_gettime, ctypes.c_void_p).value or 0)
"""The address of POSIX's clock_gettime."""


def _now_ns(_context: Any, _clock: Any) -> Any:
    """Nanoseconds of the monotonic clock at the address `clock`."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        i32, i64 = ir.IntType(32), ir.IntType(64)
        timespec = cgutils.alloca_once(builder, i64, size=2)  # type: ignore[no-untyped-call]
        function = ir.FunctionType(i32, [i32, i64.as_pointer()])
        builder.call(
            builder.inttoptr(arguments[0], function.as_pointer()), [ir.Constant(i32, time.CLOCK_MONOTONIC), timespec]
        )
        seconds, nanoseconds = (builder.load(builder.gep(timespec, [ir.Constant(i32, i)])) for i in (0, 1))
        return builder.add(builder.mul(seconds, ir.Constant(i64, 10**9)), nanoseconds)

    return types.int64(types.int64), codegen


now_ns: Any = intrinsic(_now_ns)


@njit(nogil=True, cache=True)
def lapped(clock: int, since_ns: int, spent: Array, stage: int) -> int:
    """Add to spent[stage] what has passed since `since_ns`; the time now."""
    at: int = now_ns(clock)
    spent[stage] += at - since_ns
    return at


def stages_of(names: Sequence[str], spent: Array) -> Stages:
    """The mean over threads of spent [threads,stages], in nanoseconds, as seconds by name."""
    return dict(zip(names, (spent.mean(axis=0) * 1e-9).tolist(), strict=True))
