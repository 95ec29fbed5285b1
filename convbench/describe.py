"""What a convolution costs before anything is timed: shapes, parameters, work, memory, receptive field."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from convbench.result import Cell
from convbench.spec import ConvSpec, Pair, receptive_field
from convbench.suite import Layer, Network


class Fact(NamedTuple):
    """One line of a description."""

    label: str
    value: str


class SpecSummary(NamedTuple):
    """One distinct spec of a suite, as numbers; `cells` is at how many thread counts it is measured."""

    spec: str
    name: str
    weight: float
    cells: int
    y_shape: tuple[int, int, int, int]
    parameters: int
    direct_flops: int
    minimal_bytes: int
    flops_per_byte: float
    columns_bytes: int


class LayerSummary(NamedTuple):
    """One layer of a network, for one image; a join (`level` says how deep in joins) has its parts' figures in sum."""

    name: str
    kind: str
    level: int
    x_shape: tuple[int, int, int]
    kernel: str
    y_shape: tuple[int, int, int]
    weights: int
    parameters: int
    multiply_adds: int
    share: float
    """Of the network's multiply-adds."""
    activation_bytes: int
    field: Pair
    jump: Pair
    columns_shape: Pair | None
    columns_bytes: int
    fft_bytes: int
    is_join: bool


def describe_spec(spec: ConvSpec) -> tuple[Fact, ...]:
    """The figures of one convolution, in the order in which one would work them out."""
    rows, columns = spec.columns_shape
    columns_elements = spec.n * rows * columns
    times = columns_elements / math.prod(spec.x_shape)
    return (
        Fact("spec", spec.id),
        Fact("x [N,C,H,W]", _shape(spec.x_shape)),
        Fact("w [K,C/groups,R,S]", _shape(spec.w_shape)),
        Fact("y [N,K,P,Q]", f"{_shape(spec.y_shape)} = {math.prod(spec.y_shape):,} outputs"),
        Fact("computes", f"{spec.direction}: {_shape(spec.output_shape)}"),
        Fact("padded extent", _extent(spec.padded_extent)),
        Fact("stride divides evenly", "yes" if spec.divides_evenly else "no: the last rows or columns are left out"),
        Fact("receptive field", _extent((_field(spec, 0), _field(spec, 1)))),
        Fact("parameters", f"{spec.parameters:,} weights, {spec.parameters + spec.k:,} with biases"),
        Fact("multiply-adds", f"{spec.direct_flops // 2:,}"),
        Fact("direct FLOPs", f"{spec.direct_flops:,}"),
        Fact("minimal traffic", f"{size(spec.minimal_bytes)} (x, w and y once each)"),
        Fact("arithmetic intensity", f"{spec.direct_flops / spec.minimal_bytes:,.1f} FLOP/byte"),
        Fact(
            "im2col columns [CRS × PQ]",
            f"{rows:,} × {columns:,} an image, {size(columns_elements * spec.itemsize)} in all, "
            f"{times:,.1f} times the image",
        ),
    )


def describe_cells(cells: Iterable[Cell]) -> tuple[SpecSummary, ...]:
    """One row for each distinct spec, in the cells' order."""
    by_spec: dict[ConvSpec, list[Cell]] = {}
    for cell in cells:
        by_spec.setdefault(cell.spec, []).append(cell)
    return tuple(_summary(spec, same) for spec, same in by_spec.items())


def describe_network(network: Network) -> tuple[LayerSummary, ...]:
    """A line a layer, in order; a join before its parts."""
    whole = sum(layer.multiply_adds for layer in network.layers)
    return tuple(
        LayerSummary(
            name=layer.name,
            kind=layer.kind,
            level=level,
            x_shape=layer.x.shape,
            kernel=_kernel(layer),
            y_shape=layer.y.shape,
            weights=layer.weights,
            parameters=layer.parameters,
            multiply_adds=layer.multiply_adds,
            share=layer.multiply_adds / whole,
            activation_bytes=network.itemsize * layer.activations,
            field=layer.y.field,
            jump=layer.y.jump,
            columns_shape=layer.spec.columns_shape if layer.spec else None,
            columns_bytes=max((columns_bytes(leaf.spec) for leaf in layer.leaves if leaf.spec), default=0),
            fft_bytes=max((fft_bytes(leaf.spec) for leaf in layer.leaves if leaf.spec), default=0),
            is_join=bool(layer.parts),
        )
        for layer, level in _outline(network.layers, 0)
    )


