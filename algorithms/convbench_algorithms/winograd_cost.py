"""Which tile suits a layer: larger ones save multiplications, and waste them at edges and on a filter grown large.

The unit is the multiply-add of a vector. With F = α_h·α_w frequencies, T tiles, and C and K channels in ⌈C⌉ and ⌈K⌉
vectors,

    products     F·T·C/groups·⌈K⌉
    filter       F·C/groups·⌈K⌉ vectors of U are read, each at the price of `STREAM` products, once a block of tiles;
                 half of the lesser of the two hides behind the other
    transforms   F·T·(⌈C⌉ + ⌈K⌉) vectors, each the sum of α_h + α_w terms at the price of `TRANSFORM` products

The prices are fitted to stage times, and so that the choice is what was faster on the networks' layers (Zen 5).
"""

from __future__ import annotations

from itertools import product
from typing import Final

from convbench.algorithm import Resources
from convbench.spec import ConvSpec
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.winograd_blocking import Blocking
from convbench_algorithms.winograd_transforms import Transform, transforms

STREAM: Final = 12
"""Multiply-adds in the time that one vector takes from memory or the last cache: 64 bytes at 40 GB/s."""

TRANSFORM: Final = 3.3
"""Multiply-adds in the time that one vector of V or M takes to be computed, written and read, for each of its terms."""

GAIN: Final = 0.98
"""A larger tile loses digits, so it must save some of the time."""

LARGEST: Final = 8
"""α of the largest tiles: their errors stay below 1e-4 in float32."""


def choose_transforms(spec: ConvSpec) -> tuple[Transform, Transform]:
    """F(m_h, R) and F(m_w, S) of least cost, m of 2, 4 or 6 along each axis."""
    pairs = sorted(
        product(_candidates(spec.r), _candidates(spec.s)),
        key=lambda pair: pair[0].amplification * pair[1].amplification,
    )
    best = pairs[0]
    for pair in pairs[1:]:
        if cost(spec, pair) < GAIN * cost(spec, best):
            best = pair
    return best


def _candidates(taps: int) -> list[Transform]:
    if taps == 1:
        return [transforms(1, 1)]
    return [transforms(m, taps) for m in (2, 4, 6) if m + taps - 1 <= LARGEST]


def cost(spec: ConvSpec, pair: tuple[Transform, Transform]) -> float:
    """Multiply-adds of a vector that the convolution takes as long as, on one thread."""
    blocking = Blocking.choose(spec, Resources(), pair)
    frequencies = pair[0].alpha * pair[1].alpha
    lanes = lanes_of(spec.itemsize)
    C, K = (-(-channels // lanes) for channels in (spec.c, spec.k // spec.groups))
    K *= spec.groups
    factors = frequencies * (spec.c // spec.groups) * K
    products = factors * blocking.tiles
    stream = factors * STREAM * -(-blocking.tiles // blocking.block)
    transformed = frequencies * blocking.tiles * (C + K) * TRANSFORM * (pair[0].alpha + pair[1].alpha)
    return max(products, stream) + min(products, stream) / 2 + transformed
