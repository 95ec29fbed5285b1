"""The direct kernels: each against its plain twin, and each form of `direct` on problems that it alone would take."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from numba import njit

from contract.harness import changed, check_contract, planned
from convbench.spec import ConvSpec
from convbench_algorithms import direct, direct_bands, direct_rows, direct_tiles, thread_use
from convbench_algorithms.direct import Direct
from convbench_algorithms.direct_bands import BandPlan, band_of_sums
from convbench_algorithms.direct_rows import RowsPlan, ring_of_rows
from convbench_algorithms.direct_strip import strip_of_sums
from convbench_algorithms.direct_tiles import TilePlan
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.padded_tiles import even_share, fill_middle
from convbench_algorithms.shift_gemm import ShiftPlan

RNG_SEED = 5
UNWRITTEN = 12345  # more than any sum of the small integers below


def whole_numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Small integers, whose sums of products are exact in any order."""
    return np.random.default_rng(RNG_SEED).integers(-4, 5, shape).astype(dtype)


@cache
def strips(channels: int, rows: int, vectors: int, taps: int, stride: int, dilation: int):
    """The strip's kernel, emitted and plain."""

    def compiled(form):
        @njit
        def strip(x, offsets, w, y, columns, past_caches):
            form(
                x, 7, 130, offsets, w, 1, y, 1, 2, 3, 4, columns, past_caches,
                channels, rows, vectors, taps, stride, dilation,
            )  # fmt: skip

        return strip

    return compiled(strip_of_sums), compiled(strip_of_sums.plain)


@cache
def rings(R: int, S: int, vectors: int, u: int, v: int, dilation: int):
    """The ring's kernel, emitted and plain."""

    def compiled(form):
        @njit
        def ring(x, w, y, q, width, P, past_caches):
            form(x, w, y, 3, 10, q, width, 0, P, 2, 1, past_caches, R, S, vectors, u, v, dilation)

        return ring

    return compiled(ring_of_rows), compiled(ring_of_rows.plain)


@cache
def bands(R: int, S: int, rows: int, vectors: int, by_rows: int):
    """The band's kernel, emitted and plain."""

    def compiled(form):
        @njit
        def band(x, w, y, k, p, shift, top, left, dilation, past_caches):
            form(x, w, y, k, p, shift, top, left, dilation, past_caches, R, S, rows, vectors, by_rows)

        return band

    return compiled(band_of_sums), compiled(band_of_sums.plain)


@cache
def fills():
    """The tile's filling, emitted and plain."""

    def compiled(form):
        @njit
        def fill(x, row_map, tile, count):
            form(x, 1, 2, row_map, 1, 4, 6, tile, 1, 3, count)

        return fill

    return compiled(fill_middle), compiled(fill_middle.plain)


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# channels, rows, vectors, taps, stride, dilation
STRIPS = [(1, 3, 2, 3, 1, 1), (2, 2, 1, 5, 2, 1), (1, 4, 3, 2, 1, 3), (3, 1, 1, 1, 3, 2)]


@pytest.mark.parametrize("constants", STRIPS)
@pytest.mark.parametrize("columns", [1, 16, 37, 100])
def test_a_strip_is_its_plain_twin(constants: tuple[int, ...], columns: int, dtype: str) -> None:
    channels, rows, _, taps, _, dilation = constants
    offsets = np.array([0, 3, 260, 1])
    x, w = whole_numbers((30 * 130,), dtype), whole_numbers((2, len(offsets), taps, channels), dtype)
    results = []
    for strip in strips(*constants):
        y = np.full((2, 5, 9, 140), UNWRITTEN, dtype)
        strip(x, offsets, w, y, columns, False)
        results.append(y)
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != UNWRITTEN).sum() <= channels * rows * columns, "wrote past its block"
    expected = sum(
        w[1, t, r, 0] * x[7 + offset + r * dilation * 130 + np.arange(columns)]
        for t, offset in enumerate(offsets)
        for r in range(taps)
    )
    np.testing.assert_array_equal(results[0][1, 2, 3, 4 : 4 + columns], expected)


# R, S, vectors, u, v, dilation
RINGS = [(3, 3, 2, 1, 1, 1), (3, 3, 1, 2, 2, 1), (5, 4, 2, 1, 3, 2), (2, 3, 1, 3, 1, 1), (1, 1, 1, 1, 1, 1)]


@pytest.mark.parametrize("constants", RINGS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 9), (11, 70)])
def test_a_ring_is_its_plain_twin(constants: tuple[int, ...], height: int, width: int, dtype: str) -> None:
    R, S, vectors, u, v, dilation = constants
    x, w = whole_numbers((6, height, width), dtype), whole_numbers((6, R * S), dtype)
    P, Q = max((height + 4 - R) // u + 1, 1), max((width + 2 - dilation * (S - 1) - 1) // v + 1, 1)
    results = []
    for ring in rings(*constants):
        y = np.full((12, P, Q), UNWRITTEN, dtype)
        block = vectors * lanes_of(y.itemsize)
        for q in range(0, Q, block):
            ring(x, w, y, q, min(block, Q - q), P, False)
        results.append(y)
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0][:3] == UNWRITTEN).all()
    assert (results[0][10:] == UNWRITTEN).all()
    assert not (results[0][3:10] == UNWRITTEN).any()


# R, S, rows, vectors, dilation
BANDS = [(3, 3, 4, 2, 1), (5, 2, 6, 1, 3), (1, 4, 2, 3, 2), (7, 7, 1, 1, 1)]


