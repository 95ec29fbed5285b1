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
from numba.core import types
from numba.extending import intrinsic

from convbench.algorithm import Array
from convbench.staged import Stages

CLOCK: Final = int(ctypes.cast(ctypes.CDLL(None).clock_gettime, ctypes.c_void_p).value or 0)
"""The address of POSIX's clock_gettime."""


def _now_ns(_context: Any, _clock: Any) -> Any:
    """Nanoseconds of the monotonic clock at the address `clock`."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.call(_reader(builder.module), arguments)

    return types.int64(types.int64), codegen


def _reader(module: Any) -> Any:
    """A function of its own, seldom called: within a kernel it would change how everything around it is compiled."""
    name = "convbench_now_ns"
    if name in module.globals:
        return module.globals[name]
    i32, i64 = ir.IntType(32), ir.IntType(64)
    reader = ir.Function(module, ir.FunctionType(i64, [i64]), name)
    reader.linkage = "linkonce_odr"
    for attribute in ("noinline", "cold", "nounwind"):
        reader.attributes.add(attribute)
    builder = ir.IRBuilder(reader.append_basic_block())
    timespec = builder.alloca(i64, 2)
    clock_gettime = ir.FunctionType(i32, [i32, i64.as_pointer()]).as_pointer()
    builder.call(builder.inttoptr(reader.args[0], clock_gettime), [ir.Constant(i32, time.CLOCK_MONOTONIC), timespec])
    seconds, nanoseconds = (builder.load(builder.gep(timespec, [ir.Constant(i32, i)])) for i in (0, 1))
    builder.ret(builder.add(builder.mul(seconds, ir.Constant(i64, 10**9)), nanoseconds))
    return reader


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
