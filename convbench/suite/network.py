"""A suite's network: its layers, checked and in order, and the cells that they give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from convbench.errors import choices
from convbench.paths import is_file
from convbench.result import AxisValue
from convbench.spec import ConvSpec, Direction
from convbench.suite.file import SuiteFile, validated
from convbench.suite.geometry import Builder, Layer, Shape, Signal
from convbench.suite.yaml_lines import Document, Place, read_yaml, shorten

SHARED: Final = ("dtype", "boundary", "filter", "flip")
"""Settings that are not a layer's own: the defaults may say them."""


@dataclass(frozen=True)
class Network:
    """A network for one image [C,H,W]; `batches` and `directions` are what a run measures of it."""

    input_shape: Shape
    layers: tuple[Layer, ...]
    batches: tuple[int, ...]
    directions: tuple[Direction, ...]
    itemsize: int

    @property
    def leaves(self) -> Iterator[Layer]:
        """Every layer that is no join, in order."""
        for layer in self.layers:
            yield from layer.leaves

    def problems(self) -> Iterator[tuple[ConvSpec, str, int, dict[str, AxisValue]]]:
        """Each distinct convolution: spec, name, how many layers are it, and which batch and direction, if several.

        For backward_data the layers are left out that see the input itself: nobody needs its gradient.
        """
        alike = {direction: self._alike(direction) for direction in self.directions}
        for batch in self.batches:
            for direction in self.directions:
                varied: dict[str, AxisValue] = {"batch": batch} if len(self.batches) > 1 else {}
                varied |= {"direction": direction} if len(self.directions) > 1 else {}
                for one, (first, *others) in alike[direction].items():
                    spec = replace(one, n=batch, direction=direction)
                    yield spec, f"{first} +{len(others)}" if others else first, 1 + len(others), varied

    @property
    def problem_count(self) -> int:
        """How many there are of them."""
        return len(self.batches) * sum(len(self._alike(direction)) for direction in self.directions)

    def _alike(self, direction: Direction) -> dict[ConvSpec, list[str]]:
        """Each distinct convolution that there is in a direction, of one image and forward, and its layers' names."""
        names: dict[ConvSpec, list[str]] = {}
        for leaf in self.leaves:
            if leaf.spec is not None and (leaf.x.depth > 0 or direction != "backward_data"):
                names.setdefault(leaf.spec, []).append(leaf.name)
        return names


def read_network(suite: SuiteFile, document: Document, folder: Path) -> Network | None:
    """The suite's network, None where it has none. Raises `SuiteError` for one that cannot be."""
    said = suite.written_network
    if said is None:
        return None
    _check_alone(suite, document)
    shared = {name: value for name, value in suite.defaults.items() if name in SHARED}
    strict = suite.strict_geometry
    if "file" not in said:
        layers = _layers(Builder(said, shared, document, {}, strict), said["input"])
    else:
        own, other = _filed(said["file"], document, folder)
        layers = _layers(Builder(own, shared, other, {}, strict), own["input"])
        if "input" in said:
            # A head that was made for one extent slides over a larger one: its windows stay as they were.
            leaves = [leaf for layer in layers for leaf in layer.leaves]
            windows = {leaf.name: leaf.window for leaf in leaves if leaf.kind == "fully_connected"}
            layers = _layers(Builder(own, shared, other, windows, strict), said["input"])
        said = {**own, **said}
    network = Network(
        said["input"],
        layers,
        tuple(dict.fromkeys(said.get("batch", (1,)))),
        tuple(dict.fromkeys(said.get("direction", ("forward",)))),
        ConvSpec(h=1, w=1, r=1, s=1, **shared).itemsize,
    )
    if not any(network.problems()):
        raise document.error(("network",), f"nothing to measure: no convolution, for {' or '.join(network.directions)}")
    return network


def _layers(builder: Builder, shape: Shape) -> tuple[Layer, ...]:
    return tuple(builder.chain(builder.settings["layers"], ("network", "layers"), Signal(shape), ""))


def _filed(name: str, document: Document, folder: Path) -> tuple[Mapping[str, Any], Document]:
    place: Place = ("network", "file")
    file = folder / name
    if not is_file(file):
        raise document.error(place, f"no such file: {shorten(name)}")
    other = read_yaml(file)
    own = validated(SuiteFile, other).written_network
    if own is None or "file" in own:
        raise document.error(place, f"{shorten(name)} has no network with layers of its own")
    return own, other


def _check_alone(suite: SuiteFile, document: Document) -> None:
    for key in ("sweep", "shapes", "shapes_from", "crossovers"):
        if getattr(suite, key):
            raise document.error((key,), f"a suite with a network measures its layers, and has no {key} beside it")
    valid = (*SHARED, "threads", "ground")
    for key in suite.defaults:
        if key not in valid:
            problem = f"a network says for itself what {key} is; valid here: {choices(valid)}"
            raise document.error(("defaults", key), problem)
