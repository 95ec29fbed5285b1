"""Libraries that may not be installed, and what those that compute layers leave out."""

from __future__ import annotations

import importlib.util
from abc import abstractmethod
from functools import cache

from convbench.algorithm import Array, PreparedConv, Unsupported, unsupported_dtype
from convbench.spec import ConvSpec
from convbench_algorithms.peers.plain import unless_same_extent, unless_unit_steps


@cache
def missing(module: str, package: str, extra: str = "peers") -> Unsupported | None:
    """The reason where `module` cannot be imported; looked up, not imported, as that may take seconds."""
    if importlib.util.find_spec(module) is None:
        return Unsupported(f"needs the {package} package: pip install 'convbench[{extra}]'")
    return None


def unless_forward(spec: ConvSpec) -> Unsupported | None:
    """The reason where `spec` is of another direction than forward, or in half precision."""
    return unless_direction_forward(spec) or unsupported_dtype(spec)


def unless_direction_forward(spec: ConvSpec) -> Unsupported | None:
    """The reason where `spec` is of another direction than forward."""
    return None if spec.direction == "forward" else Unsupported("computes forward only")


def unless_float_layer(spec: ConvSpec) -> Unsupported | None:
    """The reason where `spec` is not what inference engines run: forward, float32, zeros around the image."""
    if unsupported := unless_forward(spec):
        return unsupported
    if spec.dtype != "float32":
        return Unsupported("computes in float32 only")
    if spec.boundary != "zero" and spec.padding != ((0, 0), (0, 0)):
        return Unsupported("pads with zeros only")
    return None


def unless_plane_by_plane(spec: ConvSpec) -> Unsupported | None:
    """The reason where `spec` is not what image libraries filter: each channel by itself, to its own extent."""
    if unsupported := unless_forward(spec):
        return unsupported
    if not spec.c == spec.k == spec.groups:
        return Unsupported("filters each channel by itself: needs groups = c = k")
    return unless_unit_steps(spec) or unless_same_extent(spec)


class BoundConv(PreparedConv):
    """A library's convolution that works on the caller's memory, once it has been told where that is."""

    def __init__(self) -> None:
        self.bound: tuple[Array, Array] | None = None

    @abstractmethod
    def bind(self, x: Array, y: Array) -> None:
        """Tell the library where x and y lie."""

    @abstractmethod
    def run(self) -> None:
        """Convolve what is bound."""

    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`."""
        if self.bound is None or self.bound[0] is not x or self.bound[1] is not y:
            self.bind(x, y)
            self.bound = x, y
        self.run()