def network_totals(network: Network) -> tuple[Fact, ...]:
    """What all layers come to, for one image."""
    leaves = list(network.leaves)
    learning = [(leaf, leaf.spec) for leaf in leaves if leaf.spec is not None]
    weights, biases, norms = (
        sum(counts) for counts in zip(*((f.weights, f.biases, f.norms) for f in leaves), strict=True)
    )
    kinds = [f"{weights:,} weights", f"{biases:,} biases"]
    kinds += [f"{norms:,} scales and shifts of batch normalisation"] if norms else []
    multiply_adds = sum(leaf.multiply_adds for leaf in leaves)
    values = math.prod(network.input_shape) + sum(leaf.activations for leaf in leaves)
    held = network.itemsize * values
    end = network.layers[-1].y
    columns, column_layer = max((columns_bytes(spec), leaf.name) for leaf, spec in learning)
    spectra, spectra_layer = max((fft_bytes(spec), leaf.name) for leaf, spec in learning)
    distinct = len({spec for _, spec in learning})
    parameters = weights + biases + norms
    return (
        Fact(
            "layers", f"{len(learning)} with weights, {end.depth} one after another; {distinct} distinct convolutions"
        ),
        Fact("parameters", f"{parameters:,} = {' + '.join(kinds)}, {size(network.itemsize * parameters)}"),
        Fact("multiply-adds", f"{multiply_adds:,} an image, {2 * multiply_adds / 1e9:,.4g} GFLOP"),
        Fact("activations", f"{values:,} values with the image, {size(held)}; with their gradients {size(2 * held)}"),
        Fact(
            "receptive field",
            f"{_extent(end.field)} elements of the image, from one output to the next {_extent(end.jump)}",
        ),
        Fact("most workspace", f"im2col {size(columns)} ({column_layer}), FFT {size(spectra)} ({spectra_layer})"),
    )


def columns_bytes(spec: ConvSpec) -> int:
    """What im2col makes of one image: C·R·S × P·Q values."""
    return spec.itemsize * math.prod(spec.columns_shape)


def fft_bytes(spec: ConvSpec) -> int:
    """What the FFT of one whole image needs beside x, w and y: what `fft` plans.

    On M × N, the next lengths that FFTW likes after what the outputs see: [max(C,K),M,N] real, and the half spectra
    of x [C,M,N/2+1], of w [K,C/groups,M,N/2+1] and of y [K,M,N/2+1] complex; depthwise, y's take the place of x's.
    """
    import pyfftw

    seen = zip((spec.p, spec.q), spec.stride, spec.filter_extent, strict=True)
    M, N = (2 * int(pyfftw.next_fast_len(-(-((p - 1) * u + r) // 2))) for p, u, r in seen)
    spectra = spec.k * (spec.c // spec.groups) + spec.c + (0 if spec.c == spec.k == spec.groups else spec.k)
    return spec.itemsize * M * (max(spec.c, spec.k) * N + 2 * spectra * (N // 2 + 1))


def size(count_bytes: int) -> str:
    """Bytes for people: `4.2 MiB`."""
    unit, name = max((u for u in _UNITS if u[0] <= max(count_bytes, 1)), key=lambda u: u[0])
    return f"{count_bytes:,} B" if unit == 1 else f"{count_bytes / unit:,.1f} {name}"


_UNITS = tuple((2 ** (10 * power), name) for power, name in enumerate(("B", "KiB", "MiB", "GiB", "TiB")))


def _summary(spec: ConvSpec, cells: list[Cell]) -> SpecSummary:
    return SpecSummary(
        spec=spec.id,
        name=cells[0].name,
        weight=cells[0].weight,
        cells=len(cells),
        y_shape=spec.y_shape,
        parameters=spec.parameters,
        direct_flops=spec.direct_flops,
        minimal_bytes=spec.minimal_bytes,
        flops_per_byte=spec.direct_flops / spec.minimal_bytes,
        columns_bytes=spec.itemsize * spec.n * math.prod(spec.columns_shape),
    )


def _outline(layers: Iterable[Layer], level: int) -> Iterator[tuple[Layer, int]]:
    for layer in layers:
        yield layer, level
        yield from _outline(layer.parts, level + 1)


def _kernel(layer: Layer) -> str:
    """`11×11/4`, `5×5+2 g2`: extent, stride, padding, dilation and groups, those that say something."""
    if layer.parts:
        return layer.kind
    text = "×".join(map(str, layer.window))
    if layer.stride != (1, 1):
        text += "/" + _equal(layer.stride)
    if layer.padding != ((0, 0), (0, 0)):
        text += "+" + _equal(tuple(_equal(side, ".") for side in layer.padding))
    if layer.spec and layer.spec.dilation != (1, 1):
        text += " d" + _equal(layer.spec.dilation)
    if layer.spec and layer.spec.groups > 1:
        text += f" g{layer.spec.groups}"
    return text


def _equal(pair: Iterable[object], join: str = "×") -> str:
    words = list(map(str, pair))
    return words[0] if len(set(words)) == 1 else join.join(words)


def _field(spec: ConvSpec, axis: int) -> int:
    return receptive_field([(spec.filter_extent[axis], spec.stride[axis])])


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{extent:,}" for extent in shape)


def _extent(extent: tuple[int, int]) -> str:
    return f"{extent[0]:,} × {extent[1]:,}"
