"""Convolutions whose work falls into stages that can be told apart: into frequencies, their products, and back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from time import perf_counter_ns
from typing import final

from convbench.algorithm import Array, PreparedConv

Stages = dict[str, float]
"""Seconds that each stage of a call took, by the name that people are shown, in the order in which stages come."""


class StagedConv(PreparedConv):
    """A prepared convolution that can tell what its stages take.

    To offer it is optional. Where a kernel goes through everything in one breath, there are no stages to be told apart.
    """

    @abstractmethod
    def execute_staged(self, x: Array, y: Array) -> Stages:
        """As `execute`, with the same result; what each stage took, of which there are two or more.

        Where threads go through the stages each at its own pace, that is the mean over the threads: so the stages add
        up to what a thread had to do, and the rest of the call is waiting. May allocate a little.
        """


@final
class Stopwatch:
    """Adds up laps by name. It runs from the moment it is made.

    watch = Stopwatch()
    for some in blocks:
        gather(some)
        watch.lap("gather columns")
        multiply(some)
        watch.lap("product")
    return watch.stages
    """

    def __init__(self) -> None:
        self.stages: Stages = {}
        self._since_ns = perf_counter_ns()

    def lap(self, name: str) -> None:
        """What has passed since the last lap belongs to the stage `name`."""
        now_ns = perf_counter_ns()
        self.stages[name] = self.stages.get(name, 0.0) + (now_ns - self._since_ns) * 1e-9
        self._since_ns = perf_counter_ns()

    def count(self, stages: Mapping[str, float]) -> None:
        """Others have told what the time since the last lap was spent on."""
        for name, spent_s in stages.items():
            self.stages[name] = self.stages.get(name, 0.0) + spent_s
        self._since_ns = perf_counter_ns()
