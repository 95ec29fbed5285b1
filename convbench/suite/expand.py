"""From what a suite file says to its points: every problem it names, checked, with its coordinates."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from convbench.errors import SpecError, SuiteError
from convbench.paths import is_file
from convbench.result import NAME, AxisValue
from convbench.spec import ConvSpec
from convbench.suite.axes import Settings, coordinate, resolve
from convbench.suite.claims import check_coordinates
from convbench.suite.file import SuiteFile, Thread
from convbench.suite.network import Network
from convbench.suite.shape_table import read_shape_table
from convbench.suite.yaml_lines import Document, Place, shorten, unknown

MAX_CELLS: Final = 100_000

LABELS: Final = ("threads", "weight", "name", "ground")
"""What a shape, a sweep or the defaults may say beside the settings of a spec."""


@dataclass(frozen=True)
class Point:
    """A spec with all its numbers of threads, before `all` is known."""

    spec: ConvSpec
    threads: tuple[Thread, ...]
    axes: dict[str, AxisValue]
    weight: float | None = None
    name: str = ""
    ground: str = ""


def expand(suite: SuiteFile, document: Document, folder: Path, network: Network | None) -> tuple[Point, ...]:
    """All points of a suite; `folder` is where its `shapes_from` starts, and `network` the one that it has.

    Raises `SuiteError` for a problem that cannot exist, for too many of them or none, for a crossover
    along an axis that no sweep varies, for a claim about coordinates and a target on a ground without cells.
    """
    _check_size(suite, document)
    points = (*_swept(suite, document), *_listed(suite, document), *_tabled(suite, document, folder))
    if network is not None:
        if network.problem_count * len(_threads(suite.defaults, {})) > MAX_CELLS:
            raise document.error(("network",), f"more than {MAX_CELLS:,} cells")
        points = tuple(_networked(suite, network))
    if not points:
        raise document.error((), "the suite names no cell: give sweep, shapes, shapes_from or network")
    if sum(len(point.threads) for point in points) > MAX_CELLS:  # a table's rows count only now
        raise document.error(("shapes_from",), f"more than {MAX_CELLS:,} cells")
    _check_crossovers(suite, points, document)
    _check_claims(suite, points, document)
    _check_targets(suite, points, document)
    return points


def _check_size(suite: SuiteFile, document: Document) -> None:
    default = len(_threads(suite.defaults, {}))
    total = sum(len(_threads(suite.defaults, shape)) if isinstance(shape, dict) else default for shape in suite.shapes)
    for index, sweep in enumerate(suite.sweep):
        total += _size(sweep, default)
        if total > MAX_CELLS:
            place: Place = ("sweep", index)
            raise document.error(place, f"{total:,} cells are more than {MAX_CELLS:,}: the axes' product is too large")


def _size(sweep: Settings, default: int) -> int:
    """How many cells a sweep makes, where it is at `default` numbers of threads unless it says itself."""
    product = math.prod(len(values) for axis, values in sweep.items() if axis != "ground")
    return product if "threads" in sweep else product * default


def _threads(defaults: Settings, own: Settings) -> tuple[Thread, ...]:
    threads: tuple[Thread, ...] = own.get("threads", defaults.get("threads", (1,)))
    return threads


def _ground(defaults: Settings, own: Settings) -> str:
    return str(own.get("ground", defaults.get("ground", "")))


def _swept(suite: SuiteFile, document: Document) -> Iterator[Point]:
    """Each sweep's product. A point's axes are the settings that *any* sweep varies, so that sweeps meet in a grid."""
    for index, sweep in enumerate(suite.sweep):
        yield from _product(suite, sweep, document, index)


def between(suite: SuiteFile, document: Document) -> tuple[Point, ...]:
    """The points between those of the sweeps, by the finest step of each crossover that is to be refined."""
    steps = {one["axis"]: (one["refine"], (*at, "refine")) for at, one in written_crossovers(suite) if "refine" in one}
    found: list[Point] = []
    total = 0
    for axis, (step, place) in steps.items():
        for index, sweep in enumerate(suite.sweep):
            numbers = sorted({value for value in sweep.get(axis, ()) if isinstance(value, int | float)})
            if numbers and (numbers[-1] - numbers[0]) / step > MAX_CELLS:
                raise document.error(place, f"more than {MAX_CELLS:,} steps of {step:g}")
            values = tuple(value for low, high in itertools.pairwise(numbers) for value in _steps(low, high, step))
            finer = {**sweep, axis: values}
            total += _size(finer, len(_threads(suite.defaults, {})))
            if total > MAX_CELLS:
                raise document.error(place, f"more than {MAX_CELLS:,} cells lie between those of the sweep")
            if values:
                found += _product(suite, finer, document, index)
    return tuple(found)


def _steps(low: float, high: float, step: float) -> list[float]:
    """From `low` on by `step`, both ends left out; whole where these are."""
    values = [low + step * index for index in range(1, math.ceil((high - low) / step))]
    return [int(value) if value == int(value) else round(value, 12) for value in values]


def _product(suite: SuiteFile, sweep: Settings, document: Document, index: int) -> Iterator[Point]:
    axes = dict.fromkeys(axis for sweep in suite.sweep for axis in sweep if axis not in LABELS)
    names = [axis for axis in sweep if axis not in LABELS]
    if not names and "threads" not in sweep:
        raise document.error(("sweep", index), "expected at least one axis, such as kernel: [3, 5, 7]")
    for values in itertools.product(*(sweep[axis] for axis in names)):
        own = dict(zip(names, values, strict=True))
        spec = _resolve(suite, own, document, ("sweep", index))
        settings = {**suite.defaults, **own}
        coordinates = {axis: coordinate(settings[axis]) for axis in axes if axis in settings}
        yield Point(spec, _threads(suite.defaults, sweep), coordinates, ground=_ground(suite.defaults, sweep))


def _listed(suite: SuiteFile, document: Document) -> Iterator[Point]:
    for index, shape in enumerate(suite.shapes):
        place: Place = ("shapes", index)
        if isinstance(shape, ConvSpec):  # an id is a whole problem: defaults do not touch it
            _check_geometry(suite, shape, document, place)
            yield Point(shape, _threads(suite.defaults, {}), {}, 1.0, ground=_ground(suite.defaults, {}))
        else:
            own = {name: value for name, value in shape.items() if name not in LABELS}
            spec = _resolve(suite, own, document, place)
            threads = _threads(suite.defaults, shape)
            ground = _ground(suite.defaults, shape)
            yield Point(spec, threads, {}, shape.get("weight", 1.0), shape.get("name", ""), ground)


def _tabled(suite: SuiteFile, document: Document, folder: Path) -> Iterator[Point]:
    table = suite.shapes_from
    if table is None:
        return
    place: Place = ("shapes_from",)
    file = folder / table["file"]
    if not is_file(file):
        raise document.error(place, f"no such file: {shorten(table['file'])}")
    for row in read_shape_table(file, table.get("source", ()), table.get("batch"), table.get("most_gflop")):
        try:
            spec = _resolve(suite, row.settings, document, place)
        except SuiteError as error:
            raise SuiteError(f"{row.where}: {str(error).partition(': shapes_from: ')[2]}") from error
        yield Point(spec, _threads(suite.defaults, {}), {}, row.weight, row.name, _ground(suite.defaults, {}))


def _networked(suite: SuiteFile, network: Network) -> Iterator[Point]:
    threads, ground = _threads(suite.defaults, {}), _ground(suite.defaults, {})
    for spec, name, count, axes in network.problems():
        yield Point(spec, threads, axes, float(count), name, ground)


def _resolve(suite: SuiteFile, own: Settings, document: Document, place: Place) -> ConvSpec:
    defaults = {name: value for name, value in suite.defaults.items() if name not in LABELS}
    try:
        spec = resolve((defaults, own))
    except SpecError as error:
        values = " ".join(f"{name}={coordinate(value)}" for name, value in own.items())
        raise document.error(place, f"{values}: {error}" if values else str(error)) from error
    _check_geometry(suite, spec, document, place)
    return spec


def _check_geometry(suite: SuiteFile, spec: ConvSpec, document: Document, place: Place) -> None:
    if suite.strict_geometry and not spec.divides_evenly:
        raise document.error(place, f"{spec.id}: the stride does not divide evenly, which strict_geometry asks for")


def _check_crossovers(suite: SuiteFile, points: tuple[Point, ...], document: Document) -> None:
    seen: dict[str, set[AxisValue]] = {}
    for point in points:
        for axis, value in point.axes.items():
            if not isinstance(value, str):
                seen.setdefault(axis, set()).add(value)
    numeric = [axis for axis, values in seen.items() if len(values) > 1]
    if any(len(point.threads) > 1 for point in points):
        numeric.append("threads")
    for place, crossover in written_crossovers(suite):
        if crossover["axis"] not in numeric:
            problem = (
                unknown("axis", crossover["axis"], numeric) if numeric else "no axis is swept over two numbers or more"
            )
            raise document.error((*place, "axis"), problem)
        if crossover["from"] == crossover["to"]:
            raise document.error((*place, "to"), "a crossover is between two different algorithms")


def written_crossovers(suite: SuiteFile) -> list[tuple[Place, Settings]]:
    """Those that are declared by themselves, and those in claims, each with its place."""
    by_themselves: list[tuple[Place, Settings]] = [(("crossovers", i), one) for i, one in enumerate(suite.crossovers)]
    in_claims: list[tuple[Place, Settings]] = [
        (("claims", i, "crossover"), claim["crossover"]) for i, claim in enumerate(suite.claims) if "crossover" in claim
    ]
    return by_themselves + in_claims


def _check_claims(suite: SuiteFile, points: tuple[Point, ...], document: Document) -> None:
    known: dict[str, set[AxisValue]] = {}
    for point in points:
        for axis, value in (*point.axes.items(), *([(NAME, point.name)] if point.name else [])):
            known.setdefault(axis, set()).add(value)
    for index, claim in enumerate(suite.claims):
        check_coordinates(claim, known, document, ("claims", index))


def _check_targets(suite: SuiteFile, points: tuple[Point, ...], document: Document) -> None:
    grounds = {point.ground for point in points if point.ground}
    for index, target in enumerate(suite.versus.get("targets", ()) if suite.versus else ()):
        place: Place = ("versus", "targets", index)
        if "ground" in target and target["ground"] not in grounds:
            problem = unknown("ground", target["ground"], grounds) if grounds else "no sweep or shape has a ground"
            raise document.error((*place, "ground"), problem)
        if not {"at_least", "mean_at_least"} & target.keys():
            raise document.error(place, "expected at_least or mean_at_least, such as at_least: 1.1")
