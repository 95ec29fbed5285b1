"""Operations that algorithms say they really do: against textbooks, and against direct sums."""

import math

import numpy as np
import pytest

import convbench as cb
from convbench.algorithm import Resources
from convbench_algorithms.operations import factored_operations, fft_operations, filter_operations, winograd_operations
from convbench_algorithms.winograd_transforms import square_transforms

LAYER = cb.ConvSpec(c=16, h=56, w=56, k=32, r=3, s=3, padding=1)
BLUR = cb.ConvSpec(h=64, w=64, r=9, s=9, padding=4, filter="gaussian:1")

WIDE_BLUR = cb.ConvSpec(h=64, w=64, r=31, s=31, padding=15, filter="gaussian:5")
BOX = cb.ConvSpec(h=64, w=64, r=9, s=9, padding=4, filter="box")


def test_winograds_f2_takes_the_sums_that_lavin_and_gray_count():
    # "Fast Algorithms for Convolutional Neural Networks", section 4.1: 32 for data, 28 for the filter, 24 back.
    one = cb.ConvSpec(h=4, w=4, r=3, s=3)
    pair = square_transforms(2, 3, 3)
    assert winograd_operations(one, pair, 1) == 32 + 2 * 16 + 24
    assert filter_operations(one, pair) == 42  # 28 there, with products by ½ for sums


def test_products_of_winograd_grow_with_tiles_channels_and_filters():
    pair = square_transforms(4, 3, 3)
    deep = cb.ConvSpec(c=512, h=64, w=64, k=512, r=3, s=3, padding=1)
    saved = deep.direct_flops / winograd_operations(deep, pair, 256)
    assert 3.5 < saved < 4  # 4 by the products alone: the paper's figure for F(4×4, 3×3)


def test_an_fft_takes_what_fftw_counts_and_the_products():
    spec = cb.ConvSpec(c=3, h=32, w=32, k=2, r=3, s=3)
    transforms = (3 + 2) * 2.5 * 32 * 32 * math.log2(32 * 32)
    assert fft_operations(spec, (32, 32), 1) == round(transforms + 8 * 32 * 17 * 2 * 3)
    assert fft_operations(spec, (32, 32), 5) == 5 * fft_operations(spec, (32, 32), 1)


def test_two_passes_take_two_lines_of_taps_for_each_output():
    assert factored_operations(BLUR, 1) == 2 * 64 * (72 * 9 + 64 * 9)
    assert factored_operations(BLUR, 2) == 2 * factored_operations(BLUR, 1)


@pytest.mark.parametrize("spec", [LAYER, BLUR, WIDE_BLUR, BOX], ids=str)
def test_every_one_of_ours_counts_and_none_but_the_transforms_of_small_filters_exceeds_direct_sums(spec):
    w = np.ones(spec.w_shape, spec.dtype)
    for name, algorithm in cb.algorithms().items():
        if algorithm.device != "cpu" or "peer" in algorithm.tags or algorithm.supports(spec) is not None:
            continue
        prepared = algorithm.plan(spec, Resources()).prepare(w)
        if not hasattr(prepared, "operations"):
            continue  # the filter is of no low rank
        assert prepared.operations, name
        assert 0.005 < prepared.operations / spec.direct_flops <= 1.0, name
