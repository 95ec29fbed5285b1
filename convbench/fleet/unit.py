"""What a host does: some cells of one pass, in processes of its own, each cell sent home as soon as it is measured.

What travels is text in JSON, never an object that would have to be unpickled.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final, final

from convbench import machine, runs
from convbench.measure.coordinator import Progress
from convbench.result import Block, Record, RunInfo
from convbench.store import SCHEMA_VERSION, RunFolder

RESOURCE: Final = "convbench"
"""Of which each host that may be timed on has one."""
ALLOCATOR: Final = "MALLOC_TRIM_THRESHOLD_"
"""Set by Dask for its workers: it would slow every contender that allocates, and only in a fleet."""


class Unit(Record):
    """Some cells of one pass, and what the host's kind of machine is known to have measured."""

    info: RunInfo
    known: tuple[Block, ...]
    pass_index: int
    work: tuple[tuple[str, tuple[str, ...]], ...]
    """Keys of cells, and the contenders in each."""
    budget_s: float | None
    finds_ceilings: bool = False


class Findings(Record):
    """What comes home in the end."""

    machine: dict[str, Any]
    blocks: tuple[Block, ...]
    useful_s: float
    overhead_s: float


class Host(Record):
    """What a host says of itself."""

    machine: dict[str, Any]
    home: str
    """The same on two workers that share one machine."""
    versions: dict[str, str]
    schema_version: int
    resource: float
    """How many timings it may do at a time; the cluster's own count of `RESOURCE`."""

    @property
    def fingerprint(self) -> str:
        """Of machines whose timings may be pooled."""
        return str(self.machine["fingerprint"])

    @property
    def cores(self) -> int:
        """Those that it may use."""
        return int(self.machine["cores"])


def introduce(dask_worker: Any = None) -> str:
    """The host, as `Host` in JSON; called on it by Dask, which gives it its worker."""
    boot = machine.read_line("/proc/sys/kernel/random/boot_id") or platform.node()
    return Host(
        machine=machine.describe(),
        home=boot,
        versions=machine.versions(),
        schema_version=SCHEMA_VERSION,
        resource=dask_worker.state.total_resources.get(RESOURCE, 0.0),
    ).model_dump_json()


def measure(text: str, topic: str) -> str:
    """Measure a `Unit`, and return its `Findings`; called on a host. Raises `ConvbenchError`."""
    unit = Unit.model_validate_json(text)
    os.environ.pop(ALLOCATOR, None)
    scratch = Path(tempfile.mkdtemp(prefix="convbench-unit-"))
    try:
        folder = RunFolder.begin(scratch / "run", unit.info.model_copy(update={"machine": machine.describe()}))
        folder.append(unit.known)
        limit = min(unit.info.options["memory_limit_bytes"], runs.free_bytes())
        courier = _Courier(topic, str(folder.info.machine["fingerprint"]))
        coordinator = runs.coordinator_of(folder, courier, unit.budget_s, limit)
        if unit.finds_ceilings:
            runs.find_ceilings(folder)
        cells = {cell.key: cell for cell in unit.info.cells}
        with contextlib.suppress(_UnwantedError):
            coordinator.one_pass(unit.pass_index, [(cells[key], names) for key, names in unit.work])
        spent = coordinator.spent
        return Findings(
            machine=folder.info.machine,
            blocks=tuple(courier.sent),
            useful_s=spent.useful_s,
            overhead_s=spent.overhead_s,
        ).model_dump_json()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _UnwantedError(Exception):
    """Nobody waits for the unit any more."""


@final
class _Courier:
    """Sends each cell's blocks home, with the machine's name on them."""

    def __init__(self, topic: str, fingerprint: str) -> None:
        from distributed import get_worker

        self.topic = topic
        self.fingerprint = fingerprint
        self.worker = get_worker()
        self.task = self.worker.get_current_task()
        self.sent: list[Block] = []

    def progress(self, progress: Progress) -> None:
        """See `Observer`."""
        blocks = [block.model_copy(update={"machine": self.fingerprint}) for block in progress.blocks]
        self.sent += blocks
        self.worker.log_event(self.topic, [block.model_dump_json() for block in blocks])
        task = self.worker.state.tasks.get(self.task)
        if task is None or task.state == "cancelled":
            raise _UnwantedError

    def waiting(self, what: str) -> None:
        """See `Observer`: a unit is at its host already."""
