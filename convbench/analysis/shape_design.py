"""Shapes that stand for those that people have: what `tune` measures, and what it is tried on.

A low-discrepancy sequence over what differs: image filters of one channel, layers, depthwise layers, and layers of few
channels. The sequence of one seed fills the space evenly, so that any part of it that was measured is a sample of all.

Source: Owen, "Randomly permuted (t,m,s)-nets and (t,s)-sequences" (1995), as `scipy.stats.qmc.Sobol` has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from scipy.stats import qmc

from convbench.spec import ConvSpec

T = TypeVar("T")

DIMENSIONS: Final = 8

MOST_FLOPS: Final = 2e9
"""Of a shape: what is larger behaves like this, and takes longer to measure."""
MOST_BYTES: Final = 64 * 2**20

KINDS: Final = {"filter": 0.3, "layer": 0.45, "depthwise": 0.12, "few": 0.13}
"""Of every shape, how many are of this kind."""
SQUARE: Final = 0.6
FILTER_EXTENTS: Final = (3, 3, 5, 5, 7, 9, 11, 13, 15, 19, 23, 27, 31, 39, 47, 63, 79, 101)
LAYER_EXTENTS: Final = ((3, 3), (3, 3), (3, 3), (1, 1), (1, 1), (5, 5), (7, 7), (1, 7), (7, 1), (2, 2), (11, 11))
DEPTHWISE_EXTENTS: Final = (3, 3, 5, 7)


def shapes(seed: int) -> Iterator[ConvSpec]:
    """Without end; the same ones for the same seed, none of them twice."""
    sequence = qmc.Sobol(DIMENSIONS, rng=seed)
    seen: set[ConvSpec] = set()
    while True:
        for point in sequence.random(64).tolist():
            spec = _shape(point)
            if spec not in seen and spec.direct_flops <= MOST_FLOPS and spec.minimal_bytes <= MOST_BYTES:
                seen.add(spec)
                yield spec


def _shape(point: Sequence[float]) -> ConvSpec:
    kind, image, aspect, c, k, taps, batch, stride = point
    name, rest = _pick(kind)
    if name == "filter":
        h = _between(48, 2400, image)
        w = min(max(_width(h, aspect), 32), 4096)
        extent = _one_of(FILTER_EXTENTS, taps)
        family = "random" if rest < 0.6 else f"gaussian:{extent / 6:.3g}"
        return ConvSpec(h=max(h, extent), w=max(w, extent), r=extent, s=extent, padding="same", filter=family)
    steps = 2 if stride > 0.8 else 1
    n = _one_of((1, 1, 1, 2, 4, 8, 16), batch)
    h = _between(7, 224, image)
    w = min(max(_width(h, aspect), 4), 256)
    if name == "depthwise":
        channels = 8 * _between(1, 128, c)
        extent = _one_of(DEPTHWISE_EXTENTS, taps)
        return ConvSpec(
            n=n,
            c=channels,
            h=h,
            w=w,
            k=channels,
            r=extent,
            s=extent,
            groups=channels,
            padding=extent // 2,
            stride=steps,
        )
    channels = _one_of((1, 2, 3, 3, 3, 4, 6, 8), c) if name == "few" else _between(8, 1024, c)
    filters = _between(1, 128, k) if name == "few" else _between(8, 1024, k)
    r, s = _one_of(LAYER_EXTENTS, taps)
    return ConvSpec(
        n=n, c=_rounded(channels), h=h, w=w, k=_rounded(filters), r=r, s=s, padding=(r // 2, s // 2), stride=steps
    )


def _pick(position: float) -> tuple[str, float]:
    """A kind, and where in it the position lies."""
    for name, share in KINDS.items():
        if position < share:
            return name, position / share
        position -= share
    return name, 1.0


def _width(height: int, position: float) -> int:
    """Mostly the height; else up to twice, or half, as much."""
    return height if position < SQUARE else round(height * 4 ** ((position - SQUARE) / (1 - SQUARE) - 0.5))


def _between(low: int, high: int, position: float) -> int:
    return round(math.exp(math.log(low) + position * math.log(high / low)))


def _one_of(values: Sequence[T], position: float) -> T:
    return values[min(int(position * len(values)), len(values) - 1)]


def _rounded(channels: int) -> int:
    """Layers have channels in eights, once there are many."""
    return channels if channels <= 16 else 8 * round(channels / 8)
