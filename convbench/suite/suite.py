"""Suites: YAML files that name cells and contenders, checked whole before anything runs.

Every mistake is a `SuiteError` of one line, `file:line: what is wrong; what would be valid`.
Algorithms' names are not resolved here, since only the catalog knows them: see `Suite.select`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

import yaml
from pydantic import PrivateAttr

from convbench.errors import SuiteError
from convbench.result import Cell, Claim, Crossing, GateLimits, Target, Versus
from convbench.spec import ConvSpec
from convbench.suite.claims import claim_of, crossing_of, named
from convbench.suite.expand import Point, between, expand, written_crossovers
from convbench.suite.file import SuiteFile, Thread, suite_schema, validated
from convbench.suite.network import Network, read_network
from convbench.suite.yaml_lines import Document, Place, parse_yaml, read_yaml, shorten, unknown

__all__ = ["Suite", "find_suite", "load_suite", "shape_table_file", "shipped_suites", "suite_from_spec", "suite_schema"]

PEER: Final = "peer"
"""The tag of a library's own convolution."""

SAMPLES: Final = ("sample:grace_hopper.jpg",)  # what matplotlib brings along


class Tagged(Protocol):
    """What a suite has to know of an algorithm, and only where it chooses by tags."""

    @property
    def tags(self) -> Set[str]:
        """What kind of algorithm it is."""


class Suite(SuiteFile):
    """A suite as its file says it; `cells` are what it asks to measure."""

    _document: Document = PrivateAttr()
    _points: tuple[Point, ...] = PrivateAttr(default=())
    _between: tuple[Point, ...] = PrivateAttr(default=())
    _network: Network | None = PrivateAttr(default=None)

    @property
    def network(self) -> Network | None:
        """The network that the suite is, layer by layer; None where it is none."""
        return self._network

    @property
    def text(self) -> str:
        """The file's text, for the run's record."""
        return self._document.text

    @property
    def sha256(self) -> str:
        """Of the text."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def crossings(self) -> tuple[Crossing, ...]:
        """The crossovers to look for, those of claims among them, each once."""
        return tuple({crossing_of(one): None for _, one in written_crossovers(self)})

    def gate_limits(self, algorithms: Mapping[str, object]) -> GateLimits:
        """What a gate must find. Raises `SuiteError` for limits of an algorithm or a ground that there is none of."""
        grounds = {point.ground: None for point in self._points if point.ground}
        for index, other in enumerate(self.gate.get("limits", ())):
            for kind, valid in (("algorithm", algorithms), ("ground", grounds)):
                if kind in other and not valid:
                    raise SuiteError(f"{self.where('gate', 'limits', index, kind)}: the suite has no {kind}s")
                if kind in other:
                    self._require(kind, other[kind], valid, ("gate", "limits", index, kind))
        return GateLimits(**self.gate)

    def where(self, *place: str | int) -> str:
        """`file:line` of an entry: `suite.where("algorithms", 2)`."""
        return self._document.where(*place)

    def cells(self, cores: int, threads: Sequence[Thread] | None = None) -> tuple[Cell, ...]:
        """What to measure, with `all` threads as `cores`; `threads` overrides what the suite says.

        A problem that is named twice is one cell: its weights add up, and the first name and axes stay.
        """
        return self._cells(self._points, cores, threads)

    def reserve(self, cores: int, threads: Sequence[Thread] | None = None) -> tuple[Cell, ...]:
        """Cells that may be added to those, where a crossover is to be refined."""
        if not self._between:
            return ()
        known = {cell.key for cell in self.cells(cores, threads)}
        return tuple(cell for cell in self._cells(self._between, cores, threads) if cell.key not in known)

    def _cells(self, points: Sequence[Point], cores: int, threads: Sequence[Thread] | None) -> tuple[Cell, ...]:
        found: dict[tuple[ConvSpec, int], Point] = {}
        for point in points:
            counts = [cores if count == "all" else int(count) for count in threads or point.threads]
            for count in dict.fromkeys(counts):
                before = found.get((point.spec, count))
                found[point.spec, count] = point if before is None else _merged(before, point)
        return tuple(
            Cell(
                spec=spec,
                threads=count,
                device=self.device,
                axes=point.axes,
                weight=1.0 if point.weight is None else point.weight,
                name=point.name,
                ground=point.ground,
            )
            for (spec, count), point in found.items()
        )

    def select(self, algorithms: Mapping[str, Tagged]) -> tuple[str, ...]:
        """The names of the suite's algorithms, of all that there are; in the suite's order, each once.

        Raises `SuiteError` for a name or tag that is unknown, in `algorithms`, in `crossovers` or in `claims`, and for
        a claim about an algorithm that is not among the suite's.
        """
        selected = self._named(self.algorithms, algorithms, ("algorithms",)) if self.algorithms else list(algorithms)
        for index, crossover in enumerate(self.crossovers):
            for end in ("from", "to"):
                self._require("algorithm", crossover[end], algorithms, ("crossovers", index, end))
        for index, claim in enumerate(self.claims):
            for place, name in named(claim):
                self._require("algorithm", name, algorithms, ("claims", index, *place))
                self._require("algorithm of this suite", name, selected, ("claims", index, *place))
        return tuple(dict.fromkeys(selected))

    def claimed(self, selected: Sequence[str]) -> tuple[Claim, ...]:
        """What the suite claims, of the `selected` algorithms unless it says of which."""
        return tuple(claim_of(one, selected) for one in self.claims)

    def sides(self, algorithms: Mapping[str, Tagged], selected: Sequence[str], cores: int) -> Versus | None:
        """Who of the `selected` stands on which side of the closing table; None where the suite asks for none.

        Raises `SuiteError` for a name or tag that is unknown, and for an algorithm that is on both sides.
        """
        if self.versus is None:
            return None
        default = {
            "ours": [name for name, one in algorithms.items() if PEER not in one.tags],
            "theirs": [name for name, one in algorithms.items() if PEER in one.tags],
        }
        ours, theirs = (
            self._named(self.versus[side], algorithms, ("versus", side)) if side in self.versus else names
            for side, names in default.items()
        )
        both = [name for name in ours if name in theirs]
        if both:
            raise self._document.error(("versus",), f"{both[0]} is on both sides; tell them apart, as with not: {PEER}")
        return Versus(
            ours=tuple(name for name in selected if name in ours),
            theirs=tuple(name for name in selected if name in theirs),
            targets=tuple(
                Target(**target | ({"threads": cores} if target.get("threads") == "all" else {}))
                for target in self.versus.get("targets", ())
            ),
        )

    def _named(
        self, selectors: Sequence[str | Mapping[str, str]], algorithms: Mapping[str, Tagged], place: Place
    ) -> list[str]:
        names: list[str] = []
        for index, selector in enumerate(selectors):
            if isinstance(selector, str):
                self._require("algorithm", selector, algorithms, (*place, index))
                names.append(selector)
                continue
            tags = {tag for one in algorithms.values() for tag in one.tags}
            for key, tag in selector.items():
                self._require("tag", tag, tags, (*place, index, key))
            wanted, unwanted = selector["tag"], selector.get("not")
            names += [name for name, one in algorithms.items() if wanted in one.tags and unwanted not in one.tags]
        return names

    def _require(self, kind: str, name: str, valid: Collection[str], place: Place) -> None:
        if name not in valid:
            raise SuiteError(f"{self.where(*place)}: {unknown(kind, name, valid)}")


def load_suite(path: Path) -> Suite:
    """The suite in a YAML file. Raises `SuiteError` for anything wrong with it, and nothing else."""
    return _load(read_yaml(path), path.parent, path.stem)


def suite_from_spec(
    spec: ConvSpec,
    threads: Sequence[Thread] = (1,),
    algorithms: Sequence[str] = (),
    device: str = "cpu",
) -> Suite:
    """The suite of one problem, as it is named on the command line."""
    data: dict[str, object] = {"name": "spec", "description": spec.id, "device": device}
    data |= {"defaults": {"threads": list(threads)}, "shapes": [spec.id]}
    if algorithms:
        data["algorithms"] = list(algorithms)
    text = yaml.safe_dump(data, sort_keys=False, width=2**16)
    return _load(parse_yaml(text, spec.id), Path(), "spec")


def find_suite(text: str) -> Path:
    """The file of a suite that is named by its path, or a shipped one's bare name (`fft_vs_direct`, `vgg16`)."""
    if text.endswith((".yaml", ".yml")) or "\0" in text or Path(text).is_file():
        return Path(text)
    shipped = shipped_suites()
    found = [name for name in shipped if name == text or name.endswith(f"/{text}")]
    if not found:
        raise SuiteError(unknown("suite", text, shipped))
    return shipped[found[0]]


