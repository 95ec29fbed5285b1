"""What this card could do at most, measured: see `convbench_algorithms.ceilings`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy import int32, int64

from convbench.algorithm import MiB
from convbench_algorithms.cuda.device import Device, Kernel, absence, current

THREADS: Final = 256
CHAINS: Final = 16
REPEATS: Final = 9


@dataclass(frozen=True)
class Sizes:
    """Some milliseconds on a large card."""

    blocks: int = 132 * 64
    rounds: int = 4096
    copied_bytes: int = 1024 * MiB
    matrix: int = 8192


def measure_card_ceilings(device: Device, sizes: Sizes | None = None) -> tuple[float, float, float]:
    """Multiply-adds in FLOP/s, bytes read and written a second by a copy, and a matrix product in FLOP/s; float32."""
    sizes = sizes or Sizes()
    multiply_add, copy = (
        device.compile(Kernel.of("ceilings.cu", entry, REAL="float", CHAINS=CHAINS))
        for entry in ("multiply_add", "copy")
    )
    factors = device.upload(np.array([0.5, 0.5], np.float32))
    sums = device.empty((sizes.blocks * THREADS,), "float32")
    source = device.upload(np.zeros(sizes.copied_bytes // 4, np.float32))
    target = device.empty((sizes.copied_bytes // 4,), "float32")
    rng = np.random.default_rng(0)  # zeros take less power, and so a higher clock
    matrix = device.upload(rng.standard_normal((sizes.matrix, sizes.matrix), np.float32))
    product = device.empty((sizes.matrix, sizes.matrix), "float32")
    count = sizes.copied_bytes // 16
    block = (THREADS, 1, 1)

    def multiply_adds() -> None:
        multiply_add((sizes.blocks, 1, 1), block, (factors, sums, int32(sizes.rounds)))

    def copies() -> None:
        copy((-(-count // THREADS), 1, 1), block, (source, target, int64(count)))

    def products() -> None:
        device.multiply(matrix, matrix, product)

    return (
        2.0 * sizes.blocks * THREADS * sizes.rounds * CHAINS / _fastest_s(device, multiply_adds),
        2.0 * sizes.copied_bytes / _fastest_s(device, copies),
        2.0 * sizes.matrix**3 / _fastest_s(device, products),
    )


def main() -> None:
    """Write the card's name and its ceilings to standard output, or null where there is none."""
    found = None if absence() else {"name": current().name, "rates": measure_card_ceilings(current())}
    sys.stdout.write(json.dumps(found))


def _fastest_s(device: Device, call: Callable[[], Any]) -> float:
    device.batch(call, (), 1)
    return min(device.batch(call, (), 1)[0] for _ in range(REPEATS))


if __name__ == "__main__":
    main()
