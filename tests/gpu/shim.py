"""Runs CUDA C++ kernels without a GPU: their exact source, compiled by g++ with `shim.h` and the sanitizers."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from convbench_algorithms.cuda.device import SOURCES

HERE: Final = Path(__file__).parent
FLAGS: Final = (
    "-std=c++17",
    "-O1",
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unknown-pragmas",
    "-Wno-clobbered",
)
SANITIZED: Final = (
    "-DPROGRAM",
    "-g1",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)
LIBRARY: Final = ("-shared", "-fPIC", "-fno-gnu-unique", "-Wl,-Bsymbolic")
ORDERS: Final = ("forward", "reverse", "shuffled")
Triple = tuple[int, int, int]

HAS_COMPILER: Final = shutil.which("g++") is not None
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="needs g++")


class KernelError(Exception):
    """What the shim or a sanitizer found, in its own words."""


@dataclass(frozen=True)
class Executable:
    """A kernel as a program: see `shim.cpp` for what it reads and writes."""

    path: Path

    def run(
        self,
        arguments: Sequence[np.ndarray | np.generic],
        grid: Triple,
        block: Triple,
        shared_bytes: int = 0,
        constant: np.ndarray | None = None,
        order: str = "forward",
        seed: int = 0,
    ) -> list[np.ndarray]:
        """Launch once; the arrays among the arguments as the kernel left them. Raises `KernelError`.

        Arrays are buffers, NumPy scalars are numbers of their own type. `order` is the one in which a block's
        threads run between barriers.
        """
        given = [struct.pack("=8iq", ORDERS.index(order), seed, *grid, *block, shared_bytes)]
        given.append(struct.pack("=i", len(arguments)))
        for argument in arguments:
            is_buffer = isinstance(argument, np.ndarray)
            given += [struct.pack("=iq", is_buffer, argument.nbytes), argument.tobytes()]
        if constant is not None:
            given += [struct.pack("=q", constant.nbytes), constant.tobytes()]
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
        done = subprocess.run([self.path], input=b"".join(given), capture_output=True, env=environment)
        if done.returncode != 0:
            raise KernelError(done.stderr.decode(errors="replace"))
        left, found = memoryview(done.stdout), []
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                array = np.frombuffer(left[: argument.nbytes], argument.dtype).reshape(argument.shape)
                found.append(array.copy())
                left = left[argument.nbytes :]
        return found


@dataclass(frozen=True)
class Library:
    """A kernel in this process, without sanitizers: for the many launches of the contract suite."""

    path: Path

    def run(
        self,
        arguments: Sequence[np.ndarray | np.generic],
        grid: Triple,
        block: Triple,
        shared_bytes: int = 0,
        constants: Mapping[str, np.ndarray] | None = None,
        order: str = "forward",
        seed: int = 0,
    ) -> None:
        """Launch once, on the arrays where they lie. Raises `KernelError`."""
        loaded = ctypes.CDLL(str(self.path))
        for name, values in (constants or {}).items():
            room = (ctypes.c_char * values.nbytes).in_dll(loaded, name)
            ctypes.memmove(room, values.ctypes.data, values.nbytes)
        count = len(arguments)
        arrays = [np.asarray(argument) for argument in arguments]
        is_buffer = (ctypes.c_int * count)(*(isinstance(argument, np.ndarray) for argument in arguments))
        sizes = (ctypes.c_size_t * count)(*(array.nbytes for array in arrays))
        places = (ctypes.c_void_p * count)(*(array.ctypes.data for array in arrays))
        extents = ((ctypes.c_int * 3)(*grid), (ctypes.c_int * 3)(*block))
        message = ctypes.create_string_buffer(1000)
        launch = loaded.shim_launch
        launch.argtypes = [ctypes.c_int] * 2 + [ctypes.c_void_p] * 2 + [ctypes.c_size_t, ctypes.c_int]
        launch.argtypes += [ctypes.c_void_p] * 3 + [ctypes.c_char_p, ctypes.c_size_t]
        shared = (shared_bytes, count, is_buffer, sizes, places, message, len(message))
        if launch(ORDERS.index(order), seed, *extents, *shared):
            raise KernelError(message.value.decode())


def build(
    source: Path, kernel: str, macros: Mapping[str, Any] | None = None, constant: str | None = None
) -> Executable:
    """Compile a kernel of a .cu file with the sanitizers."""
    named = {} if constant is None else {"CONSTANT": constant}
    return Executable(_compiled(source, kernel, {**(macros or {}), **named}, SANITIZED))


def library(source: Path, kernel: str, macros: Mapping[str, Any]) -> Library:
    """Compile a kernel of a .cu file for this process."""
    return Library(_compiled(source, kernel, macros, LIBRARY))


def _compiled(source: Path, kernel: str, macros: Mapping[str, Any], flags: Sequence[str]) -> Path:
    """Found again by what it was made from."""
    defined = {"KERNEL_FILE": f'"{source}"', "KERNEL": kernel, **macros}
    words = [*FLAGS, *flags, *(f"-D{name}={value}" for name, value in defined.items())]
    headers = sorted(source.parent.glob("*.cuh")) or sorted(SOURCES.glob("*.cuh"))
    texts = [path.read_bytes() for path in (source, *headers, HERE / "shim.h", HERE / "shim.cpp")]
    path = _folder() / _digest(words, texts)
    if not path.exists():
        first = ["-include", _header(tuple(flags))]
        _run_compiler([*words, *first, f"-I{HERE}", f"-I{SOURCES}", HERE / "shim.cpp"], path)
    return path


@cache
def _header(flags: tuple[str, ...]) -> Path:
    """Includes `shim.h`, and lies beside what g++ made of it with these flags: the standard library is parsed once."""
    text = f'#include "{HERE / "shim.h"}"\n'
    path = _folder() / f"{_digest([*FLAGS, *flags, text], [(HERE / 'shim.h').read_bytes()])}.h"
    made = Path(f"{path}.gch")
    if not made.exists():
        path.write_text(text)
        _run_compiler([*FLAGS, *flags, "-x", "c++-header", path], made)
    return path


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"convbench-shim-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    return folder


def _digest(words: Sequence[str], texts: Sequence[bytes]) -> str:
    return hashlib.sha256("\0".join(words).encode() + b"\0".join(texts)).hexdigest()[:20]


def _run_compiler(words: Sequence[str | Path], path: Path) -> None:
    """`path` appears once it is whole: other processes look for it too. Raises `KernelError`."""
    made = path.with_suffix(f".{os.getpid()}")
    done = subprocess.run(["g++", *words, "-o", made], capture_output=True, text=True)
    if done.returncode != 0:
        raise KernelError(done.stderr)
    made.replace(path)


def run_in_all_orders(executable: Executable, *arguments: Any, **options: Any) -> list[np.ndarray]:
    """What the kernel leaves, the same bits in each order of threads. Raises `KernelError` where it is not."""
    first = executable.run(*arguments, order="forward", **options)
    for order, seed in (("reverse", 0), ("shuffled", 1), ("shuffled", 2)):
        other = executable.run(*arguments, order=order, seed=seed, **options)
        for one, two in zip(first, other, strict=True):
            if one.tobytes() != two.tobytes():
                raise KernelError(f"threads in {order} order leave another result: a barrier is missing")
    return first