@pytest.mark.parametrize("by_rows", [0, 1])
@pytest.mark.parametrize("constants", BANDS)
@pytest.mark.parametrize(("height", "width"), [(6, 1), (9, 100), (30, 230)])
def test_a_band_is_its_plain_twin(
    constants: tuple[int, ...], by_rows: int, height: int, width: int, dtype: str
) -> None:
    R, S, rows, vectors, dilation = constants
    top, left, shift = 2, 5, 3
    x, w = whole_numbers((4, height, width), dtype), whole_numbers((4, S, R), dtype)
    P, Q = max(height + 4 - R + 1, rows), width + 7 + 5 - dilation * (S - 1)
    results = []
    for band in bands(R, S, rows, vectors, by_rows):
        y = np.full((8, P, Q), UNWRITTEN, dtype)
        for p in [*range(0, P - rows, rows), P - rows]:
            band(x, w, y, 5, p, shift, top, left, dilation, False)
        results.append(y)
    np.testing.assert_array_equal(results[0], results[1])
    assert (np.delete(results[0], 5, 0) == UNWRITTEN).all()
    assert not (results[0][5] == UNWRITTEN).any()


@pytest.mark.parametrize("v", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("count", [0, 1, 15, 16, 40])
def test_phases_are_taken_apart_as_the_plain_twin_does(v: int, count: int, dtype: str) -> None:
    x = whole_numbers((2, 3, 5, 7 + 40 * v), dtype)
    row_map = np.array([0, -1, 4, 2, 2, -1])
    tiles = []
    for fill in fills():
        tile = np.full((2, 4, v, 50), UNWRITTEN, dtype)
        fill(x, row_map, tile, count)
        tiles.append(tile)
    np.testing.assert_array_equal(tiles[0], tiles[1])
    assert (tiles[0][0] == UNWRITTEN).all()
    np.testing.assert_array_equal(tiles[0][1, 1, v - 1, 3 : 3 + count], x[1, 2, 4, 6 + v - 1 :: v][:count])


FORMS = {
    "h40w300r3s3+padding=1": BandPlan,
    "n2c3h13w200k6r5s4+padding=2.1x7.0+groups=3+dilation=1x2+flip=true": BandPlan,
    "c2h7w260k2r9s9+padding=4+groups=2": BandPlan,
    "h3w223r15s15+padding=20": BandPlan,
    "h50w256r7s7+boundary=wrap": BandPlan,
    "h30w1024r9s3+padding=2": BandPlan,
    "c5h17w19k5r3s3+padding=1+groups=5": RowsPlan,
    "n2c3h40w70k6r3s2+padding=2.1x0.1+groups=3+stride=2": RowsPlan,
    "c2h14w14k2r5s5+padding=2+groups=2+flip=true": RowsPlan,
    "h9w33r3s3+padding=1+stride=1x4+dilation=1x2": RowsPlan,
    "h70w90r5s4+padding=2+boundary=reflect": TilePlan,
    "h40w70r9s3+padding=7+flip=true": TilePlan,
    "n2c6h30w41k4r3s3+padding=1+groups=2+stride=2x3+dilation=2": TilePlan,
    "h3w5r34s3+padding=34.33x3.2": TilePlan,
    "h37w850r7s3+padding=3+boundary=wrap": TilePlan,
    "c3h31w33k37r5s5+padding=2+stride=2": ShiftPlan,
    "c4h14w850k10r3s3+padding=1+groups=2": ShiftPlan,
    "c70h7w7k70r3s3+padding=1": ShiftPlan,
}


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("threads", [1, 2])
def test_every_form_keeps_the_contract(text: str, threads: int, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "WORTH_COMPILING_FLOPS", 0)
    monkeypatch.setattr(thread_use, "HANDING_OUT_FLOPS", 0)
    spec = changed(ConvSpec.parse(text), dtype=dtype)
    assert type(planned(Direct(), spec, threads)) is FORMS[text]
    check_contract(Direct(), spec, threads)
    check_contract(Direct(), spec, threads, tile_limit_bytes=4096)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (direct_bands, "h40w1024r7s7+padding=3"),
        (direct_rows, "h40w256r3s3+padding=1+stride=2"),
        (direct_tiles, "h40w1024r7s7+padding=3+boundary=wrap"),
    ],
)
def test_large_outputs_past_the_caches(module: object, text: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever y begins: the harness's arrays are not aligned to vectors, and not all alike."""
    monkeypatch.setattr(module, "PAST_CACHES_BYTES", 0)
    monkeypatch.setattr(direct, "WORTH_COMPILING_FLOPS", 0)
    spec = changed(ConvSpec.parse(text), dtype=dtype)
    plan = planned(Direct(), spec)
    assert plan.past_caches
    check_contract(Direct(), spec)
    rng = np.random.default_rng(RNG_SEED)
    conv = plan.prepare(rng.standard_normal(spec.w_shape).astype(dtype))
    x = rng.standard_normal(spec.x_shape).astype(dtype)
    results = []
    for start in range(0, 16, 3):
        buffer = np.full(math.prod(spec.y_shape) + 32, 7, dtype)
        first = -buffer.ctypes.data % 64 // buffer.itemsize + start
        y = buffer[first : first + math.prod(spec.y_shape)].reshape(spec.y_shape)
        conv.execute(x, y)
        results.append(y)
        assert (buffer[:first] == 7).all()
        assert (buffer[first + y.size :] == 7).all()
    for y in results:
        np.testing.assert_allclose(y, results[0], rtol=1e-4, atol=1e-4)


def test_threads_get_as_many_tiles_each() -> None:
    for parts in range(1, 9):
        for images in range(1, 5):
            for threads in range(1, 6):
                share = even_share(parts, images, threads)
                assert parts <= share < parts + threads
                assert share * images % threads == 0
