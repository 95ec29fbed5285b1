"""Runs an algorithm as the runner will, and holds it to the contract of `convbench.algorithm`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from time import perf_counter

import numba
import numpy as np
from threadpoolctl import ThreadpoolController

from convbench.agreement import Reference, full_reference, judge, precision_lost
from convbench.algorithm import Array, ConvAlgorithm, ConvPlan, ErrorModel, PreparedConv, Resources
from convbench.operands import Operands, operands
from convbench.spec import ConvSpec
from convbench.staged import StagedConv, Stages

SEED = 20
CANARY = 12345.0
GUARD = 1024  # elements on both sides of y: its alignment stays that of its buffer


class BrokenContractError(AssertionError):
    """An algorithm did what the contract forbids."""


@lru_cache(maxsize=1)
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def thread_count(threads: int) -> Iterator[None]:
    """Numba and BLAS limited, as the runner does it."""
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    with _pools().limit(limits=threads, user_api="blas"):
        yield


class GuardedOutput:
    """y, poisoned with NaN, between two zones that nothing may write to."""

    def __init__(self, spec: ConvSpec, guard: int = GUARD) -> None:
        size = int(np.prod(spec.output_shape))
        self.buffer = np.full(size + 2 * guard, CANARY, spec.dtype)
        self.y = self.buffer[guard : guard + size].reshape(spec.output_shape)
        self.y[...] = np.nan
        self._zones = self.buffer[:guard], self.buffer[guard + size :]

    def check(self) -> None:
        if not all((zone == CANARY).all() for zone in self._zones):
            raise BrokenContractError("wrote outside of y")


def planned(algorithm: ConvAlgorithm, spec: ConvSpec, threads: int = 1, **limits: int) -> ConvPlan:
    return algorithm.plan(spec, Resources(threads=threads, **limits))


def prepared(plan: ConvPlan, w: Array) -> PreparedConv:
    conv = plan.prepare(w)
    assert isinstance(conv, PreparedConv), conv
    return conv


def convolve(algorithm: ConvAlgorithm, spec: ConvSpec, made: Operands, threads: int = 1, **limits: int) -> Array:
    """Plan, prepare, execute; y checked for its guard zones, the operands for being untouched."""
    before = made.prepared.copy(), made.input.copy()
    output = GuardedOutput(spec)
    with thread_count(threads):
        conv = prepared(planned(algorithm, spec, threads, **limits), made.prepared)
        conv.execute(made.input, output.y)
        first = output.y.copy()
        output.y[...] = np.nan
        conv.execute(made.input, output.y)
    output.check()
    if not np.array_equal(before[0], made.prepared) or not np.array_equal(before[1], made.input):
        raise BrokenContractError("changed an operand")
    if not np.array_equal(first, output.y, equal_nan=True):
        raise BrokenContractError("a second execute gave another result")
    return first


@lru_cache(maxsize=2048)
def known(spec: ConvSpec) -> tuple[Operands, Reference]:
    """The seeded operands of a spec, and the float64 reference on them."""
    made = operands(spec, SEED)
    return made, full_reference(spec, made.prepared, made.input)


def check_contract(algorithm: ConvAlgorithm, spec: ConvSpec, threads: int = 1, **limits: int) -> None:
    """The one check: agreement with the reference, and everything else that `convolve` holds.

    Raises `BrokenContractError`.
    """
    made, reference = known(spec)
    made = Operands(made.prepared.copy(), made.input.copy())  # a fault may write to them
    y = convolve(algorithm, spec, made, threads, **limits)
    expect(y, reference, algorithm.error_model(spec))


def check_stages(conv: StagedConv, spec: ConvSpec, x: Array) -> Stages:
    """A staged call against `execute`, and what it says of its stages. Raises `BrokenContractError`."""
    whole, staged = GuardedOutput(spec), GuardedOutput(spec)
    before = x.copy()
    conv.execute(x, whole.y)
    start = perf_counter()
    stages = conv.execute_staged(x, staged.y)
    taken_s = perf_counter() - start
    staged.check()
    if not np.array_equal(before, x):
        raise BrokenContractError("a staged call changed x")
    if not np.array_equal(whole.y, staged.y, equal_nan=True):
        raise BrokenContractError("a staged call gave another result than execute")
    if len(stages) < 2 or not all(name.strip() for name in stages):
        raise BrokenContractError(f"stages need two names or more: {list(stages)}")
    if min(stages.values()) < 0 or not 0 < sum(stages.values()) <= taken_s:
        raise BrokenContractError(f"stages of {taken_s} s cannot have taken {stages}")
    return stages


def check_precision(algorithm: ConvAlgorithm, spec: ConvSpec) -> None:
    """On plain normal data: no worse than its dtype. Raises `BrokenContractError`.

    A bound that holds for whatever x may hide a product in half precision; this does not.
    """
    made, reference = known(spec)
    y = convolve(algorithm, spec, Operands(made.prepared.copy(), made.input.copy()))
    if lost := precision_lost(y, reference):
        raise BrokenContractError(lost)


def expect(y: Array, reference: Reference, model: ErrorModel, slack: float = 1.0) -> None:
    """Raise `BrokenContractError` unless y agrees within `slack` times the model's bound."""
    agreement = judge(y, reference, replace(model, bound=slack * model.bound))
    if not agreement.agrees:
        raise BrokenContractError(
            f"{agreement.norm} error {agreement.error:.3g} > {agreement.bound:.3g}, {agreement.detail}"
        )


def expected(values: Array, scale: Array) -> Reference:
    """A reference of one's own making."""
    values, scale = np.asarray(values, np.float64), np.asarray(scale, np.float64)
    rms = float(np.sqrt(np.mean(np.square(scale))))
    return Reference(values.shape, None, values.ravel(), scale.ravel(), rms)  # type: ignore[arg-type]


def changed(spec: ConvSpec, **fields: object) -> ConvSpec:
    """The spec with other fields, checked anew."""
    return ConvSpec(**spec.to_dict() | fields)  # type: ignore[arg-type]
