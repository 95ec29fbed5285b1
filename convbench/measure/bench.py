"""One contender in one cell in one pass, from plan to its block in the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
from pydantic import ValidationError

from convbench import agreement
from convbench.algorithm import Array, ErrorModel
from convbench.machine import clock_hz, stolen_s
from convbench.measure.case import Case
from convbench.measure.effort import Effort
from convbench.measure.workers import Worker, WorkerFailedError
from convbench.result import Agreement, Block, Cell, Status, first_mistake


@dataclass(frozen=True)
class Limits:
    """What a request may take before its worker is killed."""

    timeout_s: Callable[[], float]
    memory_bytes: int


@dataclass(frozen=True)
class Claim:
    """What an algorithm says of its own accuracy."""

    model: ErrorModel
    precision: str


def verdict(y: Array, case: Case, claim: Claim) -> tuple[Agreement, str]:
    """How close an output is, and why it does not agree, if it does not."""
    judged = agreement.judge(y, case.reference, claim.model)
    if not judged.agrees:
        shown = f"{judged.norm} error {judged.error:.2g} over the bound {judged.bound:.2g}"
        return judged, f"{shown} ({claim.model.source}); {judged.detail}".rstrip("; ")
    strict = claim.precision == "strict" and case.plain
    return judged, agreement.precision_lost(y, case.reference) if strict else ""


def trespass(reply: Mapping[str, Any]) -> str:
    """What execute did to memory that is not its own, as its worker has found; one of an older commit may not look."""
    if reply.get("input_changed"):
        return "execute changed its input x"
    return "execute wrote outside of its output y" if reply.get("overrun") else ""


@final
@dataclass
class Bench:
    """The state of a measurement that is under way; `block()` is what it leaves."""

    cell: Cell
    algorithm: str
    pass_index: int
    worker: Worker
    limits: Limits
    core: int | None
    status: Status = Status.NOT_REACHED
    reason: str = ""
    plan_s: float | None = None
    prepare_s: float | None = None
    workspace_bytes: int | None = None
    operations: int | None = None
    peak_rss_bytes: int | None = None
    claim: Claim | None = None
    judged: Agreement | None = None
    warmup_s: list[float] = field(default_factory=list)
    batch: int = 1
    wanted: int = 0
    samples_s: list[float] = field(default_factory=list)
    retaken_s: list[float] = field(default_factory=list)
    yardsticks_s: dict[str, list[float]] = field(default_factory=dict)
    cold_s: list[float] = field(default_factory=list)
    stages_s: dict[str, list[float]] = field(default_factory=dict)
    accelerated: bool = False
    clocks_hz: list[float] = field(default_factory=list)
    transfers: dict[str, float] = field(default_factory=dict)
    switches: int = 0
    faults: int = 0
    stolen_before_s: float | None = None
    stolen_s: float | None = None
    clock_hz: float | None = None
    spent_s: float = 0.0
    compiled: int = 0
    compile_s: float = 0.0
    alive: bool = True

    def open(self, case: Case, output: Path | None) -> None:
        """Plan, prepare, and execute once, into `output` if it is to be judged; no claim where the contender fails."""
        prepared_path, input_path = case.operands
        try:
            limit = self.limits.memory_bytes
            planned = self._ask("plan", spec=self.cell.spec.id, threads=self.cell.threads, memory_limit_bytes=limit)
            self.plan_s = planned["plan_s"]
            bound = self._ask("prepare", prepared_path=str(prepared_path))
            self.prepare_s, self.workspace_bytes = bound["prepare_s"], bound["workspace_bytes"]
            self.operations = bound["operations"]
            kept = None if output is None else str(output)
            executed = self._ask("verify", input_path=str(input_path), output_path=kept)
        except WorkerFailedError as failure:
            self._fail(failure)
            return
        self.warmup_s, self.accelerated = [executed["execute_s"]], executed["accelerated"]
        if reason := trespass(executed):
            self.status, self.reason = Status.DISAGREED, reason
            return
        self.claim = Claim(ErrorModel(executed["norm"], executed["bound"], executed["source"]), executed["precision"])

    def judge(self, output: Path, case: Case) -> None:
        """Compare the output with the reference; a contender that disagrees is not timed."""
        if self.claim is None:
            return
        self.judged, self.reason = verdict(np.load(output, allow_pickle=False), case, self.claim)
        self.status = Status.DISAGREED if self.reason else Status.PASSED

    def trust(self) -> None:
        """Time it without a comparison: other processes of the same contender have been judged."""
        if self.claim is not None:
            self.status = Status.PASSED

    def probe(self) -> float:
        """One more call; the quicker one of the calls so far, in seconds."""
        self._warm_up_for(1e-9)  # no call is as short: exactly one is made
        return min(self.warmup_s)

    def warm_up(self, effort: Effort, share_s: float) -> None:
        """Warm up, then settle how many samples of how many calls there will be."""
        if self.status is Status.PASSED and self.warmup_s[0] < effort.warm_up_s:
            self._warm_up_for(effort.warm_up_s)
        self.batch = effort.batch(self.call_s)
        self.wanted = effort.samples(self.call_s, share_s)

    def glance(self, effort: Effort) -> None:
        """Settle for a single sample, without warm-up: enough to tell that a contender is far behind."""
        self.batch = effort.batch(min(self.warmup_s))
        self.wanted = 1

    def _warm_up_for(self, limit_s: float) -> None:
        try:
            self.warmup_s += self._ask("warm_up", limit_s=limit_s)["calls_s"]
        except WorkerFailedError as failure:
            self._fail(failure)

    def sample(self, effort: Effort) -> None:
        """Take one sample; again, as often as is worth it where it had to wait or a device's clock was down."""
        if not self.samples_s:
            self.stolen_before_s = stolen_s()
        sample_s = 0.0
        for attempt in range(1 + effort.retakes(self.call_s)):
            try:
                reply = self._ask("sample", batch=self.batch, rewarm=self.call_s < effort.rewarm_s)
            except WorkerFailedError as failure:
                self._fail(failure)
                return
            if attempt:
                self.retaken_s.append(sample_s)
            sample_s = reply["batch_s"] / self.batch
            self.switches += reply["switches"]
            self.faults += reply["faults"]
            if self.accelerated:
                self.clocks_hz.append(reply["clock_hz"])
            if not reply["switches"] and not reply.get("slow"):
                break
        self.samples_s.append(sample_s)
        if len(self.samples_s) == self.wanted:
            self.stop(effort)
        elif effort.yardsticks and len(self.samples_s) in (1, (self.wanted + 1) // 2):
            self._measure_yardsticks()

    def stop(self, effort: Effort) -> None:
        """No more samples: note what the machine did meanwhile."""
        self.wanted = len(self.samples_s)
        after_s = stolen_s()
        if after_s is not None and self.stolen_before_s is not None:
            self.stolen_s = after_s - self.stolen_before_s
        self.clock_hz = float(np.median(self.clocks_hz)) if self.clocks_hz else clock_hz(self.core or 0)
        if effort.yardsticks:
            self._measure_yardsticks()

    def move(self) -> None:
        """Put x and y elsewhere, and execute once."""
        try:
            self._ask("move")
        except WorkerFailedError as failure:
            self._fail(failure)

    def cool(self, effort: Effort) -> None:
        """Time a few calls with cold caches, after the hot samples."""
        if self.status is not Status.PASSED or not self.samples_s:
            return
        try:
            self.cold_s = self._ask("cold", count=effort.cold_samples)["calls_s"]
        except WorkerFailedError as failure:
            self._fail(failure)

    def look_outside(self) -> None:
        """What a device's user pays beside the device's own time, after the samples."""
        if self.accelerated and self.status is Status.PASSED and self.samples_s:
            try:
                self.transfers = self._ask("transfers")
            except WorkerFailedError as failure:
                self._fail(failure)

    def judge_again(self, output: Path, case: Case) -> None:
        """Judge what the last timed call wrote: whoever only pretends to work when timed is found out here."""
        if self.status is not Status.PASSED or not self.samples_s or self.claim is None:
            return
        try:
            found = self._ask("last", output_path=str(output))
        except WorkerFailedError as failure:
            self._fail(failure)
            return
        judged, reason = verdict(np.load(output, allow_pickle=False), case, self.claim)
        reason = trespass(found) or reason
        if reason:
            self.judged, self.status, self.reason = judged, Status.DISAGREED, f"when timed: {reason}"

    def tell_stages(self, effort: Effort) -> None:
        """Time the stages of a few calls, when all that is to be judged has been judged."""
        if self.status is not Status.PASSED or not self.samples_s or self.accelerated:
            return
        count = effort.stagings(self.call_s)
        if not count:
            return
        try:
            self.stages_s = self._ask("stages", count=count, rewarm=self.call_s < effort.rewarm_s)["stages_s"]
        except WorkerFailedError as failure:
            self._fail(failure)

    def close(self) -> None:
        """Let the worker drop the cell's arrays."""
        if self.alive:
            try:
                self.peak_rss_bytes = self._ask("close")["peak_rss_bytes"]
            except WorkerFailedError as failure:
                self._fail(failure)

    @property
    def call_s(self) -> float:
        """The best guess so far at what one call takes."""
        return float(np.median(self.warmup_s[-3:]))

    @property
    def wants_more(self) -> bool:
        """Whether another sample is due."""
        return self.status is Status.PASSED and len(self.samples_s) < self.wanted

    def block(self) -> Block:
        """The record of it all; who tells of itself what cannot be has failed."""
        try:
            return self._record()
        except ValidationError as error:
            reason = f"what it tells of itself cannot be: {first_mistake(error)}"
        return Block(
            cell=self.cell.key,
            algorithm=self.algorithm,
            pass_index=self.pass_index,
            status=Status.CRASHED,
            reason=reason,
            worker_s=self.spent_s,
        )

    def _record(self) -> Block:
        return Block(
            cell=self.cell.key,
            algorithm=self.algorithm,
            pass_index=self.pass_index,
            status=self.status,
            reason=self.reason,
            core=self.core,
            plan_s=self.plan_s,
            prepare_s=self.prepare_s,
            warmup_s=tuple(self.warmup_s),
            batch=self.batch if self.samples_s else 0,
            samples_s=tuple(self.samples_s),
            retaken_s=tuple(self.retaken_s),
            yardsticks={name: tuple(times) for name, times in self.yardsticks_s.items()},
            cold_s=tuple(self.cold_s),
            stages_s={name: tuple(times) for name, times in self.stages_s.items()},
            **self.transfers,  # type: ignore[arg-type]
            switches=self.switches,
            faults=self.faults,
            stolen_s=self.stolen_s,
            clock_hz=self.clock_hz,
            agreement=self.judged,
            workspace_bytes=self.workspace_bytes,
            peak_rss_bytes=self.peak_rss_bytes,
            operations=self.operations,
            worker_s=self.spent_s,
            compiled=self.compiled,
            compile_s=self.compile_s,
        )

    def _measure_yardsticks(self) -> None:
        try:
            found = self._ask("measure_yardsticks")["yardsticks"]
        except WorkerFailedError as failure:
            self._fail(failure)
            return
        for name, time_s in found.items():
            self.yardsticks_s.setdefault(name, []).append(time_s)

    def _ask(self, action: str, **arguments: object) -> dict[str, Any]:
        reply = self.worker.ask(action, self.limits.timeout_s(), self.limits.memory_bytes, **arguments)
        self.spent_s += reply.pop("spent_s")
        self.compiled += reply.pop("compiled")
        self.compile_s += reply.pop("compile_s")
        return reply

    def _fail(self, failure: WorkerFailedError) -> None:
        self.status, self.reason, self.alive = failure.status, failure.reason, failure.alive
