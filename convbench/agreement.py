"""Is it right? A float64 reference in plain numpy, and the verdict on an output.

It shares no code with any contender. Small problems are computed in full; of big ones a seeded
sample of outputs is: corners, edges, whole rows and columns (they cut every seam between tiles), and
elements from anywhere.

    forward             y[n,k,p,q]  = Σ_{c,r,s} w[k,c,r,s] · pad(x)[n,c,p·u+r·dh,q·v+s·dw]
    backward_data       dx = the transpose of that map, applied to dy
    backward_weights    dw[k,c,r,s] = Σ_{n,p,q} dy[n,k,p,q] · pad(x)[n,c,p·u+r·dh,q·v+s·dw]
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convbench.algorithm import Array, ErrorModel, inner_product_length, unit_roundoff
from convbench.boundary import OUTSIDE, index_map, index_maps
from convbench.result import Agreement
from convbench.spec import ConvSpec, Shape4

Indices = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

# Work is counted in visits of an array element, at a few nanoseconds each: 1.5e8 take about half a second.
WORK_LIMIT: Final = 150_000_000
VISITS_PER_GATHERED_PRODUCT: Final = 12  # measured against the visits of the full computation
PRODUCTS_PER_CHUNK: Final = 2**20
LEAST_SAMPLES: Final = 64
MOST_SAMPLES: Final = 2**17
PIECE: Final = 2**15
"""Outputs that are compared at a time."""


@dataclass(frozen=True)
class Reference:
    """The right outputs [M], the scale s = |w| ⋆ |x| at the same places, and where those are.

    `indices` are flat, sorted indices into an output of `shape`; None means all of it. `scale_rms`
    is the root mean square of s over the whole output, estimated from uniform samples if need be; it is that of a
    single product at least, since a transform mixes all of x with all of w, also where an output needs none of it.
    """

    shape: Shape4
    indices: Indices | None
    values: Float64
    scale: Float64
    scale_rms: float

    @property
    def outputs(self) -> int:
        """How many outputs there are, compared or not."""
        return math.prod(self.shape)


def reference(spec: ConvSpec, prepared: Array, input: Array, *, seed: int, work_limit: float = WORK_LIMIT) -> Reference:
    """The reference of `spec` on finite operands, in full where `work_limit` visits suffice, else sampled.

    Where even the least sample costs more than the whole (dw of a few taps over a huge image), in full too.
    """
    sample_work = VISITS_PER_GATHERED_PRODUCT * inner_product_length(spec)
    count = min(max(int(work_limit // sample_work), LEAST_SAMPLES), MOST_SAMPLES)
    if full_work(spec) <= max(work_limit, count * sample_work):
        return full_reference(spec, prepared, input)
    return sampled_reference(spec, prepared, input, count=count, seed=seed)


def full_reference(spec: ConvSpec, prepared: Array, input: Array) -> Reference:
    """Every output."""
    values = _full(spec, prepared, input).ravel()
    scale = _full(spec, np.abs(prepared), np.abs(input)).ravel()
    return Reference(spec.output_shape, None, values, scale, max(_rms(scale), _rms(prepared) * _rms(input)))


def sampled_reference(spec: ConvSpec, prepared: Array, input: Array, *, count: int, seed: int) -> Reference:
    """About `count` outputs, half of them from anywhere."""
    uniform, structured = _sample(spec.output_shape, count, np.random.default_rng(seed))
    indices = np.union1d(uniform, structured)
    values, scale = _gathered(spec, prepared, input, indices)
    scale_rms = max(_rms(scale[np.isin(indices, uniform)]), _rms(prepared) * _rms(input))
    return Reference(spec.output_shape, indices, values, scale, scale_rms)


def full_work(spec: ConvSpec) -> float:
    """Visits of the full computation: one matrix product a tap, whose products cost a thirtieth of a visit."""
    C, K = spec.c, spec.k
    taps = spec.r * spec.s * spec.n * spec.p * spec.q
    arrays = math.prod(spec.x_shape) + math.prod(spec.y_shape)
    return taps * (C + K + K * C / spec.groups / 30) + 8 * arrays


# --- in full: a matrix product for each tap -------------------------------------------------------


def _full(spec: ConvSpec, prepared: Array, input: Array) -> Float64:
    """The output [spec.output_shape]."""
    if spec.direction == "forward":
        return _forward(spec, prepared, input)
    if spec.direction == "backward_data":
        return _backward_data(spec, prepared, input)
    return _backward_weights(spec, prepared, input)


def _forward(spec: ConvSpec, w: Array, x: Array) -> Float64:
    taps = _grouped_filter(spec, w)
    y = np.zeros((spec.n, spec.groups, spec.k // spec.groups, spec.p * spec.q))
    for n in range(spec.n):
        for r, s, window in _windows(spec, _padded(spec, x[n])):
            if taps.shape[1] == taps.shape[2] == 1:  # a channel by itself: no product of matrices
                y[n] += taps[..., r, s] * window.reshape(spec.groups, 1, -1)
            else:
                y[n] += taps[..., r, s] @ _columns(spec, window)
    return y.reshape(spec.y_shape)


def _backward_data(spec: ConvSpec, w: Array, dy: Array) -> Float64:
    taps = _grouped_filter(spec, w).swapaxes(1, 2)  # [G,C/G,K/G,R,S]
    dx = np.empty(spec.x_shape)
    for n in range(spec.n):
        gradient = _columns(spec, dy[n].astype(np.float64))
        padded = np.zeros((spec.c, *spec.padded_extent))
        for r, s, window in _windows(spec, padded):
            window += (taps[..., r, s] @ gradient).reshape(window.shape)
        dx[n] = _folded(spec, padded)
    return dx


def _backward_weights(spec: ConvSpec, dy: Array, x: Array) -> Float64:
    dw = np.zeros((spec.groups, spec.k // spec.groups, spec.c // spec.groups, spec.r, spec.s))
    for n in range(spec.n):
        gradient = _columns(spec, dy[n].astype(np.float64))
        for r, s, window in _windows(spec, _padded(spec, x[n])):
            dw[..., r, s] += gradient @ _columns(spec, window).swapaxes(1, 2)
    return (dw[..., ::-1, ::-1] if spec.flip else dw).reshape(spec.w_shape)


def _grouped_filter(spec: ConvSpec, w: Array) -> Float64:
    """w as [G,K/G,C/G,R,S], as it is laid over x."""
    laid = w[..., ::-1, ::-1] if spec.flip else w
    return laid.reshape(spec.groups, spec.k // spec.groups, *spec.w_shape[1:]).astype(np.float64)


def _columns(spec: ConvSpec, planes: Array) -> Array:
    """Planes [channels,P,Q] as matrices [G,channels/G,P·Q]."""
    return planes.reshape(spec.groups, -1, spec.p * spec.q)


def _padded(spec: ConvSpec, image: Array) -> Float64:
    """x[n] [C,H,W] with its padding."""
    options: dict[str, Any] = {"mode": "constant" if spec.boundary == "zero" else spec.boundary}
    return np.pad(image.astype(np.float64), ((0, 0), *spec.padding), **options)


def _windows(spec: ConvSpec, padded: Float64) -> Iterator[tuple[int, int, Float64]]:
    """For each tap the view [C,P,Q] of `padded` [C,H',W'] that it multiplies."""
    (u, v), (dh, dw) = spec.stride, spec.dilation
    for r, s in np.ndindex(spec.r, spec.s):
        rows = slice(r * dh, r * dh + (spec.p - 1) * u + 1, u)
        yield r, s, padded[:, rows, s * dw : s * dw + (spec.q - 1) * v + 1 : v]


def _folded(spec: ConvSpec, padded: Float64) -> Float64:
    """The transpose of padding: each element of `padded` [C,H',W'] added to where it came from, [C,H,W]."""
    for axis, sources in zip((1, 2), index_maps(spec), strict=True):
        before, extent = spec.padding[axis - 1][0], spec.x_shape[axis + 1]
        lines = np.moveaxis(padded, axis, 0)
        inside = lines[before : before + extent].copy()
        for line, source in enumerate(sources):
            if source != OUTSIDE and not before <= line < before + extent:
                inside[source] += lines[line]
        padded = np.moveaxis(inside, 0, axis)
    return padded


# --- sampled: every product of an output, looked up -----------------------------------------------


def _sample(shape: Shape4, count: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """About `count` flat indices: half from anywhere, and as many on corners, edges, rows and columns."""
    A, B, rows, cols = shape
    planes = np.unique([0, A * B - 1, *rng.integers(A * B, size=max(count // 32, 1))])
    corners = np.array([0, cols - 1, (rows - 1) * cols, rows * cols - 1])
    parts = [(planes[:, None] * rows * cols + corners).ravel()]
    left = count // 2 - parts[0].size
    across, down = np.arange(cols), np.arange(rows) * cols
    # Row and column of one plane first: should the count run out, they say most for each element.
    while left > 0 and len(parts) < 64:
        plane = int(rng.integers(A * B)) * rows * cols
        row, col = int(rng.integers(rows)), int(rng.integers(cols))
        for line in (across + row * cols, down + col, across, across + (rows - 1) * cols, down, down + cols - 1):
            thin = -(-line.size // left) if left > 0 else line.size
            parts.append(plane + line[::thin])
            left -= parts[-1].size
    return rng.integers(math.prod(shape), size=count - count // 2), np.concatenate(parts)


@dataclass(frozen=True)
class _Links:
    """Along one axis, every (output, tap, source) that meet in a product, grouped by what the result is indexed by.

    Columns of `triples` [3,L] from `starts[i]`, `counts[i]` of them, belong to index i of the result.
    """

    triples: Indices
    starts: Indices
    counts: Indices


def _links(spec: ConvSpec, axis: int) -> _Links:
    outputs, taps, extent = (spec.p, spec.q)[axis], (spec.r, spec.s)[axis], (spec.h, spec.w)[axis]
    output, tap = (grid.ravel() for grid in np.indices((outputs, taps)))
    sources = index_map(extent, spec.padding[axis], spec.boundary)
    source = sources[output * spec.stride[axis] + tap * spec.dilation[axis]]
    triples = np.stack([output, taps - 1 - tap if spec.flip else tap, source])[:, source != OUTSIDE]
    role = {"forward": 0, "backward_weights": 1, "backward_data": 2}[spec.direction]
    triples = triples[:, np.argsort(triples[role], kind="stable")]
    counts = np.bincount(triples[role], minlength=(outputs, taps, extent)[role])
    return _Links(triples, np.cumsum(counts) - counts, counts)


def _spread(starts: Indices, counts: Indices) -> tuple[Indices, Indices]:
    """The ranges `starts[i] … + counts[i]` end to end, and the i that each member belongs to."""
    owner = np.repeat(np.arange(len(counts)), counts)
    position = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]
    return owner, starts[owner] + position


def _gathered(spec: ConvSpec, prepared: Array, input: Array, indices: Indices) -> tuple[Float64, Float64]:
    """Values and scale [M] of the outputs at flat `indices` [M]."""
    first, second, i, j = np.unravel_index(indices, spec.output_shape)
    rows, cols = _links(spec, 0), _links(spec, 1)
    values, scale = np.zeros(len(indices)), np.zeros(len(indices))
    element, row_link = _spread(rows.starts[i], rows.counts[i])
    products = cols.counts[j[element]] * _summed_channels(spec)
    chunk_of = np.cumsum(products) // PRODUCTS_PER_CHUNK
    for members in np.split(np.arange(len(element)), np.flatnonzero(np.diff(chunk_of)) + 1):
        owner, col_link = _spread(cols.starts[j[element[members]]], cols.counts[j[element[members]]])
        link = members[owner]
        e = element[link]
        row, col = rows.triples[:, row_link[link], None], cols.triples[:, col_link, None]
        terms = _terms(spec, prepared, input, (first[e, None], second[e, None]), row, col)
        values += np.bincount(e, terms.sum(1), len(indices))
        scale += np.bincount(e, np.abs(terms).sum(1), len(indices))
    return values, scale


def _summed_channels(spec: ConvSpec) -> int:
    """How many images or channels each output sums over, beside rows and columns."""
    channels = {"forward": spec.c // spec.groups, "backward_data": spec.k // spec.groups, "backward_weights": spec.n}
    return channels[spec.direction]


def _terms(
    spec: ConvSpec, prepared: Array, input: Array, outer: tuple[Indices, Indices], row: Indices, col: Indices
) -> Float64:
    """The products [T,summed channels] of the outputs with first indices `outer`, over the links row, col [3,T,1]."""
    (p, r, h), (q, s, w) = row, col
    a, b = outer
    C, K = spec.c // spec.groups, spec.k // spec.groups
    summed = np.arange(_summed_channels(spec))
    if spec.direction == "forward":
        left, right = prepared[b, summed, r, s], input[a, b // K * C + summed, h, w]
    elif spec.direction == "backward_data":
        k = b // C * K + summed
        left, right = prepared[k, b % C, r, s], input[a, k, p, q]
    else:
        left, right = prepared[summed, a, p, q], input[summed, a // K * C + b, h, w]
    terms: Float64 = left.astype(np.float64) * right
    return terms


# --- the verdict ----------------------------------------------------------------------------------


def judge(y: Array, reference: Reference, model: ErrorModel) -> Agreement:
    """How close y is to the reference, in the model's norm. Every element of y must be finite, compared or not."""
    compared = len(reference.values)

    def verdict(error: float, detail: str = "", normwise: float | None = None) -> Agreement:
        return Agreement(
            error=error,
            bound=model.bound,
            norm=model.norm,
            compared=compared,
            outputs=reference.outputs,
            detail=detail,
            normwise=normwise,
        )

    if y.shape != reference.shape:
        return verdict(math.inf, f"the output has the shape {list(y.shape)}, not {list(reference.shape)}")
    if not np.isfinite(y).all():
        if missing := int(np.count_nonzero(np.isnan(y))):
            return verdict(math.nan, f"{missing} of {y.size} outputs were never written (NaN)")
        return verdict(math.inf, f"{np.count_nonzero(np.isinf(y))} of {y.size} outputs are infinite")
    outputs = y.ravel() if reference.indices is None else y.ravel()[reference.indices]
    componentwise, normwise, worst = _errors(outputs, reference, by_component=model.norm == "componentwise")
    error = componentwise if model.norm == "componentwise" else normwise
    if error <= model.bound:
        return verdict(error, normwise=normwise)
    flat = worst if reference.indices is None else int(reference.indices[worst])
    place = [int(i) for i in np.unravel_index(flat, reference.shape)]
    if reference.scale[worst] == 0:
        return verdict(error, f"an output that must be exactly 0 is {float(outputs[worst]):.6g}, at {place}", normwise)
    text = f"worst at {place}: {float(outputs[worst]):.9g} instead of {reference.values[worst]:.9g}"
    return verdict(error, text, normwise)


