"""Winograd's micro-kernels against the plain code that says what they compute, and its choice of tiles and blocks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numba import njit

from convbench.algorithm import MiB, Resources
from convbench.spec import ConvSpec
from convbench_algorithms import linear_forms, winograd_kernels
from convbench_algorithms.emitter import lanes_of
from convbench_algorithms.lane_transposes import lanes_to_rows, rows_to_lanes
from convbench_algorithms.winograd import Winograd, WinogradF2, WinogradF4, WinogradF6
from convbench_algorithms.winograd_blocking import Blocking, filter_bytes
from convbench_algorithms.winograd_cost import GAIN, choose_transforms, cost
from convbench_algorithms.winograd_product import ROWS, multiply_panel
from convbench_algorithms.winograd_transforms import transforms

EXTENTS = [(2, 3), (4, 3), (6, 3), (2, 5), (4, 5), (4, 2), (1, 1), (5, 3), (7, 3), (3, 5)]


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=0, atol=np.finfo(got.dtype).eps * 100 * np.abs(expected).max())


# --- linear forms -------------------------------------------------------------------------------------


class Counting:
    """Exact numbers in place of vectors, and how many operations they take."""

    def __init__(self) -> None:
        self.operations = 0

    def constant(self, value):
        return Number(self, Fraction(value).limit_denominator(10**6))

    def fma(self, a, b, c):
        self.operations += 1
        return Number(self, a.value * b.value + c.value)


class Number:
    def __init__(self, counting, value):
        self.counting, self.value = counting, value

    def _new(self, value):
        self.counting.operations += 1
        return Number(self.counting, value)

    def __add__(self, other):
        return self._new(self.value + other.value)

    def __sub__(self, other):
        return self._new(self.value - other.value)

    def __mul__(self, other):
        return self._new(self.value * other.value)

    def __neg__(self):
        return self._new(-self.value)


@pytest.mark.parametrize(("m", "r"), EXTENTS)
@pytest.mark.parametrize("letter", ["A", "B", "G"])
def test_linear_forms_are_the_matrix_times_the_values(m, r, letter):
    matrix = getattr(transforms(m, r), letter)
    if letter != "G":
        matrix = list(zip(*matrix, strict=True))
    values = [Fraction(7 * i * i - 3, i + 2) for i in range(len(matrix[0]))]
    counting = Counting()
    got = linear_forms.product(counting, matrix, [Number(counting, value) for value in values])
    assert [number.value for number in got] == [
        sum(entry * value for entry, value in zip(row, values, strict=True)) for row in matrix
    ]
    assert counting.operations <= sum(1 for row in matrix for entry in row if entry)


def test_what_pairs_of_points_share_is_computed_once():
    """Lavin & Gray's Bᵀ of F(4,3): each of two pairs of rows has an even and an odd part."""
    counting = Counting()
    linear_forms.product(
        counting, list(zip(*transforms(4, 3).B, strict=True)), [Number(counting, Fraction(i)) for i in range(6)]
    )
    assert counting.operations <= 18


