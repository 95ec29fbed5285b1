"""A plug-in file for the command line: a CUDA algorithm whose card is the stand-in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar, final

sys.path.insert(0, str(Path(__file__).parents[1]))

from convbench_algorithms.cuda import direct
from convbench_algorithms.cuda.device import CudaAlgorithm, using
from gpu.shim_device import ShimDevice

STAND_IN = using(ShimDevice())
STAND_IN.__enter__()


@final
class StandIn(CudaAlgorithm):
    """cuda_direct under another name."""

    name: ClassVar[str] = "stand_in"
    inner = direct.CudaDirect()
    supports = inner.supports
    error_model = inner.error_model
    plan = inner.plan
