"""A third party's algorithms that say nonsense of themselves, each in its own way, and one that does not."""

from __future__ import annotations

from typing import Any, ClassVar

from convbench.algorithm import (
    ConvAlgorithm,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
)
from convbench.spec import ConvSpec
from convbench_algorithms.naive import Naive


class Sane(ConvAlgorithm):
    """naive, under another name."""

    name: ClassVar[str] = "sane"
    naive = Naive()

    def supports(self, spec: ConvSpec) -> Any:
        return None

    def error_model(self, spec: ConvSpec) -> Any:
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> Any:
        return self.naive.plan(spec, resources)


class Answer(Sane):
    name = "answer"

    def supports(self, spec: ConvSpec) -> Any:
        return "perhaps"


class Reason(Sane):
    name = "reason"

    def supports(self, spec: ConvSpec) -> Any:
        return Unsupported(object())  # type: ignore[arg-type]


class NoPlan(Sane):
    name = "no_plan"

    def plan(self, spec: ConvSpec, resources: Resources) -> Any:
        return None


class Norm(Sane):
    name = "norm"

    def error_model(self, spec: ConvSpec) -> Any:
        return ErrorModel("loudest", 1.0, "")  # type: ignore[arg-type]


class Bound(Sane):
    name = "bound"

    def error_model(self, spec: ConvSpec) -> Any:
        return ErrorModel("normwise", float("nan"), "")


class NoModel(Sane):
    name = "no_model"

    def error_model(self, spec: ConvSpec) -> Any:
        return None


class _Wrapped(ConvPlan):
    def __init__(self, plan: ConvPlan, workspace_bytes: Any, prepared: Any) -> None:
        self.plan, self.workspace_bytes, self.prepared = plan, workspace_bytes, prepared

    def prepare(self, w: Any) -> Any:
        return self.prepared or self.plan.prepare(w)


class Bytes(Sane):
    name = "bytes"

    def plan(self, spec: ConvSpec, resources: Resources) -> Any:
        return _Wrapped(super().plan(spec, resources), -5, None)


class Words(Sane):
    name = "words"

    def plan(self, spec: ConvSpec, resources: Resources) -> Any:
        return _Wrapped(super().plan(spec, resources), "many", None)


class Prepared(Sane):
    name = "prepared"

    def plan(self, spec: ConvSpec, resources: Resources) -> Any:
        return _Wrapped(super().plan(spec, resources), 0, "ready")


class _Countless(PreparedConv):
    operations: Any = -7

    def __init__(self, plan: ConvPlan, w: Any) -> None:
        self.inner = plan.prepare(w)

    def execute(self, x: Any, y: Any) -> None:
        self.inner.execute(x, y)  # type: ignore[union-attr]


class _CountlessPlan(_Wrapped):
    def prepare(self, w: Any) -> Any:
        return _Countless(self.plan, w)


class Operations(Sane):
    name = "operations"

    def plan(self, spec: ConvSpec, resources: Resources) -> Any:
        return _CountlessPlan(super().plan(spec, resources), 0, None)