# --- lanes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["emitted", "plain"])
@pytest.mark.parametrize(("count", "width"), [(1, 1), (3, 40), (16, 16), (5, 7), (16, 33)])
def test_rows_become_lanes_and_back(dtype, kernel, count, width):
    there, back = (k if kernel == "emitted" else k.plain for k in (rows_to_lanes, lanes_to_rows))
    there_and_back = njit(lambda rows, vectors, out, n, w: (there(rows, vectors, n, w), back(vectors, out, n, w)))
    lanes = lanes_of(np.dtype(dtype).itemsize)
    count = min(count, lanes)
    rows = np.random.default_rng(1).random((count, width + 3)).astype(dtype)[:, 3:]
    vectors = np.zeros((width // lanes + 1) * lanes * lanes, dtype)
    out = np.full((count + 1, width + 1), -1, dtype)
    there_and_back(rows, vectors, out, count, width)
    expected = rows[np.minimum(np.arange(lanes), count - 1)].T.ravel()
    np.testing.assert_array_equal(vectors[: width * lanes], expected)
    np.testing.assert_array_equal(out[:count, :width], rows)
    assert (out[count:] == -1).all()
    assert (out[:, width:] == -1).all()


# --- products -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tiles", [1, 2, 5, ROWS, ROWS + 1, 2 * ROWS + 3, 49])
@pytest.mark.parametrize("vectors", [1, 2])
@pytest.mark.parametrize("depth", [1, 7, 33])
def test_products_of_a_panel(dtype, tiles, vectors, depth):
    rng = np.random.default_rng(tiles)
    width = vectors * lanes_of(np.dtype(dtype).itemsize)
    U, V = rng.random((depth, width)).astype(dtype), rng.random((tiles + tiles % 2, depth + 5)).astype(dtype)
    M = np.full((len(V), width + 3), -1, dtype)
    multiply_panel(U.ravel(), V, M, tiles, depth, vectors)
    close(M[:tiles, :width], V[:tiles, :depth] @ U)
    assert (M[:, width:] == -1).all()


# --- transforms ---------------------------------------------------------------------------------------


def both(call, *arrays):
    """What `call` makes of equal arrays with the emitted and with the plain kernel, whose name it has."""
    kernel = getattr(winograd_kernels, call.__name__)
    results = []
    for chosen in (kernel, kernel.plain):
        copies = [array.copy() for array in arrays]
        call(chosen)(*copies)
        results.append(copies[-1])
    return results


@pytest.mark.parametrize(("m", "r"), EXTENTS)
def test_transforms_are_what_the_plain_code_computes(dtype, m, r):
    rng = np.random.default_rng(m + r)
    transform = transforms(m, r)
    alpha, lanes = transform.alpha, lanes_of(np.dtype(dtype).itemsize)
    A, G, B = transform.arrays(dtype)
    tiles = 3
    width = tiles * m + r - 1
    lines = rng.random((alpha, width * lanes)).astype(dtype)
    V = np.zeros((alpha * alpha, tiles + 1, lanes * 2), dtype)[:, 1:, lanes:]
    out = np.zeros((m, tiles * m * lanes), dtype)
    taps = rng.random(2 * r * r * lanes).astype(dtype)
    U = np.zeros((alpha * alpha, 4 * lanes), dtype)

    def input_columns(kernel):
        return njit(lambda lines: kernel(lines, width, B, m, r))

    def input_rows(kernel):
        return njit(lambda lines, V: kernel(lines, V, tiles, B, m, r))

    def output_tiles(kernel):
        return njit(lambda V, out: kernel(V, out, tiles, A, A, m, r, m, r))

    def filter_taps(kernel):
        return njit(lambda taps, U: kernel(taps, U, 2, 2 * lanes, G, G, m, r, m, r))

    spectra = rng.random(V.shape).astype(dtype)
    for call, arrays in (
        (input_columns, [lines]),
        (input_rows, [lines, V]),
        (output_tiles, [spectra, out]),
        (filter_taps, [taps, U]),
    ):
        emitted, plain = both(call, *arrays)
        assert np.abs(plain).max() > 0
        close(emitted, plain)


# --- tiles and blocks ---------------------------------------------------------------------------------


def layer(**fields):
    return ConvSpec(**{"c": 64, "h": 56, "w": 56, "k": 64, "r": 3, "s": 3, "padding": 1} | fields)


def test_larger_tiles_where_the_image_is_large_and_smaller_ones_where_the_filter_is():
    assert [t.m for t in choose_transforms(layer(h=224, w=224))] == [7, 7]
    assert max(t.m for t in choose_transforms(layer(c=512, h=7, w=7, k=512))) < 4
    assert min(t.m for t in choose_transforms(layer(c=96, k=256, h=28, w=28, r=5, s=5, padding=2))) >= 4
    assert choose_transforms(layer(r=1, padding=(0, 1)))[0].m == 1


def test_the_choice_costs_little_more_than_the_least():
    for spec in (layer(), layer(h=14, w=14, c=256, k=256), layer(h=13, w=40, c=8, k=300), layer(n=8, h=7, w=7)):
        least = min(cost(spec, (transforms(a, 3), transforms(b, 3))) for a in range(2, 8) for b in range(2, 8))
        assert cost(spec, choose_transforms(spec)) <= least / GAIN


@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_keep_to_the_limit_for_tiles_whatever_the_image(threads):
    pair = (transforms(4, 3), transforms(4, 3))
    for size in (56, 2048):
        blocking = Blocking.choose(layer(h=size, w=size), Resources(threads=threads, tile_limit_bytes=MiB), pair)
        held = np.prod(blocking.V_shape) + np.prod(blocking.M_shape)
        assert 4 * held <= MiB
        assert blocking.V_shape[2] >= blocking.block + blocking.block % 2


@pytest.mark.parametrize(("groups", "flip", "n"), [(1, False, 1), (2, True, 3)])
def test_a_transformed_filter_above_the_limit_is_made_in_slices(groups, flip, n):
    spec = layer(n=n, c=32, k=240, h=9, w=11, groups=groups, flip=flip)
    rng = np.random.default_rng(5)
    x, w = rng.random(spec.x_shape).astype("float32"), rng.random(spec.w_shape).astype("float32")
    results = []
    for limit in (64 * MiB, MiB // 2):
        resources = Resources(tile_limit_bytes=limit)
        plan = WinogradF4().plan(spec, resources)
        assert plan.workspace_bytes <= limit
        y = np.full(spec.y_shape, np.nan, "float32")
        plan.prepare(w).execute(x, y)
        results.append(y)
    assert filter_bytes(spec, WinogradF4().transforms(spec)) > MiB // 2
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("name", ["F2", "F4", "F6", "chosen"])
def test_workspace_keeps_to_the_limit_for_any_number_of_channels(name):
    algorithm = {"F2": WinogradF2, "F4": WinogradF4, "F6": WinogradF6, "chosen": Winograd}[name]()
    spec = layer(c=1024, k=2048, h=28, w=28)
    assert filter_bytes(spec, (transforms(2, 3), transforms(2, 3))) > 64 * MiB
    assert algorithm.plan(spec, Resources(threads=2)).workspace_bytes <= 64 * MiB


def test_tiles_are_chosen_so_that_the_filter_fits_where_it_can():
    for channels in (512, 1024):
        spec = layer(c=channels, k=channels - 64, h=56, w=56)
        assert filter_bytes(spec, choose_transforms(spec)) <= 64 * MiB


def test_threads_share_one_block_where_tiles_are_few_and_the_filter_is_large():
    pair = (transforms(4, 3), transforms(4, 3))
    assert Blocking.choose(layer(c=512, k=512, h=14, w=14), Resources(threads=2), pair).together
    assert not Blocking.choose(layer(h=112, w=112), Resources(threads=2), pair).together
    assert not Blocking.choose(layer(c=512, k=512, h=14, w=14), Resources(), pair).together
