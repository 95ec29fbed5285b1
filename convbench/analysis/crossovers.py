"""Where one algorithm overtakes another along an axis, with the range in which the data cannot tell.

Each crossing that a suite declares, in each group of cells that are equal in every other axis, gives a
curve: log(t_start / t_to) over log(axis value), with a pointwise 95 % band over passes. Where the curve
changes sign the two cross over. The interval comes by inversion: it holds the axis values at which the
band contains 0, so it is as wide as the doubt about who is faster there, however steep or flat the curve.

Only points whose band excludes 0 decide anything. A wiggle of the estimate within the doubtful range is
therefore one crossing, not three, and a curve that is doubtful everywhere has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from operator import itemgetter
from typing import Final

import numpy as np

from convbench.algorithm import Array
from convbench.analysis.contenders import Contenders, contenders
from convbench.analysis.statistics import Estimate, from_logs, paired_log_ratios, student_t
from convbench.analysis.winners import HOPELESS
from convbench.result import AxisValue, Block, Cell, Crossing, RunInfo, Status

Span = tuple[float, float]
CurvePlace = tuple[int | None, str, tuple[tuple[str, AxisValue], ...]]
THREADS: Final = "threads"


@dataclass(frozen=True)
class Point:
    """One cell of a curve; `ratio` is t_start / t_to, above 1 where `to` is faster. `logs` has its log by pass."""

    axis_value: float
    cell: Cell
    logs: Mapping[int, float]

    @cached_property
    def ratio(self) -> Estimate:
        """The geometric mean over passes."""
        return from_logs(list(self.logs.values()), len(self.logs))

    @property
    def log_ratio(self) -> float:
        """The curve."""
        return math.log(self.ratio.value)

    @property
    def band(self) -> Span:
        """The 95 % interval of `log_ratio`; a factor of 3 to both sides where a single pass gives none."""
        if self.ratio.low is None or self.ratio.high is None:
            return self.log_ratio - math.log(HOPELESS), self.log_ratio + math.log(HOPELESS)
        return math.log(self.ratio.low), math.log(self.ratio.high)

    @property
    def sign(self) -> int:
        """1 where `to` is faster, −1 where `start` is, 0 where the data cannot tell."""
        low, high = self.band
        return 1 if low > 0 else -1 if high < 0 else 0


@dataclass(frozen=True)
class Curve:
    """A declared crossing in one group of cells: its points by axis value, and what is missing and why.

    `threads` is None where the axis is the number of threads.
    """

    crossing: Crossing
    threads: int | None
    device: str
    fixed: tuple[tuple[str, AxisValue], ...]
    points: tuple[Point, ...]
    missing: tuple[tuple[float, str], ...]

    @cached_property
    def undecided(self) -> tuple[Span, ...]:
        """The ranges of the axis in which the band contains 0, by interpolation of its edges."""
        spans: list[Span] = []
        index = 0
        while index < len(self.points):
            if self.points[index].sign:
                after = index + 1
                if after < len(self.points) and self.points[index].sign * self.points[after].sign < 0:
                    spans.append((self.leaves(index, 1), self.leaves(after, -1)))
                index += 1
                continue
            last = index
            while last + 1 < len(self.points) and not self.points[last + 1].sign:
                last += 1
            low = self.leaves(index - 1, 1) if index > 0 else self.points[0].axis_value
            high = self.leaves(last + 1, -1) if last + 1 < len(self.points) else self.points[-1].axis_value
            spans.append((low, high))
            index = last + 1
        return tuple(spans)

    def leaves(self, index: int, step: int) -> float:
        """Where, from a decided point towards its neighbour, the band first contains 0."""
        point, neighbour = self.points[index], self.points[index + step]
        passes = sorted(point.logs.keys() & neighbour.logs.keys())
        if len(passes) >= 2:
            near, far = (np.array([p.logs[one] for one in passes]) for p in (point, neighbour))
            return self._between(index, index + step, _first_doubt(near, far))
        edge = 1 if point.sign < 0 else 0
        start, end = point.band[edge], neighbour.band[edge]
        return self._between(index, index + step, start / (start - end))

    def _between(self, index: int, other: int, fraction: float) -> float:
        """The axis value at a fraction of the way between two points, over the axis's logarithm."""
        forth, back = self._scale
        start, end = forth(self.points[index].axis_value), forth(self.points[other].axis_value)
        return back(start + (end - start) * fraction)

    @cached_property
    def _scale(self) -> tuple[Callable[[float], float], Callable[[float], float]]:
        if all(point.axis_value > 0 for point in self.points):
            return math.log, math.exp
        return float, float  # an axis with a 0, as padding may have, has no logarithm

    def zeros(self, first: int = 0, last: int | None = None) -> list[float]:
        """Where the estimate itself changes sign, between two points."""
        last = len(self.points) - 1 if last is None else last
        values = [point.log_ratio for point in self.points]
        return [
            self._between(index, index + 1, values[index] / (values[index] - values[index + 1]))
            for index in range(first, last)
            if (values[index] > 0) != (values[index + 1] > 0)
        ]


@dataclass(frozen=True)
class Crossed:
    """`overtaker` becomes faster than `overtaken` at `value`; in low … high the data cannot tell.

    The first crossing with decided points on both sides; `count` says how many there are.
    """

    overtaker: str
    overtaken: str
    value: float
    low: float
    high: float
    count: int = 1


@dataclass(frozen=True)
class OneSided:
    """No crossing in the range: `faster` leads wherever the data can tell."""

    faster: str
    slower: str
    first: float
    last: float
    estimate: float | None = None


