"""How many threads a problem is worth: handing out work costs as much as some hundred thousand multiply-adds."""

from __future__ import annotations

from typing import Any, Final

import numba

from convbench.spec import ConvSpec

HANDING_OUT_FLOPS: Final = 300_000
"""What one core does in the two microseconds or so in which another that waits is told what to do."""


def worthwhile_threads(spec: ConvSpec, threads: int) -> int:
    """`threads`, or 1 for what is done before a second one has begun."""
    return threads if spec.direct_flops > HANDING_OUT_FLOPS else 1


def run_on(threads: int, kernel: Any, *arguments: Any) -> None:
    """Call a parallel kernel with at most so many of the threads that Numba may use now."""
    allowed = numba.get_num_threads()
    if threads >= allowed:
        kernel(*arguments)
        return
    numba.set_num_threads(threads)
    try:
        kernel(*arguments)
    finally:
        numba.set_num_threads(allowed)
