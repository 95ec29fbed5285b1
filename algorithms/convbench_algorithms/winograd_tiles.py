"""How Winograd convolution cuts an image: tiles into segments, segments into blocks.

A *segment* is a window of tile rows and columns of one image: what one thread transforms at a time,
small enough for its scratch to stay in the second-level cache. A *block* of segments is multiplied
at a time, and bounds the workspace.
"""

from __future__ import annotations

import math
from typing import Final, final

import numpy as np

from convbench.algorithm import Resources
from convbench.boundary import OUTSIDE, IndexMap, index_maps
from convbench.spec import ConvSpec, Pair
from convbench_algorithms.block_product import lanes_of, padded_length
from convbench_algorithms.winograd_transforms import Transform

SCRATCH_BYTES: Final = 2**18
BLOCK_BYTES: Final = 2**23


@final
class Tiles:
    """The tiles of a spec.

    A segment's padded x is split by phase, as a strided convolution's would be: plane (i, j) of m_h·m_w holds
    element (i, j) of every tile, at one number a tile. Element m of a tile is element 0 of the next, so a
    segment needs `halo` more rows and columns of tiles, and tile (a, b) is lane a·width + b
    in all planes: the transforms run over lanes, whatever the tiles' shape.
    """

    def __init__(self, spec: ConvSpec, resources: Resources, pair: tuple[Transform, Transform]) -> None:
        self.frequencies = pair[0].alpha * pair[1].alpha
        halo = [(t.alpha - 1) // t.m for t in pair]
        total = [-(-outputs // t.m) for outputs, t in zip((spec.p, spec.q), pair, strict=True)]
        lane_bytes = {
            "block": self.frequencies * (spec.c + spec.k) * spec.itemsize,
            "scratch": 2 * pair[0].alpha * pair[1].alpha * spec.itemsize,
        }
        limit = min(resources.tile_limit_bytes, BLOCK_BYTES)
        lanes = max(1, min(limit // lane_bytes["block"], SCRATCH_BYTES // lane_bytes["scratch"]))
        columns = _even(total[1], max(1, min(total[1], lanes - halo[1])))
        rows = _even(total[0], max(1, min(total[0], (lanes + halo[1]) // (columns + halo[1]))))
        width = columns + halo[1]
        self.m: Pair = (pair[0].m, pair[1].m)
        self.window = (rows, columns, halo[0], halo[1])
        # The last row's halo is nobody's tile.
        vector = lanes_of(spec.itemsize)
        self.lanes = -(-(rows * width - halo[1]) // vector) * vector
        self.segments = np.array(
            [(n, a, b) for n in range(spec.n) for a in range(0, total[0], rows) for b in range(0, total[1], columns)],
            dtype=np.int64,
        )
        self.block = max(1, min(len(self.segments), limit // (lane_bytes["block"] * self.lanes)))
        self.pitch = padded_length(self.block * self.lanes, spec.itemsize)
        plane = padded_length(self.lanes + vector + halo[0] * width + halo[1], spec.itemsize)
        # Half-way through a transform, or a row of outputs before and after weaving.
        planes = max(pair[0].alpha * pair[1].m, pair[0].m * pair[1].alpha, 2 * pair[1].m)
        self.scratch_shape = (resources.threads, 2, planes, plane)
        i, j = np.arange(pair[0].alpha), np.arange(pair[1].alpha)
        # Where the elements of a tile's column and row are: in the phases, then in the frequencies.
        self.input_starts = (
            i % pair[0].m * pair[1].m * plane + i // pair[0].m * width,
            j % pair[1].m * plane + j // pair[1].m,
        )
        self.output_starts = (i * pair[1].alpha * spec.k * self.pitch, j * plane)
        self.left = spec.padding[1][0]
        reach = [(t + h + size) * p.m for t, h, size, p in zip(total, halo, (rows, columns), pair, strict=True)]
        row_map, col_map = index_maps(spec)
        self.maps = _extended(row_map, reach[0]), _extended(col_map, reach[1])
        self.channel_starts: IndexMap = np.arange(spec.c // spec.groups, dtype=np.int64) * self.pitch
        self.workspace_bytes = spec.itemsize * (
            self.frequencies * (spec.c + spec.k) * self.pitch + math.prod(self.scratch_shape)
        )


def _even(total: int, most: int) -> int:
    """The size of the fewest equal parts of `total` that are at most `most`."""
    return -(-total // -(-total // most))


def _extended(index_map: IndexMap, length: int) -> IndexMap:
    """The map with zeros after it: tiles reach past the padding."""
    return np.pad(index_map, (0, max(0, length - len(index_map))), constant_values=OUTSIDE)
