"""A run's folder: `run.json`, and the journal `samples.jsonl` that nothing can tear.

Schema history
    1   the first
    2   a cell has a ground, a run its two sides and their targets, a block what Numba compiled
    3   a block has the samples that were taken again, its lost time slices and page faults, yardsticks
        and cold calls; a machine its ceilings
    4   a block has the operations of a call and the stages of some, a verdict its error in the norm that all share
    5   a run has claims
    6   a block may come from another machine than the run's own
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from convbench.errors import RunFolderError
from convbench.result import Block, RunInfo, first_mistake

SCHEMA_VERSION: Final = 6
INFO: Final = "run.json"
JOURNAL: Final = "samples.jsonl"


class RunFolder:
    """One run on disk. Blocks are appended and flushed; a later block of the same pass supersedes an earlier one."""

    def __init__(self, path: Path, info: RunInfo, blocks: list[Block]) -> None:
        self.path = path
        self.info = info
        self._blocks = {identity(block): block for block in blocks}

    @staticmethod
    def create(out: Path, info: RunInfo) -> RunFolder:
        """A new folder `<out>/<suite>-<UTC time>/`. Raises `RunFolderError` where it cannot be written."""
        return RunFolder.begin(new_folder(out, info.suite_name), info)

    @staticmethod
    def begin(path: Path, info: RunInfo) -> RunFolder:
        """A new run in `path`, which must not hold one. Raises `RunFolderError` where it cannot be written."""
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be created: {error.strerror}") from error
        folder = RunFolder(path, info, [])
        folder.update(info)
        return folder

    @staticmethod
    def open(path: Path) -> RunFolder:
        """A run that stands on disk; a torn last line of its journal is dropped.

        Raises `RunFolderError` where `path` is no run's folder, or was written by a newer convbench.
        """
        try:
            stored = from_json((path / INFO).read_bytes())
        except OSError as error:
            raise RunFolderError(f"{path}: not a run's folder (no readable {INFO}: {error.strerror})") from error
        except ValueError as error:
            raise RunFolderError(f"{path / INFO}: not JSON: {error}") from error
        try:
            info = RunInfo.model_validate(_migrated(stored, path))
        except ValidationError as error:
            raise RunFolderError(f"{path / INFO}: {first_mistake(error)}") from error
        return RunFolder(path, info, list(_read_journal(path / JOURNAL)))

    @property
    def blocks(self) -> list[Block]:
        """Every block, in the order in which it was first measured."""
        return list(self._blocks.values())

    def append(self, blocks: Iterable[Block]) -> None:
        """Add blocks to the journal in one write, flushed to the system before this returns."""
        added = list(blocks)
        text = b"".join(_line(block) for block in added)
        try:
            with (self.path / JOURNAL).open("ab") as journal:
                journal.write(text)
        except OSError as error:
            raise RunFolderError(f"{self.path / JOURNAL}: cannot be written: {error.strerror}") from error
        self._blocks.update({identity(block): block for block in added})

    def revise(self, **changes: object) -> None:
        """Replace some fields of `run.json`; see `update`."""
        self.update(self.info.model_copy(update=changes))

    def spend(self, wall_s: float, useful_s: float, overhead_s: float) -> None:
        """Add what a measurement took to what the run has taken, and note what the sampling loop adds to a sample."""
        options = self.info.options
        spent = {"wall_s": wall_s, "useful_s": useful_s}
        sums = {name: float(options.get(name, 0.0)) + seconds for name, seconds in spent.items()}
        self.revise(options={**options, **sums, "overhead_s": overhead_s})

    def update(self, info: RunInfo) -> None:
        """Replace `run.json`, as a whole or not at all."""
        target = self.path / INFO
        draft = target.with_suffix(".tmp")
        try:
            draft.write_text(info.model_dump_json(indent=1), encoding="utf-8")
            os.replace(draft, target)
        except OSError as error:
            raise RunFolderError(f"{target}: cannot be written: {error.strerror}") from error
        self.info = info

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from appending; the lock goes with this one, however it ends.

        Raises `RunFolderError` where another process has it, or the journal cannot be written.
        """
        path = self.path / JOURNAL
        try:
            journal = path.open("ab")
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be written: {error.strerror}") from error
        with journal:
            try:
                flock(journal, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                raise RunFolderError(f"{self.path}: another process is measuring this run") from None
            except OSError:
                pass  # a file system that knows no locks
            yield

    def mend(self) -> None:
        """Cut a torn last line off the journal, so that appending starts on a line of its own."""
        journal = self.path / JOURNAL
        if journal.exists():
            text = journal.read_bytes()
            whole = text.rfind(b"\n") + 1
            if whole < len(text):
                with journal.open("r+b") as stream:
                    stream.truncate(whole)


def new_folder(out: Path, name: str) -> Path:
    """`<out>/<name>-<UTC time>/`, made just now. Raises `RunFolderError` where it cannot be, or would lie elsewhere."""
    if name != Path(name).name or name in ("", ".."):
        raise RunFolderError(f"'{name}' cannot name a folder in {out}")
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for attempt in range(100):
        path = out / f"{name}-{stamp}{f'-{attempt}' if attempt else ''}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be created: {error.strerror}") from error
        return path
    raise RunFolderError(f"{out}: a hundred folders of {name} were made in this second")


def identity(block: Block) -> tuple[str, int, str, str]:
    """What is measured once: a contender in a cell, in a pass, on a machine."""
    return block.machine, block.pass_index, block.cell, block.algorithm


def _line(block: Block) -> bytes:
    """JSON with a checksum of itself as the last key."""
    body = block.model_dump_json().encode()
    return body[:-1] + b',"crc32":%d}\n' % zlib.crc32(body)


def _read_journal(path: Path) -> Iterable[Block]:
    try:
        with path.open("rb") as journal:  # line by line: as a whole it may be larger than all that is in it
            for number, line in enumerate(journal, start=1):
                if line.endswith(b"\n"):  # else a crash cut it short
                    yield _block(line[:-1], f"{path}:{number}")
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be read: {error.strerror}") from error


def _block(line: bytes, place: str) -> Block:
    body, _, checksum = line.rpartition(b',"crc32":')
    body += b"}"
    if checksum != b"%d}" % zlib.crc32(body):
        raise RunFolderError(f"{place}: the line is damaged (its checksum differs); delete it to go on")
    try:
        return Block.model_validate_json(body)
    except ValidationError as error:
        raise RunFolderError(f"{place}: {first_mistake(error)}") from error


def _migrated(stored: Any, path: Path) -> Any:
    """Today's form of a stored run. What later versions added is absent from earlier ones; its defaults say so."""
    version = stored.get("schema_version") if isinstance(stored, dict) else None
    if version not in range(1, SCHEMA_VERSION + 1):
        raise RunFolderError(
            f"{path / INFO}: schema version {version!r} is unknown; this convbench reads versions 1 to {SCHEMA_VERSION}"
        )
    return {**stored, "schema_version": SCHEMA_VERSION}