def _errors(outputs: Array, reference: Reference, *, by_component: bool) -> tuple[float, float, int]:
    """The largest |e_i| / s_i (or |e_i|), ‖e‖₂ / ‖s‖₂, and where the former is; by pieces that stay in a cache."""
    largest, squares, worst = -1.0, 0.0, 0
    for first in range(0, len(outputs), PIECE):
        piece = slice(first, first + PIECE)
        distance = np.abs(outputs[piece].astype(np.float64) - reference.values[piece])
        squares += float(np.square(distance).sum())
        errors = _componentwise(distance, reference.scale[piece], outputs.dtype) if by_component else distance
        index = int(np.argmax(errors))
        if errors[index] > largest:
            largest, worst = float(errors[index]), first + index
    return largest, _ratio(math.sqrt(squares / len(outputs)), reference.scale_rms), worst


def precision_lost(y: Array, reference: Reference) -> str:
    """Why y looks computed in less than its own dtype, or "" where it does not.

    For operands without cancellation (normal data, a random filter): bounds that hold for whatever x may hide a
    product in half precision or TF32, but there a strict algorithm stays ten times closer, in norm, than
    rounding to the next lower dtype would bring it.
    """
    lower = {"float32": "float16", "float64": "float32"}.get(str(y.dtype))
    if lower is None:
        return ""
    outputs = y.ravel() if reference.indices is None else y.ravel()[reference.indices]
    error = _ratio(_rms(outputs.astype(np.float64) - reference.values), _rms(reference.values))
    if error <= unit_roundoff(lower) / 10:
        return ""
    return f"a relative error of {error:.2g} is that of {lower}, not of strict {y.dtype}"


def _componentwise(distance: Float64, scale: Float64, dtype: npt.DTypeLike) -> Float64:
    """|e_i| / s_i; below the dtype's normal numbers rounding is absolute, so s_i > 0 counts as at least that."""
    least = np.maximum(scale, np.finfo(dtype).tiny)
    return np.where(scale > 0, distance / least, np.where(distance > 0, np.inf, 0.0))


def _ratio(error: float, scale: float) -> float:
    if scale > 0:
        return error / scale
    return math.inf if error > 0 else 0.0


def _rms(values: Array) -> float:
    flat = values.reshape(-1)  # whose squares, in float64, would take as much memory again or more
    return float(np.sqrt(np.einsum("i,i->", flat, flat, dtype=np.float64) / flat.size))
