"""A stand-in for the card: arrays are NumPy's, kernels run through the shim, cuFFT and cuBLAS are NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from convbench.algorithm import computing_dtype
from convbench_algorithms.cuda.device import SOURCES, Device, Kernel, RealFft, Triple
from convbench_algorithms.cuda.tf32 import split_tf32
from gpu.shim import ORDERS, Library, build, library, run_in_all_orders


@dataclass
class ShimDevice(Device):
    """See `convbench_algorithms.cuda.device.Device`; calls are timed by the host's clock.

    Launches take the orders of threads in turn, so that what depends on them differs from one call to the next.
    """

    name: str = "stand-in"
    highest_hz: float = 1e9
    most_shared_bytes: int = 227 * 1024
    sources: Path = SOURCES
    compiled: set[Kernel] = field(default_factory=set)
    launches: Any = field(default_factory=count)

    def compile(self, kernel: Kernel, constants: Mapping[str, np.ndarray] | None = None) -> Any:
        self.compiled.add(kernel)
        start = perf_counter()
        made = library(self.sources / kernel.file, kernel.entry, dict(kernel.macros))
        self.loaded, self.loading_s = self.loaded + 1, self.loading_s + perf_counter() - start
        return _Function(self, made, {name: values.copy() for name, values in (constants or {}).items()})

    def upload(self, host: np.ndarray) -> np.ndarray:
        return host.copy()

    def empty(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        array = np.empty(shape, dtype)
        array.fill(np.nan if array.dtype.kind in "fc" else 0)
        return array

    def multiply(self, a: np.ndarray, b: np.ndarray, out: np.ndarray, *, tf32: bool = False) -> None:
        if tf32:
            a, b = split_tf32(a)[0], split_tf32(b)[0]
        out[...] = np.matmul(a, b, dtype=computing_dtype(str(out.dtype)))

    def real_fft(self, images: int, extent: tuple[int, int], dtype: str) -> RealFft:
        return _NumpyFft((images, *extent))

    def numpy(self) -> Any:
        return np

    def scipy(self, part: str) -> Any:
        return import_module(f"scipy.{part}")

    def download(self, array: np.ndarray) -> np.ndarray:
        return array.copy()

    def synchronise(self) -> None:
        pass

    def free_bytes(self) -> int:
        return 2**34

    def used_bytes(self) -> int:
        return 0

    def batch(self, call: Callable[..., Any], arguments: tuple[Any, ...], calls: int) -> tuple[float, Any]:
        start, result = perf_counter(), None
        for _ in range(calls):
            result = call(*arguments)
        return perf_counter() - start, result

    def cool(self) -> None:
        pass

    def clock_hz(self) -> float:
        return 1e9


@dataclass(frozen=True)
class _Function:
    device: ShimDevice
    made: Library
    constants: Mapping[str, np.ndarray]

    def __call__(self, grid: Triple, block: Triple, arguments: tuple[Any, ...], shared_bytes: int = 0) -> None:
        assert all(0 < extent <= most for extent, most in zip(grid, (2**31 - 1, 65535, 65535), strict=True)), grid
        assert np.prod(block) <= 1024
        launch = next(self.device.launches)
        order = ORDERS[launch % len(ORDERS)]
        self.made.run(arguments, grid, block, shared_bytes, self.constants, order, seed=launch)


@dataclass(frozen=True)
class _NumpyFft:
    shape: tuple[int, int, int]
    workspace_bytes: int = 0

    def forward(self, real: np.ndarray, spectrum: np.ndarray) -> None:
        assert real.shape == self.shape
        spectrum[...] = np.fft.rfft2(real)

    def inverse(self, spectrum: np.ndarray, real: np.ndarray) -> None:
        assert real.shape == self.shape
        real[...] = np.fft.irfft2(spectrum, s=self.shape[1:], norm="forward")
        spectrum.fill(np.nan)


class SanitizedDevice(ShimDevice):
    """Every launch by a program with the sanitizers, in every order of threads where these wait for anything; slow."""

    def compile(self, kernel: Kernel, constants: Mapping[str, np.ndarray] | None = None) -> Any:
        self.compiled.add(kernel)
        name, values = next(iter((constants or {}).items()), (None, None))
        made = build(self.sources / kernel.file, kernel.entry, dict(kernel.macros), constant=name)
        kept = None if values is None else values.copy()
        source = (self.sources / kernel.file).read_text()
        meet = "__syncthreads" in source or "wait_for_copies" in source

        def launch(grid: Triple, block: Triple, arguments: tuple[Any, ...], shared_bytes: int = 0) -> None:
            run = partial(run_in_all_orders, made) if meet else made.run
            found = run(arguments, grid=grid, block=block, shared_bytes=shared_bytes, constant=kept)
            arrays = [argument for argument in arguments if isinstance(argument, np.ndarray)]
            for array, left in zip(arrays, found, strict=True):
                array[...] = left

        return launch
