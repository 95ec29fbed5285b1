"""convbench: which convolution algorithm is fastest here, is it right, and did my last commit slow it down.

import convbench as cb
y = cb.conv2d(x, w, padding=1)
conv = cb.prepare(cb.ConvSpec(c=64, h=56, w=56, k=64, r=3, s=3, padding=1), w, algorithm="winograd_f4")
cb.algorithms()
cb.convolve_large("x.npy", w, "y.npy", memory_limit_bytes=2**30)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convbench.api import algorithms, conv2d, prepare
    from convbench.convolution import Convolution
    from convbench.large import convolve_large
    from convbench.spec import ConvSpec

__all__ = ["ConvSpec", "Convolution", "algorithms", "conv2d", "convolve_large", "prepare"]


def __getattr__(name: str) -> Any:
    """Import on first use: a worker process, or `convbench --help`, must not pay for all of it."""
    if name not in __all__:
        raise AttributeError(f"module 'convbench' has no attribute '{name}'")
    globals()[name] = found = _found(name)
    return found


def _found(name: str) -> Any:
    if name == "ConvSpec":
        from convbench.spec import ConvSpec

        return ConvSpec
    if name == "Convolution":
        from convbench.convolution import Convolution

        return Convolution
    if name == "convolve_large":
        from convbench.large import convolve_large

        return convolve_large
    from convbench import api

    return getattr(api, name)
