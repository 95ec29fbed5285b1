"""The rank of a filter, and its factors: each slice w[k,c] as the sum of few outer products of columns and rows.

w[k,c] = Σ_t columns[k,c,t] ⊗ rows[k,c,t]        w [K,C/groups,R,S]   columns [K,C/groups,rank,R]   rows […,rank,S]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from convbench.algorithm import Array, ErrorModel, computing_dtype, once_stored, unit_roundoff
from convbench.spec import ConvSpec

ROUNDINGS: Final = 4
"""A filter is of the rank that it has within this many roundings of its elements."""

FAMILY_RANKS: Final = {"box": 1, "gaussian": 1, "sobel": 1, "laplacian": 2}


@dataclass(frozen=True)
class Factors:
    """columns [K,C/groups,rank,R] and rows [K,C/groups,rank,S]; terms that a slice does not need are zero."""

    columns: Array
    rows: Array

    @property
    def rank(self) -> int:
        """The largest rank among the slices."""
        return int(self.columns.shape[2])


def truncation_tolerance(shape: tuple[int, ...], dtype: str) -> float:
    """τ: the largest ‖w[k,c] − factors‖_F ÷ ‖w[k,c]‖_F that counts as round-off, for w […,R,S].

    Rounding the elements of a filter to `dtype` moves it by up to u·‖w‖_F; one that was computed in
    `dtype` (an outer product, then a division by the sum) took a few roundings: 4u. To that comes
    the float64 SVD's own backward error, max(R,S)·ε (Golub & Van Loan, section 5.5.8, as in
    `numpy.linalg.matrix_rank`), which tells only where `dtype` is float64 itself.
    """
    return ROUNDINGS * unit_roundoff(dtype) + max(shape[-2:]) * 2 * unit_roundoff("float64")


def factorise(w: Array) -> Factors:
    """The factors of w [K,C/groups,R,S], of the least rank within `truncation_tolerance`, by the SVD in float64.

    They are of the dtype that w's is computed in. By Eckart and Young (1936) no factors of that rank come closer
    in ‖·‖_F. Each singular value is shared evenly between its column and its row, so that neither over- nor
    underflows.
    """
    u, sigma, vt = np.linalg.svd(w.astype(np.float64), full_matrices=False)
    # tails[…,t] = ‖(σ_t, σ_t+1, …)‖: what is lost by keeping t terms; it falls from ‖w‖_F to 0.
    tails = np.sqrt(np.cumsum(np.square(sigma)[..., ::-1], axis=-1)[..., ::-1])
    needed = tails > truncation_tolerance(w.shape, str(w.dtype)) * tails[..., :1]
    rank = max(1, int(needed.sum(axis=-1).max()))
    share = np.sqrt(np.where(needed, sigma, 0))[..., :rank, None]
    columns, rows = (_evened(vectors[..., :rank, :]) * share for vectors in (u.swapaxes(-1, -2), vt))
    dtype = computing_dtype(str(w.dtype))
    return Factors(columns.astype(dtype), rows.astype(dtype))


def _evened(vectors: Array) -> Array:
    """Unit vectors […,taps], those that are their own mirror image up to the SVD's round-off made so exactly."""
    even = (vectors + vectors[..., ::-1]) / 2
    mirrored = np.linalg.norm(vectors - even, axis=-1) <= vectors.shape[-1] * unit_roundoff("float64")
    return np.where(mirrored[..., None], even, vectors)


def family_rank(spec: ConvSpec) -> int | None:
    """The rank that the spec's filter family is known to have, or None where only the values tell."""
    full = min(spec.r, spec.s)
    family, _, parameter = spec.filter.partition(":")
    if family == "random":
        return full
    if family == "rank":
        return min(full, int(float(parameter)))
    rank = FAMILY_RANKS.get(family, 1 if full == 1 else None)
    return rank and min(full, rank)


def factored_error(spec: ConvSpec, rank: int) -> ErrorModel:
    """The normwise bound of a sum of at most `rank` separable terms per slice.

    With Ŵ = Σ_t |column_t| ⊗ |row_t|, rounding the two factors and the two passes of R and S terms, and the sum over
    C/groups·rank terms, give |e| ≤ γ̃_n·(Ŵ ⋆ |x|), n = R + S + C/groups·rank + 2 (Higham & Mary 2019, λ = 10).
    For one term Ŵ = |w|. For more they may cancel, Ŵ > |w|: then
        ‖Ŵ ⋆ |x|‖₂ ≤ ‖Ŵ‖₁·‖x‖₂ ≤ √(R·S)·‖Ŵ‖_F·‖x‖₂ ≤ √(R·S·rank)·‖w‖_F·‖x‖₂,
    the last step as ‖Ŵ‖_F ≤ Σσ_t ≤ √rank·‖w‖_F, while ‖s‖₂ ≥ ‖w‖_F·‖x‖₂ since no product in s = |w| ⋆ |x|
    is negative. Truncation and w's own rounding add at most √(R·S)·τ in the same way.
    """
    u = unit_roundoff(computing_dtype(spec.dtype))
    terms = spec.r + spec.s + spec.c // spec.groups * rank + 2
    taps = spec.r * spec.s
    growth = 1.0 if rank == 1 else float(np.sqrt(taps * rank))
    bound = growth * float(np.expm1(10 * np.sqrt(terms) * u + terms * u**2 / (1 - u)))
    bound += float(np.sqrt(taps)) * truncation_tolerance(spec.w_shape, spec.dtype)
    source = "Higham & Mary 2019 for each pass, Eckart & Young 1936 for the truncation"
    return once_stored(ErrorModel("normwise", bound, source), spec.dtype)
