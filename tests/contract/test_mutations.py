"""The contract's one check must catch what goes wrong in convolutions: each fault planted, and found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import final

import numpy as np
import pytest

from contract.cases import ALGORITHMS, CASES, case
from contract.harness import BrokenContractError, changed, check_contract, check_precision
from convbench.algorithm import Array, ConvAlgorithm, ConvPlan, ErrorModel, PreparedConv, Resources, Unsupported
from convbench.spec import ConvSpec


@dataclass(frozen=True)
class Fault:
    """A wrong spec to plan for, a wrong filter to prepare, or a wrong thing done after execute."""

    spec: Callable[[ConvSpec], ConvSpec] = lambda spec: spec
    filter: Callable[[Array], Array] = lambda w: w
    after: Callable[[Array, Array], object] = lambda x, y: None


def _set(array: Array, place: object, value: object) -> None:
    array[place] = value


def _swapped_padding(spec: ConvSpec) -> ConvSpec:
    return changed(spec, padding=tuple(side[::-1] for side in spec.padding))


def _without_last_row(w: Array) -> Array:
    """The last tap of 1×1 filters, the last row of others: of the same rank as before."""
    short = w.copy()
    if w.shape[2] == 1:
        short[:, -1] = 0
    else:
        short[:, :, -1] = 0
    return short


def _remembers() -> Callable[[Array, Array], object]:
    calls = count(1)
    return lambda x, y: np.multiply(y, 1 + 0.5 * next(calls), out=y)


NONE = Fault()
FAULTS: dict[str, Callable[[], Fault]] = {
    "swapped padding": lambda: Fault(spec=_swapped_padding),
    "wrong boundary": lambda: Fault(spec=lambda spec: changed(spec, boundary="wrap")),
    "forgotten flip": lambda: Fault(filter=lambda w: w[..., ::-1, ::-1]),
    "transposed filter": lambda: Fault(filter=lambda w: w.swapaxes(2, 3)),
    "last row of taps dropped": lambda: Fault(filter=_without_last_row),
    "wrong order of input channels": lambda: Fault(filter=lambda w: w[:, ::-1]),
    "wrong order of output channels": lambda: Fault(filter=lambda w: w[::-1]),
    "half a channel's weight": lambda: Fault(
        filter=lambda w: w * np.where(np.arange(w.shape[1]) == 1, 0.5, 1)[:, None, None]
    ),
    "one unwritten element": lambda: Fault(after=lambda x, y: _set(y, (-1, -1, -1, -1), np.nan)),
    "one infinite element": lambda: Fault(after=lambda x, y: _set(y, (0, 0, 0, 0), np.inf)),
    "one wrong element": lambda: Fault(after=lambda x, y: _set(y, (1, 2, 5, 6), y[1, 2, 5, 6] + 0.5)),
    "a seam off by one column": lambda: Fault(after=lambda x, y: _set(y, (..., 7), y[..., 6])),
    "last columns missing": lambda: Fault(after=lambda x, y: _set(y, (..., slice(-3, None)), 0)),
    "images of the batch swapped": lambda: Fault(after=lambda x, y: _set(y, ..., y[::-1].copy())),
    "wrong sign in a channel": lambda: Fault(after=lambda x, y: _set(y, (slice(None), 0), -y[:, 0])),
    "scaled by 1.001": lambda: Fault(after=lambda x, y: np.multiply(y, 1.001, out=y)),
    "rounded to float16": lambda: Fault(after=lambda x, y: _set(y, ..., y.astype(np.float16))),
    "written beyond y": lambda: Fault(after=lambda x, y: _set(y.base, -1, 0)),
    "written before y": lambda: Fault(after=lambda x, y: _set(y.base, 0, 0)),
    "x changed": lambda: Fault(after=lambda x, y: _set(x, (0, 0, 0, 0), x[0, 0, 0, 0] + 1)),
    "another result the second time": lambda: Fault(after=_remembers()),
}

# Within the bounds that transforms must be allowed for whatever x, but not within their precision on plain data.
FINE = {"scaled by 1.001", "rounded to float16"}

# A 1×1 filter is its own flip and transpose; who knows but one boundary, or no padding, cannot take another.
EQUIVALENT = {
    *((name, fault) for name in ("gemm1x1", "cuda_gemm1x1") for fault in ("forgotten flip", "transposed filter")),
    *(("cuda_gemm1x1", fault) for fault in ("swapped padding", "wrong boundary")),
    *((name, "wrong boundary") for name in ("onnxruntime", "openvino", "ncnn")),
}


@final
class Faulty(ConvAlgorithm):
    """An algorithm with a fault planted around it."""

    name = "faulty"

    def __init__(self, inner: ConvAlgorithm, fault: Fault) -> None:
        self.inner = inner
        self.fault = fault

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        return self.inner.supports(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        return self.inner.error_model(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        plan = _FaultyPlan()
        plan.inner, plan.fault = self.inner.plan(self.fault.spec(spec), resources), self.fault
        plan.workspace_bytes = plan.inner.workspace_bytes
        return plan


@final
class _FaultyPlan(ConvPlan):
    inner: ConvPlan
    fault: Fault

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        inner = self.inner.prepare(np.ascontiguousarray(self.fault.filter(w), w.dtype))
        assert isinstance(inner, PreparedConv), inner
        return _FaultyConv(inner, self.fault)


@final
class _FaultyConv(PreparedConv):
    def __init__(self, inner: PreparedConv, fault: Fault) -> None:
        self.inner = inner
        self.fault = fault

    def execute(self, x: Array, y: Array) -> None:
        self.inner.execute(x, y)
        self.fault.after(x, y)


def fault_case(name: str, dtype: str = "float32") -> ConvSpec:
    return changed(ConvSpec.parse(CASES[name].faults), dtype=dtype)


every_algorithm_and_dtype = pytest.mark.parametrize(
    ("name", "dtype"),
    [
        case(name, dtype, id=f"{name}-{dtype}")
        for name in sorted(CASES)
        if CASES[name].any_filter
        for dtype in CASES[name].dtypes[: 1 if ALGORITHMS[name].device == "cuda" else None]
    ],
)


@every_algorithm_and_dtype
def test_without_a_fault_the_check_passes(name: str, dtype: str) -> None:
    check_contract(Faulty(ALGORITHMS[name], NONE), fault_case(name, dtype))


@every_algorithm_and_dtype
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_caught_in_every_algorithm(name: str, fault: str, dtype: str) -> None:
    spec = fault_case(name, dtype)
    faulty = Faulty(ALGORITHMS[name], FAULTS[fault]())
    if (name, fault) in EQUIVALENT or (fault, dtype) == ("rounded to float16", "float16"):
        check_contract(faulty, spec)
        return
    with pytest.raises(BrokenContractError):
        check_precision(faulty, spec) if fault in FINE and dtype != "float16" else check_contract(faulty, spec)
