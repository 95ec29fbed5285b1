"""Compiles kernels for real cards where there is none, and reads what the assembler says of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import pytest

from convbench_algorithms.cuda.device import SOURCES, Kernel

needs_nvrtc = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("cuda", "nvidia")), reason="needs NVRTC: pip install 'convbench[nvrtc]'"
)


@dataclass(frozen=True)
class Compiled:
    """What a kernel takes of a card."""

    registers: int
    spilled_bytes: int


@cache
def compiled(kernel: Kernel, architecture: str) -> Compiled:
    """Compile for `sm_90` or another; raises what NVRTC does, with its log."""
    from cuda.core import Program, ProgramOptions
    from cuda.pathfinder import find_nvidia_header_directory

    includes = [str(SOURCES), *(find_nvidia_header_directory(name) for name in ("cudart", "cccl"))]
    options = ProgramOptions(
        std="c++17",
        arch=architecture,
        include_path=includes,
        define_macro=list(kernel.macros),
        ptxas_options=["-v"],
    )
    log = _Log()
    Program((SOURCES / kernel.file).read_text(), "c++", options).compile("cubin", logs=log)
    return log.read(kernel.entry)


class _Log:
    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def read(self, entry: str) -> Compiled:
        """What is said after `Compiling entry function 'entry'`."""
        own = self.text.partition(f"'{entry}'")[2].partition("Compiling entry function")[0]
        found = {name: re.search(pattern, own) for name, pattern in _PATTERNS.items()}
        missing = [name for name, match in found.items() if match is None]
        assert not missing, self.text
        registers, *spilled = (int(match[1]) for match in found.values() if match)
        return Compiled(registers, sum(spilled))


_PATTERNS = {
    "registers": r"Used (\d+) registers",
    "stores": r"(\d+) bytes spill stores",
    "loads": r"(\d+) bytes spill loads",
}
