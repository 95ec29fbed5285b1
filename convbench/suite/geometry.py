"""From what a network says of its layers to what each of them takes, does and gives.

A window of extent k and stride s gives floor((H + 2·padding − k) / s) + 1, or with `rounding: ceil` Caffe's

    P = ceil((H + 2·padding − k) / s) + 1,    one less where (P − 1)·s ≥ H + padding,

so that the last window starts inside the image or its padding before it. What one output sees of the network's
input grows from layer to layer by r ← r + (k − 1)·j, where j, the distance of neighbours, grows by j ← j·s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from convbench.errors import SpecError, SuiteError
from convbench.spec import MAX_EXTENT, ConvSpec, Pair
from convbench.suite.layers import GLOBAL, kind_of
from convbench.suite.yaml_lines import Document, Place

Shape = tuple[int, int, int]

JOINS: Final = ("concatenate", "add", "sequence")


@dataclass(frozen=True)
class Signal:
    """What flows from layer to layer: [C,H,W], what one element sees of the input, and how far neighbours are there."""

    shape: Shape
    field: Pair = (1, 1)
    jump: Pair = (1, 1)
    depth: int = 0
    """Layers with weights, one after another, that it came through."""


@dataclass(frozen=True)
class Layer:
    """One layer, for one image: x [C,H,W] → y [K,P,Q]; a join or a sequence has parts instead of work of its own."""

    name: str
    kind: str
    x: Signal
    y: Signal
    spec: ConvSpec | None = None
    """What a layer with weights computes; a fully connected one has R × S = H × W."""
    window: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    biases: int = 0
    norms: int = 0
    """Scales and shifts of batch normalisation."""
    parts: tuple[Layer, ...] = ()

    @property
    def leaves(self) -> Iterator[Layer]:
        """The layers that it consists of: itself, unless it has parts."""
        if self.kind not in JOINS:
            yield self
        for part in self.parts:
            yield from part.leaves

    @property
    def weights(self) -> int:
        """Of filters, without biases."""
        return sum(leaf.spec.parameters for leaf in self.leaves if leaf.spec is not None)

    @property
    def parameters(self) -> int:
        """Weights, biases, and what batch normalisation learns."""
        return self.weights + sum(leaf.biases + leaf.norms for leaf in self.leaves)

    @property
    def multiply_adds(self) -> int:
        """K·P·Q·(C/groups)·R·S of convolutions and fully connected layers; what pools and sums do is not counted."""
        return sum(leaf.spec.direct_flops // 2 for leaf in self.leaves if leaf.spec is not None)

    @property
    def activations(self) -> int:
        """Output values. A concatenation's are its branches', and a sum is made in place, so joins have none more."""
        return sum(math.prod(leaf.y.shape) for leaf in self.leaves)


@dataclass
class Builder:
    """Takes a network's input through its layers. Raises `SuiteError` where one does not fit.

    `extents` are the windows of fully connected layers, by name, where these come from another input; `strict` rejects
    a convolution whose stride does not divide evenly.
    """

    settings: Mapping[str, Any]
    shared: Mapping[str, Any]
    document: Document
    extents: Mapping[str, Pair]
    strict: bool
    places: dict[str, Place] = field(default_factory=dict)

    def chain(self, bodies: Sequence[Mapping[str, Any]], place: Place, x: Signal, scope: str) -> list[Layer]:
        """The layers one after another, from `x` on; `scope` stands before their names."""
        layers: list[Layer] = []
        for index, named in enumerate(bodies):
            (own, body), *_ = named.items()
            at = (*place, index, own)
            layers.append(self._layer(body, at, x, self._name(f"{scope}{own}", at)))
            x = layers[-1].y
        return layers

    def _name(self, name: str, at: Place) -> str:
        if name in self.places:
            before = self.document.where(*self.places[name]).rpartition(":")[2]
            raise self.document.error(at, f"the name '{name}' is used twice (before on line {before})")
        self.places[name] = at
        return name

    def _layer(self, body: Mapping[str, Any], at: Place, x: Signal, name: str) -> Layer:
        kind = kind_of(body)
        if kind in ("concatenate", "add"):
            return self._join(kind, body[kind], (*at, kind), x, name)
        if kind == "sequence":
            parts = self.chain(body[kind], (*at, kind), x, f"{name}/")
            return Layer(name, kind, x, parts[-1].y, parts=tuple(parts))
        try:
            return self._pool(kind, body, x, name) if kind.endswith("_pool") else self._weighted(kind, body, x, name)
        except SpecError as error:
            raise self.document.error(at, f"{_extents(x.shape)} comes in: {error}") from error

    # --- joins ------------------------------------------------------------------------------------

    def _join(self, kind: str, branches: Sequence[Any], at: Place, x: Signal, name: str) -> Layer:
        chains = [self.chain(branch, (*at, index), x, f"{name}/") for index, branch in enumerate(branches)]
        ends = [chain[-1].y if chain else x for chain in chains]
        shapes = [end.shape for end in ends]
        if len({shape if kind == "add" else shape[1:] for shape in shapes}) > 1:
            raise self._unlike(kind, shapes, at)
        channels = shapes[0][0] if kind == "add" else sum(shape[0] for shape in shapes)
        y = Signal(
            (channels, *shapes[0][1:]),
            _largest(end.field for end in ends),
            _largest(end.jump for end in ends),
            max(end.depth for end in ends),
        )
        return Layer(name, kind, x, y, parts=tuple(part for chain in chains for part in chain))

    def _unlike(self, kind: str, shapes: Sequence[Shape], at: Place) -> SuiteError:
        told = "; ".join(f"branch {index + 1} gives {_extents(shape)}" for index, shape in enumerate(shapes))
        what = "shapes cannot be added" if kind == "add" else "extents cannot be concatenated"
        return self.document.error(at, f"branches of different {what}: {told}")

    # --- layers with weights, and pools -----------------------------------------------------------

    def _weighted(self, kind: str, body: Mapping[str, Any], x: Signal, name: str) -> Layer:
        C, H, W = x.shape
        if kind == "fully_connected":
            window = self.extents.get(name, (H, W))
            own: dict[str, Any] = {"k": body[kind]}
        else:
            window = _both(body[kind])
            own = {key: body[key] for key in ("stride", "padding", "dilation", "groups", "k") if key in body}
        if kind == "depthwise":
            own |= {"k": C, "groups": C}
        spec = ConvSpec(c=C, h=H, w=W, r=window[0], s=window[1], **own, **self.shared)
        if self.strict and not spec.divides_evenly:
            raise SpecError("the stride does not divide evenly, which strict_geometry asks for")
        norm = body.get("batch_norm", self.settings.get("batch_norm", False))
        # A normalisation takes the mean away, and a bias with it.
        bias = body.get("bias", False if body.get("batch_norm") else self.settings.get("bias", not norm))
        y = Signal(spec.y_shape[1:], *_seen(x, spec.filter_extent, spec.stride), x.depth + 1)
        return Layer(
            name, kind, x, y, spec, window, spec.stride, spec.padding, spec.k if bias else 0, 2 * spec.k if norm else 0
        )

    def _pool(self, kind: str, body: Mapping[str, Any], x: Signal, name: str) -> Layer:
        C, H, W = x.shape
        if body[kind] == GLOBAL:
            if excess := [key for key in ("stride", "padding", "rounding") if key in body]:
                raise SpecError(f"a global pool covers the whole image: it has no {excess[0]}")
            window, stride, padding = (H, W), (1, 1), (0, 0)
        else:
            window = _both(body[kind])
            stride, padding = _both(body.get("stride", window)), _both(body.get("padding", 0))
        ceil = body.get("rounding", self.settings.get("rounding")) == "ceil"
        P, Q = (
            pooled(*axis, ceil=ceil and body[kind] != GLOBAL)
            for axis in zip((H, W), window, stride, padding, strict=True)
        )
        y = Signal((C, P, Q), *_seen(x, window, stride), x.depth)
        sides = (padding[0], padding[0]), (padding[1], padding[1])
        return Layer(name, kind, x, y, None, window, stride, sides)


def pooled(extent: int, window: int, stride: int, padding: int, *, ceil: bool) -> int:
    """How many windows of a pool there are; `ceil` is Caffe's rule. Raises `SpecError` where there is none.

    Without padding, Caffe leaves a window that starts past the image; here, as in PyTorch, none ever does.
    """
    if padding >= window:
        raise SpecError(f"a window of {window} can lie in a padding of {padding} with nothing to pool")
    rest = extent + 2 * padding - window
    if rest < 0:
        raise SpecError(
            f"the output is empty: {extent} with padding {padding}+{padding} is smaller than the window {window}"
        )
    if not ceil:
        return rest // stride + 1
    count = -(-rest // stride) + 1
    return count - 1 if (count - 1) * stride >= extent + padding else count


def _seen(x: Signal, window: Pair, stride: Pair) -> tuple[Pair, Pair]:
    (a, b), (c, d) = ((r + (k - 1) * j, j * s) for r, k, j, s in zip(x.field, window, x.jump, stride, strict=True))
    if max(a, b, c, d) > MAX_EXTENT:
        raise SpecError(f"one output sees more of the network's input than {MAX_EXTENT} elements")
    return (a, c), (b, d)


def _both(value: Any) -> Pair:
    return value if isinstance(value, tuple) else (value, value)


def _largest(pairs: Iterator[Pair]) -> Pair:
    first, second = (max(axis) for axis in zip(*pairs, strict=True))
    return first, second


def _extents(shape: Shape) -> str:
    return "×".join(map(str, shape))
