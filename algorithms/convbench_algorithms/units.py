"""How an output is shared out: what is computed on its own, by one thread at a time."""

from __future__ import annotations

import numpy as np

from convbench.boundary import IndexMap
from convbench.spec import Shape4


def output_units(shape: Shape4, bands: int, strips: int, lanes: int) -> IndexMap:
    """n, k, the outputs from p to p' and from q to q' of each unit [units,6], for an output of `shape` [N,K,P,Q].

    Strips of columns begin at multiples of `lanes`.
    """
    N, K, P, Q = shape
    panels = -(-Q // lanes)
    bands, strips = min(P, bands), min(panels, strips)
    q = [min(Q, i * panels // strips * lanes) for i in range(strips + 1)]
    p = [i * P // bands for i in range(bands + 1)]
    units = [
        (n, k, p[i], p[i + 1], q[j], q[j + 1])
        for n in range(N)
        for k in range(K)
        for i in range(bands)
        for j in range(strips)
    ]
    return np.array(units, np.int64)
