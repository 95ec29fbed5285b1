"""Every kernel compiles for every kind of card, at the sizes that matter, and keeps its data in registers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from contract.harness import changed
from convbench.algorithm import Resources
from convbench.operands import operands
from convbench.spec import ConvSpec
from convbench_algorithms.cuda.device import Kernel, using
from gpu.nvrtc import compiled, needs_nvrtc
from gpu.shim_device import ShimDevice
from gpu.targets import ALGORITHMS, EVERYTHING, algorithm

pytestmark = needs_nvrtc

ARCHITECTURES = ("sm_80", "sm_90", "sm_120")
LEAST_KERNELS = 1


class Recorder(ShimDevice):
    """Notes which kernels are asked for, and allocates nothing to speak of."""

    def compile(self, kernel: Kernel, constants: Mapping[str, np.ndarray] | None = None) -> Any:
        self.compiled.add(kernel)
        return lambda *_: None

    def upload(self, host: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.zeros((), host.dtype), host.shape)

    def empty(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return np.broadcast_to(np.zeros((), dtype), shape)

    def real_fft(self, *_: Any) -> Any:
        return _NoFft()


class _NoFft:
    workspace_bytes = 0

    def forward(self, *_: Any) -> None:
        pass


def kernels(name: str) -> set[Kernel]:
    """Those that an algorithm asks for over all targets that it supports."""
    recorder = Recorder()
    with using(recorder):
        for text in EVERYTHING:
            spec = ConvSpec.parse(text)
            if algorithm(name).supports(spec) is None:
                small = changed(spec, n=1, h=spec.r, w=spec.s)
                algorithm(name).plan(spec, Resources()).prepare(operands(small, 0).prepared)
    return recorder.compiled


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_it_compiles_and_nothing_is_spilled(name: str, architecture: str) -> None:
    found = {kernel: compiled(kernel, architecture) for kernel in kernels(name)}
    assert len(found) >= LEAST_KERNELS
    spilled = {kernel: made for kernel, made in found.items() if made.spilled_bytes}
    assert not spilled


@pytest.mark.parametrize(
    ("file", "entry"),
    [("timing.cu", "hold"), ("timing.cu", "look_at_clock"), ("ceilings.cu", "multiply_add"), ("ceilings.cu", "copy")],
)
def test_what_measures_a_card_compiles(file: str, entry: str) -> None:
    assert compiled(Kernel.of(file, entry, REAL="float", CHAINS=16), "sm_90").spilled_bytes == 0


def test_a_spill_is_seen() -> None:
    """A tile of 8 rows of 8 columns of 4 filters wants 256 registers for its sums alone."""
    some = next(kernel for kernel in kernels("cuda_direct") if kernel.file == "direct.cu")
    greedy = dict(some.macros) | {"ROWS": "8", "COLS": "8", "FILTERS": "4", "R": "3", "S": "3", "ROLLED": "0"}
    assert compiled(Kernel.of(some.file, some.entry, **greedy), "sm_90").spilled_bytes > 0
