"""A suite's cells in groups that belong on one page: equal but for one axis, or one list of shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from convbench.analysis.winners import Winner
from convbench.result import AxisValue, Cell, RunInfo

Fixed = tuple[tuple[str, AxisValue], ...]


@dataclass(frozen=True)
class Group:
    """Cells along `axis` in its order; where `axis` is None, a list of shapes without order."""

    axis: str | None
    threads: int
    device: str
    fixed: Fixed
    cells: tuple[Cell, ...]


def main_axis(info: RunInfo) -> str | None:
    """The numeric axis with the most values: what charts have across; None for a list of shapes."""
    if of_lists(info):
        return None
    values: dict[str, set[AxisValue]] = {}
    for cell in info.cells:
        for name, value in cell.axes.items():
            values.setdefault(name, set()).add(value)
    numeric = [name for name, found in values.items() if all(isinstance(value, int | float) for value in found)]
    best = max(numeric, key=lambda name: len(values[name]), default=None)
    return best if best is not None and len(values[best]) > 1 else None


def of_lists(info: RunInfo) -> bool:
    """Whether coordinates are shared by several problems, so that each says which list of shapes a cell is of.

    A network's layers at a batch of 8, say: its time is to be summed, and not to be drawn along the batch.
    """
    seen = Counter((cell.device, cell.threads, *sorted(cell.axes.items())) for cell in info.cells if cell.axes)
    return max(seen.values(), default=0) > 1


def groups(info: RunInfo) -> list[Group]:
    """The groups, by device and threads first, then in the suite's order."""
    axis, lists = main_axis(info), of_lists(info)
    collected: dict[tuple[str, int, Fixed], list[Cell]] = {}
    for cell in info.cells:
        along = axis if axis in cell.axes else None
        fixed = tuple((name, value) for name, value in cell.axes.items() if name != axis) if along or lists else ()
        collected.setdefault((cell.device, cell.threads, fixed), []).append(cell)
    found = []
    for (device, threads, fixed), cells in collected.items():
        along = axis if all(axis in cell.axes for cell in cells) else None
        ordered = sorted(cells, key=lambda cell: float(cell.axes[axis])) if along and axis else cells
        found.append(Group(along, threads, device, fixed, tuple(ordered)))
    return sorted(found, key=lambda group: (group.device, group.threads))


def stretches(group: Group, best: Mapping[str, Winner]) -> list[tuple[str, AxisValue, AxisValue]]:
    """Neighbouring cells with the same fastest contender, as (winner, first, last).

    A winner is a name, `≈name` where others cannot be told apart from it, or empty where nobody passed.
    """
    found: list[tuple[str, AxisValue, AxisValue]] = []
    for cell in group.cells:
        at = cell.axes[group.axis] if group.axis else cell.name or cell.spec.id
        leader = best.get(cell.key)
        name = "" if leader is None else f"{'≈' * leader.is_tie}{leader.algorithm}"
        if found and group.axis and found[-1][0] == name:
            found[-1] = (name, found[-1][1], at)
        else:
            found.append((name, at, at))
    return found
