"""Contenders that do a known share more work than they must: what a gate is tried on.

Not a sleep, nor a busy wait: the same kernel on more of the same data, so that caches, threads and the clock
are loaded as by a kernel that became slower.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final, NamedTuple, final

import numpy as np

from convbench.algorithm import Array, ConvAlgorithm, ConvPlan, ErrorModel, PreparedConv, Resources, Unsupported
from convbench.spec import ConvSpec

EXTRA: Final = "CONVBENCH_EXTRA_WORK"
"""The environment variable that makes contenders do the share that their names say; the base does without."""


@dataclass(frozen=True)
class Workload:
    """A kernel to try a gate on: `repeats` calls of an algorithm on a spec are one call of the contender."""

    title: str
    algorithm: str
    spec: ConvSpec
    threads: int
    repeats: int = 1


class Amount(NamedTuple):
    """Work: whole calls, and rows of y of one more."""

    calls: int
    rows: int


def amount(workload: Workload, share: float) -> Amount:
    """`repeats`·(1 + share) calls, in whole calls and, for the rest, in rows of a call."""
    calls, rest = divmod(workload.repeats * (1 + share), 1)
    if rest > 1 - 1e-9:
        return Amount(int(calls) + 1, 0)
    return Amount(int(calls), round(rest * workload.spec.p))


def true_share(workload: Workload, share: float) -> float:
    """What share more is really done, rows being whole."""
    calls, rows = amount(workload, share)
    return (calls + rows / workload.spec.p) / workload.repeats - 1


def contender_name(workload: Workload, share: float, twin: int = 0) -> str:
    """`direct-2-5-0`: of the workload with 2 repeats, 5 % more work, the first of its twins."""
    return f"{workload.algorithm}-{workload.repeats}-{100 * share:g}-{twin}".replace(".", "_")


class WithExtraWork(ConvAlgorithm):
    """Another algorithm, called more often than needed. Subclasses say which, and how often."""

    inner: ClassVar[ConvAlgorithm]
    workload: ClassVar[Workload]
    share: ClassVar[float]
    active: ClassVar[bool]
    """Whether the share is done. It is planned and prepared in any case: only `execute` is to differ."""

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """The inner algorithm's word; on the workload's own spec only."""
        return self.inner.supports(spec) if spec == self.workload.spec else Unsupported("made for another workload")

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """The inner algorithm's."""
        return self.inner.error_model(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """Plans for the whole, and for the rows that are left over."""
        calls, rows = amount(self.workload, self.share)
        if not self.active:
            calls = self.workload.repeats
        whole = self.inner.plan(spec, resources)
        if not rows:
            return _Plan(whole, None, calls, spec, executed=False)
        height = (rows - 1) * spec.stride[0] + spec.dilation[0] * (spec.r - 1) + 1 - sum(spec.padding[0])
        band = replace(spec, h=max(height, 1))
        return _Plan(whole, self.inner.plan(band, resources), calls, band, executed=self.active)


@final
class _Plan(ConvPlan):
    def __init__(
        self, whole: ConvPlan, band: ConvPlan | None, calls: int, band_spec: ConvSpec, *, executed: bool
    ) -> None:
        self.whole = whole
        self.band = band
        self.calls = calls
        self.band_spec = band_spec
        self.executed = executed
        self.workspace_bytes = whole.workspace_bytes + (0 if band is None else band.workspace_bytes)

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        whole = self.whole.prepare(w)
        band = None if self.band is None else self.band.prepare(w)
        if isinstance(whole, Unsupported) or isinstance(band, Unsupported):
            return whole if isinstance(whole, Unsupported) else Unsupported("not on its rows")
        return _Prepared(whole, band if self.executed else None, self.calls, self.band_spec)


@final
class _Prepared(PreparedConv):
    def __init__(self, whole: PreparedConv, band: PreparedConv | None, calls: int, band_spec: ConvSpec) -> None:
        self.whole = whole
        self.band = band
        self.calls = calls
        self.rows = np.ones(band_spec.input_shape if band is not None else 0, band_spec.dtype)
        self.spare = np.empty(band_spec.output_shape if band is not None else 0, band_spec.dtype)

    def execute(self, x: Array, y: Array) -> None:
        for _ in range(self.calls):
            self.whole.execute(x, y)
        if self.band is not None:
            self.band.execute(self.rows, self.spare)


def contenders(
    known: Mapping[str, ConvAlgorithm], workloads: Iterable[Workload], shares: Iterable[tuple[float, int]]
) -> dict[str, ConvAlgorithm]:
    """Name -> contender for each workload and (share, twin); the share is done only where `EXTRA` is set."""
    found: dict[str, ConvAlgorithm] = {}
    active = EXTRA in os.environ
    for workload in workloads:
        for share, twin in shares:
            inner = known[workload.algorithm]
            name = contender_name(workload, share, twin)
            body = {
                "name": name,
                "precision": inner.precision,
                "inner": inner,
                "workload": workload,
                "share": share,
                "active": active,
            }
            found[name] = type("WithThisExtraWork", (WithExtraWork,), body)()
    return found
