"""Which tile suits a layer: larger ones save multiplications, and waste them at edges and on a filter grown large.

The unit is the multiply-add of a vector. With F = α_h·α_w frequencies, T tiles, and C and K channels in ⌈C⌉ and ⌈K⌉
vectors,

    products     F·T·C/groups·⌈K⌉, T even in each block
    filter       F·C/groups·⌈K⌉ vectors of U are read once a block of tiles, each at the price of `STREAM` products,
                 or `STREAM_FAR` where U is larger than the last cache; most of the lesser of the two hides
    transforms   F·T·⌈C⌉ vectors in at the price of `INTO` products, F·T·⌈K⌉ out at `BACK` for each of F

The prices are fitted to the times of the stages for m of 4 to 7 on four layers (Zen 5): they describe them.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Final

from convbench.algorithm import MiB, Resources
from convbench.spec import ConvSpec
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.winograd_blocking import Blocking, fits
from convbench_algorithms.winograd_transforms import Transform, transforms

STREAM: Final = 7
"""Multiply-adds in the time that one vector takes from the last cache: 64 bytes at 80 GB/s."""

STREAM_FAR: Final = 15
"""Multiply-adds in the time that one vector takes from memory: 64 bytes at 36 GB/s."""

LAST_CACHE_BYTES: Final = 24 * MiB

HIDDEN: Final = 0.75
"""Of the lesser of products and reading."""

INTO: Final = 30
"""Multiply-adds in the time that a vector of V takes to be gathered, computed and written."""

BACK: Final = 0.33
"""Multiply-adds in the time that a vector of M takes, for each of F: large tiles do not fit the registers."""

GAIN: Final = 0.98
"""A larger tile loses digits, so it must save some of the time."""

LARGEST: Final = 9
"""α of the largest tiles: their errors stay below 1e-4 of the largest output in float32."""


def choose_transforms(spec: ConvSpec) -> tuple[Transform, Transform]:
    """F(m_h, R) and F(m_w, S) of least cost, m of 2 to 7, whose filters fit the limit for tiles if any do."""
    pairs = sorted(
        product(_candidates(spec.r), _candidates(spec.s)),
        key=lambda pair: pair[0].amplification * pair[1].amplification,
    )
    pairs = [pair for pair in pairs if fits(spec, Resources(), pair)] or pairs[:1]
    best = pairs[0]
    for pair in pairs[1:]:
        if cost(spec, pair) < GAIN * cost(spec, best):
            best = pair
    return best


def _candidates(taps: int) -> list[Transform]:
    if taps == 1:
        return [transforms(1, 1)]
    return [transforms(m, taps) for m in range(2, 8) if m + taps - 1 <= LARGEST]


def cost(spec: ConvSpec, pair: tuple[Transform, Transform]) -> float:
    """Multiply-adds of a vector that the convolution takes as long as, on one thread."""
    blocking = Blocking.choose(spec, Resources(), pair)
    frequencies = pair[0].alpha * pair[1].alpha
    lanes = lanes_of(spec.itemsize)
    C, K = (-(-channels // lanes) for channels in (spec.c, spec.k // spec.groups))
    K *= spec.groups
    factors = frequencies * (spec.c // spec.groups) * K
    blocks = -(-blocking.tiles // blocking.block)
    price = STREAM if math.prod(blocking.U_shape) * spec.itemsize <= LAST_CACHE_BYTES else STREAM_FAR
    products = factors * max(blocking.tiles, 2 * blocks)
    stream = factors * price * blocks
    transformed = frequencies * blocking.tiles * (C * INTO + K * BACK * frequencies)
    return max(products, stream) + min(products, stream) * (1 - HIDDEN) + transformed
