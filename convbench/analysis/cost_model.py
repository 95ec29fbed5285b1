"""What an algorithm takes on shapes that were never measured, from some that were.

A time is, at first, a sum of works: multiply-adds, outputs, inputs, transforms, calls, each at a rate of its own (least
squares of relative errors, no rate negative). What that leaves is a Gaussian process over the logarithms of the shape's
extents, whose likelihood chooses a length along each axis, its spread and its noise.

Sources: Lawson & Hanson, "Solving Least Squares Problems" (1974), ch. 23; Rasmussen & Williams, "Gaussian Processes for
Machine Learning" (2006), §2.2 and 5.4.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import fft, linalg, optimize

from convbench.result import Duration, Record, SpecId
from convbench.spec import ConvSpec

Vector = npt.NDArray[np.float64]

LANES: Final = 16
"""Of the widest vectors: what an extent leaves of its last one is lost."""

LENGTH: Final = (math.log(1.0), 1.0)
"""Before any measurement, the logarithm of a length in `features` is about this, give or take that."""
NOISE: Final = (math.log(0.04), 0.7)
SPREAD: Final = (math.log(0.4), 0.7)

LEAST_S: Final = 1e-9
MOST_S: Final = 1e9


class Measured(Record):
    """What an algorithm took on a shape."""

    spec: SpecId
    threads: Annotated[int, Field(ge=1, lt=2**31)]
    algorithm: str
    seconds: Duration


@lru_cache(maxsize=4096)
def works(spec: ConvSpec, threads: int) -> tuple[float, ...]:
    """What there is to do: by one thread, and then shared among all.

    Calls; multiply-adds as they are, in whole vectors of outputs or filters, in separable passes, and of a single tap;
    outputs, inputs, weights and columns; transforms of either, and their products; rows.
    """
    n, k, p, q, r, s = spec.n, spec.k, spec.p, spec.q, spec.r, spec.s
    channels, filters = spec.c // spec.groups, spec.k // spec.groups
    height, width = spec.padded_extent
    outputs, inputs = n * k * p * q, n * spec.c * height * width
    spectra = n * k * height * width
    depth = math.log2(height * width + 1)
    alone = (
        1.0,
        outputs * channels * r * s,
        n * k * p * _whole(q) * channels * r * s,
        n * spec.groups * _whole(filters) * p * q * channels * r * s,
        outputs * channels * (r + s),
        outputs * channels,
        outputs,
        inputs,
        k * channels * r * s,
        n * spec.c * r * s * p * q,
        inputs * depth,
        spectra * depth,
        spectra * channels,
        n * k * p,
        n * k * p * channels * r,
    )
    return (*map(float, alone), *(work / threads for work in alone))


@lru_cache(maxsize=4096)
def features(spec: ConvSpec, threads: int) -> tuple[float, ...]:
    """Where a shape lies: logarithms of its extents, and of what vectors and transforms lose to them."""
    channels, filters = spec.c // spec.groups, spec.k // spec.groups
    height, width = spec.filter_extent[0] + spec.p - 1, spec.filter_extent[1] + spec.q - 1
    fast = fft.next_fast_len(height, real=True) * fft.next_fast_len(width, real=True)
    return (
        math.log(threads),
        math.log(spec.n),
        math.log(channels),
        math.log(filters),
        math.log(spec.groups),
        math.log(spec.p),
        math.log(spec.q),
        math.log(spec.r),
        math.log(spec.s),
        math.log(spec.stride[0] * spec.stride[1]),
        math.log(spec.dilation[0] * spec.dilation[1]),
        math.log(_whole(spec.q) / spec.q),
        math.log(_whole(filters) / filters),
        math.log(fast / (height * width)),
        0.0 if spec.padding == ((0, 0), (0, 0)) else 1.0,
        0.0 if spec.boundary == "zero" else 1.0,
        0.0 if spec.direction == "forward" else 1.0,
        0.0 if spec.dtype == "float32" else 1.0,
    )


WORKS: Final = 30
FEATURES: Final = 18


def _whole(extent: int) -> int:
    return -(-extent // LANES) * LANES


class Fit(Record):
    """A model's parameters; `lengths` are infinite along axes where nothing that was measured differs."""

    rates: Annotated[tuple[Annotated[float, Field(ge=0, le=1e6)], ...], Field(min_length=WORKS, max_length=WORKS)]
    """Seconds for each of `works`."""
    lengths: Annotated[tuple[Annotated[float, Field(ge=1e-3)], ...], Field(min_length=FEATURES, max_length=FEATURES)]
    spread: Annotated[float, Field(ge=1e-3, le=20)]
    noise: Annotated[float, Field(ge=1e-3, le=20)]


