"""The cells of a sweep in a plane: a row a group, a column a value of the main axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from convbench.analysis.groups import Group
from convbench.result import AxisValue, Cell


@dataclass(frozen=True)
class Plane:
    """All groups with an axis on one device at one number of threads; None where a group lacks a value."""

    threads: int
    device: str
    axis: str
    columns: tuple[AxisValue, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]

    @property
    def cells(self) -> Iterator[Cell]:
        """Row by row."""
        return (cell for _, row in self.rows for cell in row if cell is not None)


def planes(groups: Sequence[Group]) -> list[Plane]:
    """One plane for each device and number of threads."""
    kinds: dict[tuple[str, int, str], list[Group]] = {}
    for group in groups:
        if group.axis is not None:
            kinds.setdefault((group.device, group.threads, group.axis), []).append(group)
    return [_plane(*kind, found) for kind, found in kinds.items()]


def _plane(device: str, threads: int, axis: str, groups: Sequence[Group]) -> Plane:
    columns = sorted({cell.axes[axis] for group in groups for cell in group.cells}, key=float)
    rows = []
    for group in groups:
        at = {cell.axes[axis]: cell for cell in group.cells}
        name = ", ".join(f"{name} {value}" for name, value in group.fixed)
        rows.append((name, tuple(at.get(column) for column in columns)))
    return Plane(threads, device, axis, tuple(columns), tuple(rows))
