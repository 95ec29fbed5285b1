from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convbench.boundary import OUTSIDE, index_map, index_maps
from convbench.spec import BOUNDARIES, ConvSpec
from spec_strategy import specs


@pytest.mark.parametrize(
    ("boundary", "expected"),
    [
        ("zero", [-1, -1, 0, 1, 2, -1, -1]),
        ("edge", [0, 0, 0, 1, 2, 2, 2]),
        ("reflect", [2, 1, 0, 1, 2, 1, 0]),
        ("symmetric", [1, 0, 0, 1, 2, 2, 1]),
        ("wrap", [1, 2, 0, 1, 2, 0, 1]),
    ],
)
def test_the_five_boundaries(boundary: str, expected: list[int]) -> None:
    assert index_map(3, (2, 2), boundary).tolist() == expected  # type: ignore[arg-type]


@given(st.integers(1, 6), st.tuples(st.integers(0, 20), st.integers(0, 20)), st.sampled_from(BOUNDARIES))
def test_the_map_is_numpys_padding(extent: int, padding: tuple[int, int], boundary: str) -> None:
    values = np.arange(1.0, extent + 1)
    expected = np.pad(values, padding, mode="constant" if boundary == "zero" else boundary)  # type: ignore[call-overload]
    sources = index_map(extent, padding, boundary)  # type: ignore[arg-type]
    assert np.array_equal(np.where(sources == OUTSIDE, 0, values[sources]), expected)


@given(specs())
def test_one_map_for_each_axis(spec: ConvSpec) -> None:
    rows, cols = index_maps(spec)
    assert (len(rows), len(cols)) == spec.padded_extent
    assert rows.max() < spec.h
    assert cols.max() < spec.w
    top, left = spec.padding[0][0], spec.padding[1][0]
    assert rows[top : top + spec.h].tolist() == list(range(spec.h))
    assert cols[left : left + spec.w].tolist() == list(range(spec.w))