class CostModel:
    """Of one algorithm."""

    def __init__(self, measured: Sequence[Measured], fit: Fit) -> None:
        self.measured = measured
        self.fitted = fit
        self.rates, self.lengths = np.array(fit.rates), np.array(fit.lengths)
        self.points, left = _observed(measured, self.rates)
        self.factor = _factor(_bumps(self.points, self.points, self.lengths, fit.spread), fit.noise)
        self.weights = linalg.cho_solve(self.factor, left)

    @staticmethod
    def fit(measured: Sequence[Measured], *, roughly: bool = False) -> Fit:
        """The most likely parameters; `roughly`, those of the process are what is expected before any measurement."""
        rates = _rates(measured)
        points, left = _observed(measured, rates)
        used = np.ptp(points, axis=0) > 0
        start = np.concatenate((np.full(int(used.sum()), LENGTH[0]), [SPREAD[0], NOISE[0]]))

        def cost(parameters: Vector) -> tuple[float, Vector]:
            return _negative_log_posterior(parameters, points[:, used], left)

        found = start
        if not roughly:
            bounds = optimize.Bounds(
                np.array([*[-2.0] * (len(start) - 2), -4.0, -5.0]), np.array([*[4.0] * (len(start) - 2), 2.0, 0.0])
            )
            found = optimize.minimize(
                cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}
            ).x
        lengths = np.full(points.shape[1], np.inf)
        lengths[used] = np.exp(found[:-2])
        spread, noise = np.exp(found[-2:]).tolist()
        return Fit(rates=tuple(rates.tolist()), lengths=tuple(lengths.tolist()), spread=spread, noise=noise)

    def log_seconds(self, spec: ConvSpec, threads: int) -> tuple[float, float]:
        """The logarithm of the time, and its standard deviation."""
        here = np.array([features(spec, threads)])
        near = _bumps(here, self.points, self.lengths, self.fitted.spread)[0]
        variance = self.fitted.spread**2 - float(near @ linalg.cho_solve(self.factor, near))
        base = math.log(max(float(np.array(works(spec, threads)) @ self.rates), LEAST_S))
        log = base + float(near @ self.weights)
        return min(max(log, math.log(LEAST_S)), math.log(MOST_S)), math.sqrt(max(variance, 0.0))

    def nearest(self, spec: ConvSpec, threads: int) -> Measured:
        """The measurement that tells most of a shape."""
        here = np.array([features(spec, threads)])
        distance = np.square((here - self.points) / self.lengths).sum(axis=1)
        return self.measured[int(distance.argmin())]


def _rates(measured: Sequence[Measured]) -> Vector:
    """Of the sum of works that comes closest to the times, relative to them."""
    times = np.array([one.seconds for one in measured])
    relative = np.array([works(one.spec, one.threads) for one in measured]) / times[:, None]
    scale = np.linalg.norm(relative, axis=0)
    found, _ = optimize.nnls(relative / scale, np.ones(len(times)), maxiter=100 * len(scale))
    rates: Vector = found / scale
    return rates


def _observed(measured: Sequence[Measured], rates: Vector) -> tuple[Vector, Vector]:
    """Where measurements lie, and what of the logarithms of their times the works leave."""
    points = np.array([features(one.spec, one.threads) for one in measured])
    base = np.maximum(np.array([works(one.spec, one.threads) for one in measured]) @ rates, LEAST_S)
    return points, np.log(np.array([one.seconds for one in measured]) / base)


def _bumps(first: Vector, second: Vector, lengths: Vector, spread: float) -> Vector:
    """The covariance of the process, without its noise."""
    squares = ((first[:, None, :] - second[None, :, :]) / lengths) ** 2
    found: Vector = spread**2 * np.exp(-0.5 * squares.sum(axis=2))
    return found


def _factor(covariance: Vector, noise: float) -> tuple[Vector, bool]:
    found: tuple[Vector, bool] = linalg.cho_factor(covariance + noise**2 * np.eye(len(covariance)), lower=True)
    return found


def _negative_log_posterior(parameters: Vector, points: Vector, left: Vector) -> tuple[float, Vector]:
    """Of the logarithms of lengths, spread and noise; and its gradient (Rasmussen & Williams, eq. 5.9)."""
    lengths, spread, noise = np.exp(parameters[:-2]), np.exp(parameters[-2]), np.exp(parameters[-1])
    squares = ((points[:, None, :] - points[None, :, :]) / lengths) ** 2
    bumps = spread**2 * np.exp(-0.5 * squares.sum(axis=2))
    factor = _factor(bumps, noise)
    weights = linalg.cho_solve(factor, left)
    value = 0.5 * left @ weights + np.log(np.diag(factor[0])).sum()
    slope = 0.5 * (linalg.cho_solve(factor, np.eye(len(points))) - np.outer(weights, weights))
    shaped = slope * bumps
    by_length = np.einsum("ij,ijk->k", shaped, squares)
    gradient = np.concatenate((by_length, [2 * shaped.sum(), 2 * noise**2 * np.trace(slope)]))
    for index, (mean, deviation) in enumerate([*[LENGTH] * len(lengths), SPREAD, NOISE]):
        off = (parameters[index] - mean) / deviation
        value += 0.5 * off**2
        gradient[index] += off / deviation
    return float(value), gradient
