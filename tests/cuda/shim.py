"""Runs CUDA C++ kernels without a GPU: their exact source, compiled by g++ with `shim.h` and the sanitizers."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

HERE: Final = Path(__file__).parent
FLAGS: Final = (
    "-std=c++17",
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unknown-pragmas",
)
ORDERS: Final = ("forward", "reverse", "shuffled")
Triple = tuple[int, int, int]

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


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


def build(
    source: Path, kernel: str, macros: Mapping[str, Any] | None = None, constant: str | None = None
) -> Executable:
    """Compile a kernel of a .cu file; found again by what it was made from."""
    defined = {"KERNEL_FILE": f'"{source}"', "KERNEL": kernel, **(macros or {})}
    if constant is not None:
        defined["CONSTANT"] = constant
    words = [*FLAGS, *(f"-D{name}={value}" for name, value in defined.items())]
    texts = [path.read_bytes() for path in (source, HERE / "shim.h", HERE / "shim.cpp")]
    digest = hashlib.sha256("\0".join(words).encode() + b"\0".join(texts)).hexdigest()[:20]
    folder = Path(tempfile.gettempdir()) / f"convbench-shim-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    path = folder / digest
    if not path.exists():
        made = path.with_suffix(f".{os.getpid()}")
        command = ["g++", *words, f"-I{HERE}", str(HERE / "shim.cpp"), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise KernelError(done.stderr)
        made.replace(path)
    return Executable(path)


def run_in_all_orders(executable: Executable, *arguments: Any, **options: Any) -> list[np.ndarray]:
    """What the kernel leaves, the same bits in each order of threads. Raises `KernelError` where it is not."""
    first = executable.run(*arguments, order="forward", **options)
    for order, seed in (("reverse", 0), ("shuffled", 1), ("shuffled", 2)):
        other = executable.run(*arguments, order=order, seed=seed, **options)
        for one, two in zip(first, other, strict=True):
            if one.tobytes() != two.tobytes():
                raise KernelError(f"threads in {order} order leave another result: a barrier is missing")
    return first
