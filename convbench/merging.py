"""Several runs of one suite become one: shards of a sweep, passes made elsewhere, runs of several machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convbench.analysis.machines import Part, by_machine, fingerprint, machine_name
from convbench.errors import RunFolderError
from convbench.result import Block, Cell, RunInfo
from convbench.store import RunFolder


def merge(folders: Sequence[RunFolder], out: Path, *, pool: bool = False) -> RunFolder:
    """A new run in `out` with the samples of all of `folders`, machine by machine.

    Samples of machines whose fingerprints differ stay apart, unless `pool` takes them for one machine's; then the
    run's notes say so. Raises `RunFolderError` for runs of different suites or versions.
    """
    first = folders[0]
    for other in folders[1:]:
        _check(first, other)
    parts = [part for folder in folders for part in by_machine(folder.info, folder.blocks)]
    collected: dict[str, _Collected] = {}
    for part in parts:
        collected.setdefault("" if pool else part.fingerprint, _Collected(part.info.machine)).add(part.blocks)
    info = _info([folder.info for folder in folders], collected, _pooled(parts) if pool else ())
    merged = RunFolder.create(out, info)
    own = fingerprint(info)
    for name, one in collected.items():
        elsewhere = "" if pool or name == own else name
        merged.append(block.model_copy(update={"machine": elsewhere}) for block in one.blocks)
    return merged


@dataclass
class _Collected:
    """One machine's blocks; a pass that is there already becomes a later one, for its processes were others."""

    machine: dict[str, Any]
    blocks: list[Block] = field(default_factory=list)

    def add(self, blocks: Sequence[Block]) -> None:
        """Take them in."""
        known = {(block.pass_index, block.cell, block.algorithm) for block in self.blocks}
        meets = any((block.pass_index, block.cell, block.algorithm) in known for block in blocks)
        shift = 1 + max(block.pass_index for block in self.blocks) if meets else 0
        self.blocks += [block.model_copy(update={"pass_index": block.pass_index + shift}) for block in blocks]


def _check(first: RunFolder, other: RunFolder) -> None:
    for what, one, two in (
        ("suite", first.info.suite_name, other.info.suite_name),
        ("suite's text", first.info.suite_sha256, other.info.suite_sha256),
        ("seed", first.info.seed, other.info.seed),
        ("convbench", first.info.versions.get("convbench"), other.info.versions.get("convbench")),
        ("commit", first.info.git_commit, other.info.git_commit),
    ):
        if one != two:
            raise RunFolderError(f"{other.path}: another {what} than {first.path} has ({two}, not {one}); not merged")


def _info(infos: Sequence[RunInfo], collected: dict[str, _Collected], notes: Sequence[str]) -> RunInfo:
    first = infos[0]
    machines = {name: one.machine for name, one in list(collected.items())[1:]}
    options = {key: value for key, value in first.options.items() if key != "shard"}
    for spent in ("wall_s", "useful_s"):
        if any(spent in info.options for info in infos):
            options[spent] = sum(float(info.options.get(spent, 0.0)) for info in infos)
    return first.model_copy(
        update={
            "cells": _cells(infos),
            "reserve": (),
            "algorithms": tuple(dict.fromkeys(name for info in infos for name in info.algorithms)),
            "precision": {name: value for info in infos for name, value in info.precision.items()},
            "tags": {name: value for info in infos for name, value in info.tags.items()},
            "options": options,
            "machine": next(iter(collected.values())).machine,
            "machines": machines,
            "notes": tuple(dict.fromkeys([*(note for info in infos for note in info.notes), *notes])),
        }
    )


def _cells(infos: Sequence[RunInfo]) -> tuple[Cell, ...]:
    """Each cell once; those of shards in the order from which they had been dealt out."""
    placed: dict[str, tuple[int, Cell]] = {}
    for info in infos:
        number, count = info.options.get("shard") or (1, 1)
        for index, cell in enumerate(info.cells):
            placed.setdefault(cell.key, (index * count + number, cell))
    return tuple(cell for _, cell in sorted(placed.values(), key=lambda found: found[0]))


def _pooled(parts: Sequence[Part]) -> tuple[str, ...]:
    names = list(dict.fromkeys(machine_name(part.info.machine) for part in parts))
    if len(names) < 2:
        return ()
    return (f"samples of {len(names)} machines are taken together, as was asked: {'; '.join(names)}",)
