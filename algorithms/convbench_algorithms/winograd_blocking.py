"""How many tiles a block of Winograd convolution has, who works on it, and how its arrays lie in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from convbench.algorithm import Resources
from convbench.boundary import OUTSIDE, IndexMap, index_maps
from convbench.spec import ConvSpec
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.winograd_stages import RUN
from convbench_algorithms.winograd_transforms import Transform

Pair = tuple[Transform, Transform]
Shape = tuple[int, ...]

FILTER_SHARE: Final = 7 / 8
"""Of the limit for tiles, that the transformed filter may have."""

LEAST_TILES: Final = 28
"""Rows of V for which the products run at full speed: two blocks of them in registers."""

TAPS_BYTES: Final = 16 * 1024


@dataclass(frozen=True)
class Blocking:
    """The tiles of a spec, in blocks of at most `block`.

    `together`: all threads work on one block, and share the channels; else each has blocks of its own.
    The shapes are those of `run_stages` and `transform_filter`.
    """

    tiles: int
    block: int
    together: bool
    V_shape: Shape
    M_shape: Shape
    U_shape: Shape
    lines_shape: Shape
    taps_shape: Shape
    workspace_bytes: int

    @staticmethod
    def choose(spec: ConvSpec, resources: Resources, pair: Pair) -> Blocking:
        """Blocks of (C/groups)·K/(C + K) tiles, or fewer where the limit for tiles wants it.

        With so many, V and M are together as large as U, and neither has most of the traffic between caches: fewer read
        U too often, more leave the second-level cache. Where there are not even half as many for each thread,
        they work together, so that U is read but once.
        """
        L = lanes_of(spec.itemsize)
        frequencies = pair[0].alpha * pair[1].alpha
        tiles = count_tiles(spec, pair)
        depth = spec.c // spec.groups
        vectors = spec.groups * -(-(spec.k // spec.groups) // L)
        C, K = _odd(-(-spec.c // L)) * L, _odd(vectors) * L
        fair = max(LEAST_TILES, depth * spec.k // (spec.c + spec.k))
        together = resources.threads > 1 and 2 * tiles < fair * resources.threads
        teams = 1 if together else resources.threads
        taps = pair[0].r * pair[1].r
        chunk = max(1, min(TAPS_BYTES // (taps * L * spec.itemsize), depth))
        filters = frequencies, _filter_pitch(spec)
        lines = resources.threads, max(pair[0].alpha, pair[0].m), (RUN * pair[1].m + pair[1].r - 1 + 2 * L) * L
        scratch = resources.threads, (chunk * taps + L) * L
        beside = sum(math.prod(shape) for shape in (filters, lines, scratch))
        room = max(0, resources.tile_limit_bytes // spec.itemsize - beside)
        limit = room // (teams * frequencies * (C + K)) - 2
        block = max(1, min(tiles if together else -(-tiles // teams), 2 * fair if together else fair, limit))
        rows = _odd(block + block % 2)
        shapes: tuple[Shape, Shape, Shape, Shape, Shape] = (
            (teams, frequencies, rows, C),
            (teams, frequencies, rows, K),
            filters,
            lines,
            scratch,
        )
        nbytes = sum(math.prod(shape) for shape in shapes) * spec.itemsize
        return Blocking(tiles, block, together, *shapes, nbytes)


def filter_bytes(spec: ConvSpec, pair: Pair) -> int:
    """Of U: it does not depend on the image, and is packed whole vectors at a time."""
    return pair[0].alpha * pair[1].alpha * _filter_pitch(spec) * spec.itemsize


def fits(spec: ConvSpec, resources: Resources, pair: Pair) -> bool:
    """Whether all of U has room in the limit for tiles, beside a block of them."""
    return filter_bytes(spec, pair) <= FILTER_SHARE * resources.tile_limit_bytes


def _filter_pitch(spec: ConvSpec) -> int:
    L = lanes_of(spec.itemsize)
    return _odd(spec.groups * -(-(spec.k // spec.groups) // L) * (spec.c // spec.groups)) * L


def count_tiles(spec: ConvSpec, pair: Pair) -> int:
    """Of all images."""
    return spec.n * -(-spec.p // pair[0].m) * -(-spec.q // pair[1].m)


def _odd(count: int) -> int:
    """`count`, or one more: vectors at odd distances share no set of the cache."""
    return count | 1


def padded_maps(spec: ConvSpec, pair: Pair) -> tuple[IndexMap, IndexMap]:
    """`index_maps`, with zeros after them as far as the last tiles reach."""
    maps = []
    for index_map, outputs, transform in zip(index_maps(spec), (spec.p, spec.q), pair, strict=True):
        reach = -(-outputs // transform.m) * transform.m + transform.r - 1
        maps.append(np.pad(index_map, (0, max(0, reach - len(index_map))), constant_values=OUTSIDE))
    return maps[0], maps[1]
