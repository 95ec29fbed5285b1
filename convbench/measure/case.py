"""A spec's operands as files that workers read, and its float64 reference; made once a run."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
import psutil

from convbench.agreement import WORK_LIMIT, Reference, reference
from convbench.algorithm import Array
from convbench.errors import ConvbenchError
from convbench.operands import operands
from convbench.spec import ConvSpec

KEPT_BYTES: Final = 2**30
PREFIX: Final = "convbench-"


@dataclass(frozen=True)
class Case:
    """What every contender of a spec is given, and judged against."""

    operands: tuple[Path, Path]
    """.npy files: what `prepare` takes, what `execute` reads."""
    reference: Reference
    plain: bool
    """Normal data and a random filter, in which nothing cancels."""


@final
class Cases:
    """Makes cases, and keeps them while there is room."""

    def __init__(self, seed: int, image: Array | None, reference_work: float = WORK_LIMIT) -> None:
        self.seed = seed
        self.image = image
        self.reference_work = reference_work
        shared_memory = Path("/dev/shm")  # noqa: S108  (operands are read by every worker: memory, not a disk)
        place = shared_memory if shared_memory.is_dir() else Path(tempfile.gettempdir())
        _sweep(place)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))
        self.output = self.folder / "output.npy"
        self.output.touch()  # made by a contender, it would have that one's permissions
        self._kept: dict[ConvSpec, tuple[Case, int]] = {}

    def __enter__(self) -> Cases:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def get(self, spec: ConvSpec) -> Case:
        """The spec's case, made anew where it was not kept."""
        if spec in self._kept:
            return self._kept[spec][0]
        made = operands(spec, self.seed, self.image)
        case = Case(
            operands=(self._save("prepared", made.prepared), self._save("input", made.input)),
            reference=reference(spec, made.prepared, made.input, seed=self.seed, work_limit=self.reference_work),
            plain=self.image is None and spec.filter == "random",
        )
        size = made.prepared.nbytes + made.input.nbytes + case.reference.values.nbytes
        self._make_room(size)
        self._kept[spec] = case, size
        return case

    def _save(self, kind: str, array: Array) -> Path:
        try:
            descriptor, name = tempfile.mkstemp(prefix=kind, suffix=".npy", dir=self.folder)
            with os.fdopen(descriptor, "wb") as stream:
                np.save(stream, array)
        except OSError as error:
            raise ConvbenchError(f"{self.folder}: no room for an operand of {array.nbytes:,} bytes") from error
        return Path(name)

    def _make_room(self, size: int) -> None:
        while self._kept and size + sum(kept for _, kept in self._kept.values()) > KEPT_BYTES:
            oldest = next(iter(self._kept))
            for path in self._kept.pop(oldest)[0].operands:
                path.unlink()


def _sweep(place: Path) -> None:
    """Remove what runs that were killed have left in memory."""
    for folder in place.glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
