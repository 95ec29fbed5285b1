"""The card, by CuPy. The only module here that imports it, and the only one that cannot be tested without a card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from math import prod
from time import perf_counter
from typing import Any, Final, final

import cupy
import numpy as np
from cupy._core import _routines_linalg
from cupy.cuda import Event, Stream, compiler, driver

from convbench.algorithm import Array
from convbench_algorithms.cuda.device import SOURCES, Argument, Device, DeviceArray, Function, Kernel, RealFft, Triple

SHARED_BYTES: Final = 48 * 1024
"""Of a block, without asking for more."""
MAX_DYNAMIC_SHARED_SIZE_BYTES: Final = 8  # CUfunction_attribute

QUEUE: Final = 400
"""Calls that are put behind a held queue. It has room for 1024 launches: who waits for room would wait for ever."""
HOLD_S: Final = 0.5
CLOCK_SPAN_NS: Final = np.int64(20_000)
SWEEPS: Final = 2
"""Times the second-level cache, which does not evict in strict order."""


@final
class CupyDevice(Device):
    """See `Device` and `Accelerator`: the current card and its default stream."""

    def __init__(self) -> None:
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
        self.name = properties["name"].decode()
        self.most_shared_bytes = properties["sharedMemPerBlockOptin"]
        self.highest_hz = 1e3 * cupy.cuda.Device().attributes["ClockRate"]
        self.sweep = cupy.empty(SWEEPS * properties["l2CacheSize"], np.uint8)
        self.passed = cupy.empty(2, np.int64)
        pinned = cupy.cuda.alloc_pinned_memory(4)
        self.flag = np.frombuffer(pinned, np.int32, 1)
        self.flag_pointer = np.uint64(pinned.ptr)
        self.waiting: set[Callable[..., Any]] = set()
        self._hold = self.compile(Kernel.of("timing.cu", "hold", REAL="float"))
        self._look_at_clock = self.compile(Kernel.of("timing.cu", "look_at_clock", REAL="float"))

    # --- what algorithms ask for

    def compile(self, kernel: Kernel, constants: Mapping[str, Array] | None = None) -> Function:
        """See `Device`."""
        start = perf_counter()
        module = load(kernel)
        self.loaded, self.loading_s = self.loaded + 1, self.loading_s + perf_counter() - start
        for name, values in (constants or {}).items():
            room = cupy.cuda.UnownedMemory(module.get_global_var(name), values.nbytes, module)
            there = cupy.ndarray(values.shape, values.dtype, cupy.cuda.MemoryPointer(room, 0))
            there.set(np.ascontiguousarray(values))
        return _Function(module, module.get_function(kernel.entry))

    def upload(self, host: Array) -> DeviceArray:
        """See `Device`."""
        return cupy.asarray(host)

    def empty(self, shape: tuple[int, ...], dtype: str) -> DeviceArray:
        """See `Device`."""
        return cupy.empty(shape, dtype)

    def multiply(self, a: DeviceArray, b: DeviceArray, out: DeviceArray, *, tf32: bool = False) -> None:
        """See `Device`."""
        if out.dtype == np.float32:
            wanted = _routines_linalg.COMPUTE_TYPE_TF32 if tf32 else _routines_linalg.COMPUTE_TYPE_FP32
            _routines_linalg.set_compute_type(np.float32, wanted)
        cupy.matmul(a, b, out=out)

    def real_fft(self, images: int, extent: tuple[int, int], dtype: str) -> RealFft:
        """See `Device`."""
        return _CuFft(images, extent, dtype)

    def numpy(self) -> Any:
        """See `Device`."""
        return cupy

    def scipy(self, part: str) -> Any:
        """See `Device`."""
        return import_module(f"cupyx.scipy.{part}")

    # --- what the harness asks for

    def download(self, array: DeviceArray) -> Array:
        """See `Accelerator`."""
        found: Array = cupy.asnumpy(array)
        return found

    def synchronise(self) -> None:
        """See `Accelerator`."""
        Stream.null.synchronize()

    def free_bytes(self) -> int:
        """See `Accelerator`."""
        free, _ = cupy.cuda.runtime.memGetInfo()
        return int(free) + int(cupy.get_default_memory_pool().free_bytes())

    def used_bytes(self) -> int:
        """See `Accelerator`."""
        return int(cupy.get_default_memory_pool().total_bytes())

    def batch(self, call: Callable[..., Any], arguments: tuple[Any, ...], calls: int) -> tuple[float, Any]:
        """See `Accelerator`: events around launches that were queued behind one that holds the queue."""
        start, end = Event(), Event()
        self.synchronise()
        self.flag[0] = 0
        held = calls <= QUEUE and call not in self.waiting
        if held:
            self._hold((1, 1, 1), (1, 1, 1), (self.flag_pointer, np.int64(1e9 * HOLD_S)))
        start.record()
        result, begin = None, perf_counter()
        for _ in range(calls):
            result = call(*arguments)
        end.record()
        if held and perf_counter() - begin > HOLD_S:
            self.waiting.add(call)  # it allocates, say, or copies: behind a held queue it waits until that gives up
        self.flag[0] = 1
        end.synchronize()
        return 1e-3 * float(cupy.cuda.get_elapsed_time(start, end)), result

    def cool(self) -> None:
        """See `Accelerator`: write more than the second-level cache holds."""
        self.sweep.fill(0)

    def clock_hz(self) -> float:
        """See `Accelerator`."""
        self._look_at_clock((1, 1, 1), (1, 1, 1), (self.passed, CLOCK_SPAN_NS))
        cycles, nanoseconds = self.download(self.passed)
        return float(cycles) / float(nanoseconds) * 1e9


def load(kernel: Kernel) -> Any:
    """The kernel's module, loaded anew; CuPy keeps its binary on disk. What it includes is in that cache's key."""
    options = ("--std=c++17", f"-I{SOURCES}", *(f"-D{name}={value}" for name, value in kernel.macros))
    source = (SOURCES / kernel.file).read_text(encoding="utf-8")
    included = "".join(path.read_text(encoding="utf-8") for path in sorted(SOURCES.glob("*.cuh")))
    return compiler._compile_module_with_cache(source, options, extra_source=included)


@final
class _Function:
    def __init__(self, module: Any, entry: Any) -> None:
        self.module = module  # unloads its code when it goes
        self.entry = entry
        self.shared_bytes = SHARED_BYTES

    def __call__(self, grid: Triple, block: Triple, arguments: tuple[Argument, ...], shared_bytes: int = 0) -> None:
        if shared_bytes > self.shared_bytes:
            driver.funcSetAttribute(self.entry.ptr, MAX_DYNAMIC_SHARED_SIZE_BYTES, shared_bytes)
            self.shared_bytes = shared_bytes
        self.entry(grid, block, arguments, shared_mem=shared_bytes)


@final
class _CuFft:
    """Two plans of cuFFT's: its own layouts are ours."""

    def __init__(self, images: int, extent: tuple[int, int], dtype: str) -> None:
        from cupy.cuda import cufft

        half = (extent[0], extent[1] // 2 + 1)
        there, back = (cufft.CUFFT_R2C, cufft.CUFFT_C2R) if dtype == "float32" else (cufft.CUFFT_D2Z, cufft.CUFFT_Z2D)
        real, spectrum = (extent, 1, prod(extent)), (half, 1, prod(half))
        self.there = cufft.PlanNd(extent, *real, *spectrum, there, images, "C", 2, half[1])
        self.back = cufft.PlanNd(extent, *spectrum, *real, back, images, "C", 2, extent[1])
        self.workspace_bytes = sum(int(plan.work_area.mem.size) for plan in (self.there, self.back))

    def forward(self, real: DeviceArray, spectrum: DeviceArray) -> None:
        self.there.fft(real, spectrum, -1)

    def inverse(self, spectrum: DeviceArray, real: DeviceArray) -> None:
        self.back.fft(spectrum, real, 1)
