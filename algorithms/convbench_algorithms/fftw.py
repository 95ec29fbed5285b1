"""Real FFTs planned by FFTW, in single or double precision, within half a second."""

from __future__ import annotations

from threading import Lock
from typing import Any, Final

import numpy as np
import pyfftw

from convbench.algorithm import Array

# FFTW measures candidate plans and keeps the best so far when its time is up; it remembers them (its "wisdom")
# for this process. Twice the time found a faster plan for one size in eight between 1080 and 2112.
PLANNING_LIMIT_S: Final = 0.25

# pyFFTW locks the planner itself but sets its thread count and time limit before it takes that lock.
_planning = Lock()


def aligned_zeros(shape: tuple[int, ...], dtype: str, *, spectrum: bool = False) -> Array:
    """Zeros where FFTW's vector instructions want them, real or, for a `spectrum`, complex of that precision."""
    zeros: Array = pyfftw.zeros_aligned(shape, np.result_type(dtype, np.complex64) if spectrum else dtype)
    return zeros


def plan_transform(source: Array, target: Array, *, threads: int) -> Any:
    """FFTW's plan for the last two axes: real [...,M,N] to spectra [...,M,N//2+1], or back. Zeroes both arrays.

    `execute()` allocates nothing, releases the interpreter's lock, does not scale (forth and back multiplies
    by M·N), and on the way back destroys its source.
    """
    with _planning:
        plan = pyfftw.FFTW(
            source,
            target,
            axes=(-2, -1),
            direction="FFTW_BACKWARD" if np.iscomplexobj(source) else "FFTW_FORWARD",
            flags=("FFTW_MEASURE", "FFTW_DESTROY_INPUT"),
            threads=threads,
            planning_timelimit=PLANNING_LIMIT_S,
        )
    source.fill(0)  # measuring leaves anything behind, NaN too
    target.fill(0)
    return plan
