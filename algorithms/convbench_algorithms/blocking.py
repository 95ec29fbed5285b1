"""How a product is cut into jobs for threads: by channels or by pixels, and which of the two kernels takes them.

The choice is made by counting, not by timing, so a plan is the same every time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt

from convbench.algorithm import Array
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.product import pack, split

# Fitted on Zen 5, in multiply-adds of one vector, to products that are long one way or the other: writing a vector of
# outputs costs as much as so many steps of its sum, and pixels in lanes take so much longer for each step, since their
# vectors come from further away than packed weights do.
WRITING: Final = 4
TRANSPOSING: Final = 13
PIXEL_STEP: Final = 1.05
COPYING: Final = 6
"""Of a vector into a panel: a load, a store, and what misses the caches."""

Part = tuple[int, int, int]
"""Its lines, their length in pixels, and the elements that are copied before it is multiplied."""

Jobs = npt.NDArray[np.int64]


@final
@dataclass(frozen=True)
class Blocking:
    """A product of K rows, with `wide` for `channels_in_lanes`; both numbers of parts are for each image and group."""

    K: int
    wide: bool
    channel_parts: int
    pixel_parts: int

    def channel_edges(self, itemsize: int) -> list[int]:
        """Where each part of the channels begins, and K: at whole vectors where they lie in lanes."""
        if not self.wide:
            return split(self.K, self.channel_parts)
        lanes = lanes_of(itemsize)
        return [min(edge * lanes, self.K) for edge in split(-(-self.K // lanes), self.channel_parts)]

    def pixel_edges(self, pixels: int, itemsize: int) -> list[int]:
        """Where each part of the pixels begins, and their number: at whole vectors where they lie in lanes."""
        lanes = 1 if self.wide else lanes_of(itemsize)
        return [min(edge * lanes, pixels) for edge in split(-(-pixels // lanes), self.pixel_parts)]

    def jobs(self, images: int, edges: list[int], itemsize: int) -> Jobs:
        """[·,5]: image, first and last channel, first and last of what `edges` cut; neighbours share their weights."""
        parts = itertools.product(_pairs(self.channel_edges(itemsize)), range(images), _pairs(edges))
        return np.array([(image, *channels, *pixels) for channels, image, pixels in parts], np.int64)

    def packed(self, w: Array) -> Array:
        """w [G,K,T] for the kernels [G,·]: that of channel k, where a part begins, is at k·T."""
        edges = self.channel_edges(w.itemsize)
        return np.stack([np.concatenate([pack(part[a:b], self.wide) for a, b in _pairs(edges)]) for part in w])


def _pairs(edges: list[int]) -> list[tuple[int, int]]:
    return [(a, b) for a, b in itertools.pairwise(edges) if a < b]


def largest_part(total: int, parts: int, unit: int = 1) -> int:
    """Of `total` cut into parts at multiples of `unit`."""
    units = -(-total // unit)
    return -(-units // parts) * unit


def job_cost(wide: bool, K: int, T: int, lines: int, length: int, lanes: int) -> float:
    """Multiply-adds of a vector for K channels of `lines` runs of `length` pixels, or what takes as long."""
    if wide:
        return -(-K // lanes) * lines * length * (T + TRANSPOSING)
    return K * lines * -(-length // lanes) * (PIXEL_STEP * T + WRITING)


def best_blocking(
    images: int, K: int, T: int, threads: int, itemsize: int, fewest_parts: int, part: Callable[[int, bool], Part]
) -> Blocking:
    """The cheapest way for `images` products of weights [K,T], with at least `fewest_parts` parts of the pixels.

    `part` gives the largest of so many parts of the pixels, for `channels_in_lanes` or not.
    """
    lanes = lanes_of(itemsize)

    def cost(candidate: tuple[bool, int, int]) -> float:
        wide, channel_parts, pixel_parts = candidate
        rounds = -(-images * channel_parts * pixel_parts // threads)
        channels = largest_part(K, channel_parts, lanes if wide else 1)
        lines, length, copied = part(pixel_parts, wide)
        # Each thread reads its part of the weights and of the pixels.
        reading = T * (channels + lines * length) / lanes
        return rounds * (job_cost(wide, channels, T, lines, length, lanes) + COPYING * copied / lanes + reading)

    pixel_parts = sorted({fewest_parts, -(-fewest_parts // threads) * threads})
    return Blocking(K, *min(itertools.product((True, False), (1, threads), pixel_parts), key=cost))