def shape_table_file(name: str) -> Path:
    """A shipped table of layers' shapes."""
    return _shipped() / "shapes" / f"{name}.csv"


def _shipped() -> Path:
    package = Path(__file__).parent.parent
    return next((f for f in (package / "suites", package.parent / "suites") if f.is_dir()), package)


def shipped_suites() -> dict[str, Path]:
    """Name → file, of the suites in an installed wheel or, in a checkout, beside the package."""
    folder = _shipped()
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in sorted(folder.rglob("*.yaml"))}


# --- loading --------------------------------------------------------------------------------------


def _load(document: Document, folder: Path, stem: str) -> Suite:
    suite = validated(Suite, document)
    updates: dict[str, object] = {
        "name": suite.name or re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip("._-")[:80] or "suite"
    }
    if suite.input is not None:
        updates["input"] = _input(suite.input, folder, document)
    suite = suite.model_copy(update=updates)
    suite._document = document
    suite._network = read_network(suite, document, folder)
    suite._points = expand(suite, document, folder, suite._network)
    suite._between = between(suite, document)
    return suite


def _input(given: str, folder: Path, document: Document) -> str:
    if given.startswith("sample:"):
        if given not in SAMPLES:
            raise document.error(("input",), unknown("sample", given, SAMPLES))
        return given
    try:
        file = (folder / given).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise document.error(("input",), f"no such file: {shorten(given)}") from error
    return str(file)


def _merged(first: Point, again: Point) -> Point:
    weights = [point.weight for point in (first, again) if point.weight is not None]
    return replace(first, weight=sum(weights) if weights else None, name=first.name or again.name)
