"""The rank of a filter: found in its values, up to round-off, and its factors multiply back."""

from __future__ import annotations

import numpy as np
import pytest

from convbench.algorithm import Array, Resources, Unsupported
from convbench.spec import ConvSpec
from convbench_algorithms.factored import FactoredPlan
from convbench_algorithms.low_rank import LowRank, worthwhile_rank
from convbench_algorithms.rank import factored_error, factorise, family_rank, truncation_tolerance
from convbench_algorithms.separable import Separable

DTYPES = ("float32", "float64")


def of_rank(rank: int, shape: tuple[int, ...], dtype: str) -> Array:
    """A random filter of `rank`, rounded to `dtype`."""
    rng = np.random.default_rng(rank)
    columns = rng.standard_normal((*shape[:2], shape[2], rank))
    rows = rng.standard_normal((*shape[:2], rank, shape[3]))
    return (columns @ rows).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rank", [1, 2, 5])
@pytest.mark.parametrize("taps", [(5, 5), (9, 17), (63, 63)])
def test_the_rank_is_found_and_the_factors_multiply_back(rank: int, taps: tuple[int, int], dtype: str) -> None:
    w = of_rank(rank, (3, 2, *taps), dtype)
    factors = factorise(w)
    assert factors.rank == rank
    product = np.einsum("kctr,kcts->kcrs", factors.columns, factors.rows, dtype=np.float64)
    # Truncation, and the rounding of the two factors of each term.
    tolerance = truncation_tolerance(w.shape, dtype) + rank * np.finfo(dtype).eps
    assert np.linalg.norm(product - w) <= tolerance * np.linalg.norm(w)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_term_just_above_round_off_counts_and_one_below_does_not(dtype: str) -> None:
    tolerance = truncation_tolerance((1, 1, 3, 3), dtype)
    for size, rank in ((3.0, 2), (0.3, 1)):
        w = np.zeros((1, 1, 3, 3), dtype)
        w[0, 0, 0, 0] = 1
        w[0, 0, 1, 1] = size * tolerance
        assert factorise(w).rank == rank


def test_slices_of_different_rank_share_the_largest_and_a_zero_slice_stays_zero() -> None:
    w = np.concatenate(
        [of_rank(3, (1, 1, 7, 7), "float32"), of_rank(1, (1, 1, 7, 7), "float32"), np.zeros((1, 1, 7, 7))]
    )
    factors = factorise(w.astype("float32"))
    assert factors.rank == 3
    assert np.count_nonzero(factors.columns[1, 0].any(axis=-1)) == 1
    assert not factors.columns[2].any()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_rank_does_not_depend_on_the_scale(scale: float) -> None:
    w = (of_rank(2, (1, 1, 5, 5), "float64") * scale).astype("float32")
    factors = factorise(w)
    assert factors.rank == 2
    assert np.isfinite(factors.rows).all()


@pytest.mark.parametrize(
    ("family", "taps", "rank"),
    [
        ("gaussian:2", 9, 1),
        ("random", 5, 5),
        ("rank:3", 9, 3),
        ("rank:9", 5, 5),
        ("laplacian", 3, 2),
        ("disk", 5, None),
    ],
)
def test_what_a_family_tells_of_the_rank(family: str, taps: int, rank: int | None) -> None:
    assert family_rank(ConvSpec(h=20, w=20, r=taps, s=taps, filter=family)) == rank


def test_one_row_or_column_always_has_rank_one() -> None:
    for r, s in ((1, 7), (7, 1)):
        assert family_rank(ConvSpec(h=20, w=20, r=r, s=s, filter="disk")) == 1
        assert Separable().supports(ConvSpec(h=20, w=20, r=r, s=s)) is None


def test_prepare_tells_the_rank_that_does_not_suit() -> None:
    spec = ConvSpec(h=20, w=20, r=5, s=5, filter="disk")
    w = of_rank(3, spec.w_shape, "float32")
    rejected = Separable().plan(spec, Resources()).prepare(w)
    assert rejected == Unsupported("the filter has rank 3; separable needs 1")
    assert worthwhile_rank(spec) == 3
    assert not isinstance(LowRank().plan(spec, Resources()).prepare(w), Unsupported)
    rejected = LowRank().plan(spec, Resources()).prepare(of_rank(4, spec.w_shape, "float32"))
    assert rejected == Unsupported("the filter has rank 4; low_rank needs 3 or less")


def test_a_filter_with_a_nan_has_no_rank() -> None:
    spec = ConvSpec(h=20, w=20, r=3, s=3, filter="box")
    rejected = FactoredPlan("separable", spec, Resources(), 1).prepare(np.full(spec.w_shape, np.nan, "float32"))
    assert isinstance(rejected, Unsupported)
    assert "not finite" in rejected.reason


def test_the_bound_sees_a_term_that_is_left_out() -> None:
    """A laplacian without its smaller term is wrong by far more than the bound."""
    w = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=np.float64)
    sigma = np.linalg.svd(w, compute_uv=False)
    bound = factored_error(ConvSpec(h=20, w=20, r=3, s=3, filter="laplacian"), 2).bound
    assert sigma[1] / np.abs(w).sum() > 100 * bound