@dataclass(frozen=True)
class Unresolved:
    """The data cannot tell; `estimate` is where the curve changes sign, if it does."""

    why: str
    estimate: float | None
    overtaker: str | None = None


@dataclass(frozen=True)
class NotEnoughData:
    """Fewer than two cells have a time for both."""

    why: str


Outcome = Crossed | OneSided | Unresolved | NotEnoughData


@dataclass(frozen=True)
class Crossover:
    """A curve and what it says."""

    curve: Curve
    outcome: Outcome


def crossovers(info: RunInfo, blocks: Sequence[Block], merged: Contenders | None = None) -> list[Crossover]:
    """Every declared crossing in every group of cells that differ in its axis alone.

    `merged` are the contenders, for whoever has them already.
    """
    merged = merged or contenders(info, blocks)
    return [
        Crossover(curve, outcome(curve)) for crossing in info.crossings for curve in _curves(crossing, info, merged)
    ]


def outcome(curve: Curve) -> Outcome:
    """What a curve says, by its decided points."""
    start, to, points = curve.crossing.start, curve.crossing.to, curve.points
    if len(points) < 2:
        return NotEnoughData(f"{len(points)} of {len(points) + len(curve.missing)} cells have a time for both")
    zeros = curve.zeros()
    estimate = zeros[0] if zeros else None
    first_winner = to if points[-1].log_ratio > 0 else start
    overtaker = first_winner if zeros else None
    if not any(point.ratio.has_interval for point in points):
        return Unresolved("one pass has no interval", estimate, overtaker or first_winner)
    decided = [index for index, point in enumerate(points) if point.sign]
    if not decided:
        return Unresolved("they cannot be told apart anywhere", estimate, overtaker)
    changes = [(before, after) for before, after in pairwise(decided) if points[before].sign != points[after].sign]
    if not changes:
        faster, slower = (to, start) if points[decided[0]].sign > 0 else (start, to)
        first = curve.undecided[0][1] if decided[0] > 0 else points[0].axis_value
        last = curve.undecided[-1][0] if decided[-1] < len(points) - 1 else points[-1].axis_value
        return OneSided(faster, slower, first, last, estimate)
    before, after = changes[0]
    overtaker, overtaken = (to, start) if points[after].sign > 0 else (start, to)
    between = curve.zeros(before, after)
    value = between[len(between) // 2]
    if not (points[before].ratio.has_interval and points[after].ratio.has_interval):
        return Unresolved("a cell beside the crossing has one pass, and so no interval", value, overtaker)
    low, high = curve.leaves(before, 1), curve.leaves(after, -1)
    return Crossed(overtaker, overtaken, value, low, high, len(changes))


def _first_doubt(near: Array, far: Array) -> float:
    """The least f in 0 … 1 at which the band of the passes' lines, from `near` to `far`, contains 0; 1 if none."""
    passes = len(near)
    slopes = far - near
    (near_variance, covariance), (_, slope_variance) = np.cov(near, slopes) * student_t(passes - 1) ** 2 / passes
    # m(f)² − t²·s²(f)/n = constant + 2·linear·f + square·f², positive where the passes can tell.
    constant = near.mean() ** 2 - near_variance
    linear = near.mean() * slopes.mean() - covariance
    square = slopes.mean() ** 2 - slope_variance
    if constant <= 0:
        return 0.0
    roots = np.roots([square, 2 * linear, constant])
    inside = [float(root.real) for root in roots if abs(root.imag) < 1e-12 and 0 <= root.real <= 1]
    return min(inside, default=1.0)


def _curves(crossing: Crossing, info: RunInfo, merged: Contenders) -> list[Curve]:
    groups: dict[CurvePlace, list[Cell]] = {}
    for cell in info.cells:
        if isinstance(axis_value(cell, crossing.axis), int | float):
            groups.setdefault(curve_place(cell, crossing.axis), []).append(cell)
    return [_curve(crossing, place, cells, merged) for place, cells in groups.items()]


def axis_value(cell: Cell, axis: str) -> AxisValue | None:
    """A cell's coordinate; `threads` is an axis of every cell."""
    return cell.threads if axis == THREADS else cell.axes.get(axis)


def curve_place(cell: Cell, axis: str) -> CurvePlace:
    """What cells on one curve along the axis have in common: threads, device, and the other coordinates.

    Along the threads, cells of a list of shapes keep their problem.
    """
    fixed = tuple((name, value) for name, value in cell.axes.items() if name != axis)
    if axis == THREADS:
        return None, cell.device, fixed or (("shape", cell.name or cell.spec.id),)
    return cell.threads, cell.device, fixed


def _curve(crossing: Crossing, place: CurvePlace, cells: Sequence[Cell], merged: Contenders) -> Curve:
    points, missing = [], []
    for at, cell in sorted(((float(axis_value(cell, crossing.axis) or 0), cell) for cell in cells), key=itemgetter(0)):
        pair = [merged.get((cell.key, name)) for name in (crossing.start, crossing.to)]
        if any(one is None for one in pair):
            missing.append((at, "not a contender of this run"))
            continue
        start, to = (one for one in pair if one is not None)
        logs = paired_log_ratios(start.blocks, to.blocks) if start.time and to.time else {}
        if logs:
            points.append(Point(at, cell, logs))
        else:
            by_status: dict[str, list[str]] = {}
            for one in (start, to):
                if one.status is not Status.PASSED:
                    by_status.setdefault(one.status.replace("_", " "), []).append(one.algorithm)
            failed = [f"{' and '.join(names)} {status}" for status, names in by_status.items()]
            missing.append((at, "; ".join(failed) or "no common pass"))
    return Curve(crossing, *place, tuple(points), tuple(missing))
