"""What the algorithms here need of a card. Nothing names a library: CuPy stands behind it, or a test's stand-in.

An algorithm asks `current()` for the card when it plans. Arrays are the device's own; x and y come from it too.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from convbench.algorithm import Accelerator, Array, ConvAlgorithm, Unsupported
from convbench.errors import ConvbenchError

SOURCES: Final = Path(__file__).parent
"""Where the .cu files are, and what they include."""

CONSTANT_BYTES: Final = 64 * 1024
"""Of constant memory, on every card."""

MULTIPROCESSORS: Final = 132
"""Of an H100 or H200, which work is shared out for; a card with fewer takes more rounds."""

TYPES: Final = {
    "float16": {"REAL": "float", "STORED": "Half"},
    "float32": {"REAL": "float"},
    "float64": {"REAL": "double"},
}
"""The macros that make a kernel one for a dtype: what is computed in, and where it is another one, what is stored."""

DeviceArray = Any
"""An array on the card, with NumPy's `shape`, `dtype` and `reshape`."""

Triple = tuple[int, int, int]
Argument = DeviceArray | np.generic


@dataclass(frozen=True)
class Kernel:
    """A `__global__` function with C linkage in a .cu file, and the macros that it is compiled with."""

    file: str
    entry: str
    macros: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, file: str, entry: str, **macros: object) -> Kernel:
        """With the macros as keywords."""
        return cls(file, entry, tuple((name, str(value)) for name, value in macros.items()))


class Function(Protocol):
    """A compiled kernel."""

    def __call__(self, grid: Triple, block: Triple, arguments: tuple[Argument, ...], shared_bytes: int = 0) -> None:
        """Launch it; returns before it has run."""


class RealFft(Protocol):
    """Transforms of real images, many at once: real [B,M,N] to complex [B,M,N/2+1] and back, neither scaled."""

    workspace_bytes: int

    def forward(self, real: DeviceArray, spectrum: DeviceArray) -> None:
        """Spectrum = F(real)."""

    def inverse(self, spectrum: DeviceArray, real: DeviceArray) -> None:
        """Real = M·N·F⁻¹(spectrum); the spectrum may be overwritten."""


class Device(Accelerator):
    """A card: what the harness asks of it, and what algorithms do."""

    most_shared_bytes: int
    """Of shared memory, in a block that asks for more than is usual."""

    @abstractmethod
    def compile(self, kernel: Kernel, constants: Mapping[str, Array] | None = None) -> Function:
        """The kernel, with its `__constant__` arrays set; those are its own, whoever compiles the same kernel."""

    @abstractmethod
    def empty(self, shape: tuple[int, ...], dtype: str) -> DeviceArray:
        """An array of whatever was there."""

    @abstractmethod
    def multiply(self, a: DeviceArray, b: DeviceArray, out: DeviceArray, *, tf32: bool = False) -> None:
        """`out = a @ b` of stacks of matrices: [..,M,L] times [..,L,N], stacks broadcast as NumPy's.

        In full precision, or on tensor cores with both factors rounded to TF32.
        """

    @abstractmethod
    def numpy(self) -> Any:
        """The module that is NumPy for its arrays: `cupy`."""

    @abstractmethod
    def scipy(self, part: str) -> Any:
        """The part of SciPy for its arrays: `cupyx.scipy.ndimage` for "ndimage"."""

    @abstractmethod
    def real_fft(self, images: int, extent: tuple[int, int], dtype: str) -> RealFft:
        """Transforms of that many images of that extent."""


_in_use: Device | None = None


def current() -> Device:
    """The card to plan for. Raises `ConvbenchError` where there is none."""
    if _in_use is not None:
        return _in_use
    if reason := absence():
        raise ConvbenchError(reason)
    return _cupy_device()


@contextmanager
def using(device: Device) -> Iterator[None]:
    """Plan for another device meanwhile: a test's."""
    global _in_use
    before, _in_use = _in_use, device
    try:
        yield
    finally:
        _in_use = before


def absence() -> str:
    """Why there is no card to use, or nothing. Tells without touching the driver, which no process may fork after."""
    if _in_use is not None:
        return ""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return "no CUDA device: the system shows no NVIDIA card"
    if find_spec("cupy") is None:
        return "no CUDA device: CuPy is not installed; try: pip install 'convbench[cuda]'"
    return ""


def unsupported_by_card(dtype: str) -> Unsupported | None:
    """The reason of every algorithm here: no card, or a dtype that is not among `TYPES`."""
    if dtype not in TYPES:
        return Unsupported(f"{dtype} is none of {', '.join(TYPES)}")
    return Unsupported(reason) if (reason := absence()) else None


@lru_cache(maxsize=1)
def _cupy_device() -> Device:
    from convbench_algorithms.cuda.cupy_device import CupyDevice

    return CupyDevice()


class CudaAlgorithm(ConvAlgorithm):
    """What all algorithms here share."""

    device = "cuda"

    def accelerator(self) -> Accelerator:
        """See `ConvAlgorithm`."""
        return current()
