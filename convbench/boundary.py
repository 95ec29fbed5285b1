"""What the padding holds: each boundary mode as a map from padded index to source index.

`numpy.pad` is the definition, so the map is `numpy.pad` applied to the indices themselves.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from convbench.spec import Boundary, ConvSpec, Pair

IndexMap = npt.NDArray[np.int64]
OUTSIDE: Final = -1  # a padded element that holds zero


def index_map(extent: int, padding: Pair, boundary: Boundary) -> IndexMap:
    """For each of the `before + extent + after` padded elements its source index, or `OUTSIDE`."""
    indices = np.arange(extent, dtype=np.int64)
    if boundary == "zero":
        return np.pad(indices, padding, constant_values=OUTSIDE)
    return np.pad(indices, padding, mode=boundary)


def index_maps(spec: ConvSpec) -> tuple[IndexMap, IndexMap]:
    """The maps for rows and columns of x: [H + pads], [W + pads]."""
    rows = index_map(spec.h, spec.padding[0], spec.boundary)
    return rows, index_map(spec.w, spec.padding[1], spec.boundary)
