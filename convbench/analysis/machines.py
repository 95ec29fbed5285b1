"""A run that several machines measured, machine by machine: their samples are never pooled unasked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convbench.errors import RunFolderError
from convbench.result import Block, RunInfo


@dataclass(frozen=True)
class Part:
    """What one machine measured, as a run of its own."""

    fingerprint: str
    info: RunInfo
    blocks: tuple[Block, ...]

    @property
    def name(self) -> str:
        """The machine in words, with its fingerprint: two of a processor's name need not be alike."""
        return machine_name(self.info.machine)


def by_machine(info: RunInfo, blocks: Sequence[Block]) -> list[Part]:
    """The parts of a run, the run's own machine first; one part, without blocks, of a run that measured nothing."""
    own = fingerprint(info)
    known = {own: info.machine, **info.machines}
    shares: dict[str, list[Block]] = {name: [] for name in known}
    for block in blocks:
        # Within a part they are the machine's own, so that whoever looks at one need not know of others.
        share = shares.setdefault(block.machine or own, [])
        share.append(block.model_copy(update={"machine": ""}) if block.machine else block)
    parts = [
        Part(
            name,
            info.model_copy(update={"machine": known.get(name, {"fingerprint": name}), "machines": {}}),
            tuple(found),
        )
        for name, found in shares.items()
        if found
    ]
    return parts or [Part(own, info, ())]


def only_machine(info: RunInfo, blocks: Sequence[Block], where: str) -> Part:
    """The one part of a run that is compared as a whole. Raises `RunFolderError` where there are several."""
    part, *others = by_machine(info, blocks)
    if others:
        raise RunFolderError(
            f"{where}: was measured by {1 + len(others)} machines, and only those of one can be compared with another "
            f"run's; convbench report {where} has them side by side"
        )
    return part


def fingerprint(info: RunInfo) -> str:
    """Of the run's own machine."""
    return str(info.machine.get("fingerprint", ""))


def machine_name(machine: dict[str, Any]) -> str:
    """`AMD EPYC, 2 cores (3f2a9c)`."""
    return (
        f"{machine.get('cpu', 'a machine')}, {machine.get('cores', '?')} cores ({str(machine.get('fingerprint'))[:6]})"
    )
