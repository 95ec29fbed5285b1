"""The passes of one kind of machine: which units are left to hand out, and when the next pass begins."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, final

from convbench.analysis.passes import Work, measured_in, refined, unmeasured, work_of
from convbench.result import Block, Cell, RunInfo


@final
class Kind:
    """Machines of one fingerprint. Each kind makes all passes of a run, for samples of different kinds do not mix."""

    def __init__(self, machine: dict[str, Any], passes: int, *, whole: bool) -> None:
        self.machine = machine
        self.passes = passes
        self.whole = whole
        self.pass_index = -1
        self.waiting: deque[Work] = deque()
        self.handed_out = 0
        self.total = 0
        """Cells of this pass."""
        self.done = 0
        """Of these, measured."""
        self.finished = False

    @property
    def cores(self) -> int:
        """Of each machine."""
        return int(self.machine["cores"])

    @property
    def pass_ended(self) -> bool:
        """Whether another pass may begin."""
        return not (self.waiting or self.handed_out or self.finished)

    def begin_pass(self, info: RunInfo, blocks: Sequence[Block], hosts: int) -> tuple[Cell, ...]:
        """Begin the next pass if this one is at its end, in as many units as there are hosts.

        Returns cells of the reserve that it adds: they are to be measured from now on. `blocks` are this kind's.
        """
        if not self.pass_ended:
            return ()
        self.pass_index += 1
        if self.pass_index >= self.passes:
            self.finished = True
            return ()
        added = refined(info, blocks, self.pass_index, self.passes) if self.pass_index else ()
        if added:
            info = info.with_reserves(added)
        work = self._fitting(work_of(info, blocks, self.pass_index, whole=self.whole))
        self.finished = bool(self.pass_index) and not work and not measured_in(blocks, self.pass_index)
        self.total, self.done = len(work), 0
        self.waiting.extend(part for first in range(hosts) if (part := work[first::hosts]))
        return added

    def hand_out(self) -> Work:
        """The next unit."""
        self.handed_out += 1
        return self.waiting.popleft()

    def take_back(self, work: Work, blocks: Sequence[Block]) -> None:
        """A unit has come home, or its host is lost: what of it was not measured waits again."""
        self.handed_out -= 1
        if left := unmeasured(work, blocks, self.pass_index):
            self.waiting.appendleft(left)

    def _fitting(self, work: Work) -> Work:
        """What these machines have cores for."""
        return [(cell, names) for cell, names in work if cell.threads <= self.cores]
