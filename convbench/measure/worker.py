"""The process in which one contender runs: it answers one request at a time over a socket.

Requests and replies are JSON lines: {"do": "sample", "batch": 8} -> {"ok": {…}} or {"failed": …, "reason": …}.
Arrays travel as files, so that a wild write in here cannot reach the coordinator's memory.
"""

from __future__ import annotations

import ctypes
import gc
import json
import platform
import random
import socket
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from errno import EDQUOT, EFBIG, ENOSPC
from itertools import repeat
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter_ns, sleep
from typing import Any, Final, TypeVar, final

import numpy as np

from convbench.algorithm import (
    Accelerator,
    Array,
    ConvAlgorithm,
    ConvPlan,
    ForeignConv,
    PreparedConv,
    Resources,
    Unsupported,
)
from convbench.machine import caches
from convbench.measure.compilations import Compilations, Compiled
from convbench.measure.guarded import Guarded
from convbench.measure.yardsticks import Yardsticks
from convbench.result import Status
from convbench.spec import ConvSpec
from convbench.staged import StagedConv

M_TRIM_THRESHOLD: Final = -1  # glibc's malloc.h
M_MMAP_MAX: Final = -4

SWEEPS: Final = 2
"""Times the largest cache: it does not evict in strict order."""
LARGE_CACHE_BYTES: Final = 2**25
"""Where the system does not tell."""

MOVED_BYTES: Final = 2**22
"""Of x and y together, at most, for them to be moved."""

LATENCIES: Final = 7
"""Calls that are timed from the host's side, where a device has its own clock."""
SLOW: Final = 0.75
"""Of a device's highest clock: with less, a sample tells of heat or power alone (nvbench's rule)."""
BACK_OFF_S: Final = 0.1
"""For a device whose clock has gone down, to cool."""

FULL: Final = (ENOSPC, EDQUOT, EFBIG, None)
"""How a system says that there is no room; NumPy says it without a number."""

CLOCK_TRIES: Final = 3
"""Batches, at most, until there is one during which the clock has not stepped back."""

Reply = dict[str, Any]
T = TypeVar("T")


class NoRoomError(Exception):
    """An output cannot be handed over: nothing that its contender could help."""


def serve(connection: socket.socket, algorithm: ConvAlgorithm) -> None:
    """Answer requests until the coordinator hangs up."""
    contender = Contender(algorithm)
    gc.disable()  # a collection inside a sample would be timed
    with connection.makefile("rwb") as stream:
        for line in stream:
            request = json.loads(line)
            reply = answer(contender, request.pop("do"), request)
            stream.write(_line(reply))
            stream.flush()
            gc.collect(0)


def _line(reply: Reply) -> bytes:
    try:
        return json.dumps(reply).encode() + b"\n"
    except (TypeError, ValueError) as error:
        return _line({"failed": Status.CRASHED, "reason": f"what it tells of itself is no plain data: {error}"})


def answer(contender: Contender, action: str, arguments: dict[str, Any]) -> Reply:
    """The reply to one request; whatever the algorithm raises becomes a failure with its reason."""
    start = perf_counter_ns()
    before = contender.compiled
    try:
        result = getattr(contender, action)(**arguments)
    except NoRoomError as error:
        return {"no_room": str(error)}
    except MemoryError as error:
        return {"failed": Status.OUT_OF_MEMORY, "reason": str(error) or "the allocation failed"}
    except BaseException as error:  # sys.exit among them: it is the coordinator who ends workers
        return {"failed": Status.CRASHED, "reason": f"{action}: {type(error).__name__}: {_place(error)}"}
    if isinstance(result, Unsupported):
        return {"failed": Status.UNSUPPORTED, "reason": result.reason}
    compiled = contender.compiled.since(before)
    spent_s = (perf_counter_ns() - start) * 1e-9
    return {"ok": {**result, "spent_s": spent_s, "compiled": compiled.kernels, "compile_s": compiled.seconds}}


@final
class Contender:
    """An algorithm and, between `plan` and `close`, one cell's plan, filter and arrays."""

    spec: ConvSpec
    bound_plan: ConvPlan | None
    prepared: PreparedConv | None
    bound: Array
    x: Array
    y: Array
    guarded: Guarded
    x_checksum: int
    call: TimedCall
    result: Any
    accelerator: Accelerator | None = None
    """Where x and y are, and what times the calls, if not this host."""

    def __init__(self, algorithm: ConvAlgorithm) -> None:
        self.algorithm = algorithm
        self.compilations = Compilations()
        self.sweep: Array | None = None
        self.yardsticks: Yardsticks | None = None
        self.peak_bytes: int | None = None
        self.close()

    @property
    def compiled(self) -> Compiled:
        """Numba's kernels, and a device's."""
        total, there = self.compilations.total, self.accelerator
        if there is None:
            return total
        return Compiled(total.kernels + there.loaded, total.seconds + there.loading_s)

    def plan(self, spec: str, threads: int, memory_limit_bytes: int) -> Reply | Unsupported:
        """Ask whether the spec is supported, and plan it; `plan_s` holds compilation too."""
        self.spec = ConvSpec.parse(spec)
        _reset_peak()
        unsupported = self.algorithm.supports(self.spec)
        if unsupported is not None:
            if not isinstance(unsupported, Unsupported):  # a plug-in's: mypy has not seen it
                raise TypeError(f"supports() gave {unsupported!r}, not None or Unsupported")
            return unsupported
        self.accelerator = self.algorithm.accelerator()
        free_bytes = (
            memory_limit_bytes - _resident_bytes() if self.accelerator is None else self.accelerator.free_bytes()
        )
        left = free_bytes - self.spec.minimal_bytes
        resources = Resources(threads=threads, memory_limit_bytes=max(left, 0))
        plan, plan_s = _timed(lambda: self.algorithm.plan(self.spec, resources))
        self.bound_plan = plan
        return {"plan_s": plan_s, "workspace_bytes": resources.reserve(plan.workspace_bytes)}

    def prepare(self, prepared_path: str) -> Reply | Unsupported:
        """Bind the filter (dy in backward_weights)."""
        assert self.bound_plan is not None
        plan, self.bound = self.bound_plan, np.load(prepared_path, allow_pickle=False)
        prepared, prepare_s = _timed(lambda: plan.prepare(self.bound))
        if isinstance(prepared, Unsupported):
            return prepared
        self.prepared = prepared
        operations = prepared.operations
        return {"prepare_s": prepare_s, "workspace_bytes": plan.workspace_bytes, "operations": operations}

    def verify(self, input_path: str, output_path: str | None) -> Reply:
        """Execute once into a poisoned output, and leave that for the coordinator if it is to judge it."""
        assert self.prepared is not None
        x = np.load(input_path, allow_pickle=False)
        self.x_checksum = _checksum(x)
        self.guarded = Guarded(self.spec.output_shape, self.spec.dtype)
        self.guarded.array.fill(np.nan)
        self.x, self.y = self._upload(x), self._upload(self.guarded.array)
        if isinstance(self.prepared, ForeignConv):
            if self.accelerator is None:
                _keep_freed_memory()
            self.call = TimedCall(self.prepared.compute, (self.prepared.accept(self.x),))
        else:
            self.call = TimedCall(self.prepared.execute, (self.x, self.y))
        execute_s = self._batch_s(1)
        if output_path is not None:
            self._save_output(output_path)
        self.result = None
        self.y.fill(np.nan)  # the timed calls have to write it anew
        model = self.algorithm.error_model(self.spec)
        return {
            **self._trespasses(),
            "execute_s": execute_s,
            "norm": model.norm,
            "bound": model.bound,
            "source": model.source,
            "precision": self.algorithm.precision,
            "accelerated": self.accelerator is not None,
        }

    def warm_up(self, limit_s: float) -> Reply:
        """Execute until two windows of three calls agree within 5 % (as pyperf accepts a warm-up), or `limit_s`."""
        calls: list[float] = []
        spent = 0.0
        while spent < limit_s:
            calls.append(self._batch_s(1))
            spent += calls[-1]
            if len(calls) >= 6:
                last, previous = np.median(calls[-3:]), np.median(calls[-6:-3])
                if abs(last - previous) <= 0.05 * previous:
                    break
        return {"calls_s": calls}

    def move(self) -> Reply:
        """Put x and y elsewhere, and execute once: how they lie to each other and to pages can be worth percents.

        What is larger than the near caches stays: its pages lie anywhere, and moving them takes longer than a sample.
        """
        assert self.prepared is not None
        stays = isinstance(self.prepared, ForeignConv) or self.accelerator is not None
        if not stays and self.x.nbytes + self.y.nbytes <= MOVED_BYTES:
            self.x, self.y = moved(self.x), moved(self.y)
            self.y.fill(np.nan)
            self.call = TimedCall(self.prepared.execute, (self.x, self.y))
            self._batch_s(1)
        return {}

    def sample(self, batch: int, rewarm: bool) -> Reply:
        """Time one batch, after one untimed call that brings the operands back into the caches.

        `switches` counts how often this process was made to wait for its core meanwhile, `faults` its page faults.
        A device's own clock does not see the process wait; but its `clock_hz` may be down, and then it is `slow`.
        """
        if rewarm:
            self._batch_s(1)
        before = getrusage(RUSAGE_SELF)
        batch_s = self._batch_s(batch)
        after = getrusage(RUSAGE_SELF)
        found = {"batch_s": batch_s, "faults": after.ru_minflt - before.ru_minflt}
        if self.accelerator is None:
            return {**found, "switches": after.ru_nivcsw - before.ru_nivcsw}
        clock_hz = self.accelerator.clock_hz()
        slow = clock_hz < SLOW * self.accelerator.highest_hz
        if slow:
            sleep(BACK_OFF_S)
        return {**found, "switches": 0, "slow": slow, "clock_hz": clock_hz}

    def cold(self, count: int) -> Reply:
        """Time single calls, each after more memory than the caches hold has been written."""
        self.peak_bytes = _peak_bytes()  # before the sweep's own memory
        calls = []
        for _ in range(count):
            self._cool()
            calls.append(self._batch_s(1))
        return {"calls_s": calls}

    def stages(self, count: int, rewarm: bool) -> Reply:
        """What each stage takes in some calls, after one that does not count; nothing of who has no stages to tell."""
        found: dict[str, list[float]] = {}
        if isinstance(self.prepared, StagedConv) and self.accelerator is None:
            if rewarm:
                self.prepared.execute_staged(self.x, self.y)
            for _ in range(count):
                for name, spent_s in self.prepared.execute_staged(self.x, self.y).items():
                    found.setdefault(name, []).append(spent_s)
        return {"stages_s": found}

    def transfers(self) -> Reply:
        """What a device's user pays beside its own time, in seconds: x there, y back, a call as the host sees it."""
        assert self.accelerator is not None
        x = self._download(self.x)
        uploads = [self._done_s(lambda: self._upload(x)) for _ in range(LATENCIES)]
        downloads = [self._done_s(lambda: self._download(self.y)) for _ in range(LATENCIES)]
        calls = [self._done_s(lambda: self.call.function(*self.call.arguments)) for _ in range(LATENCIES)]
        names = ("upload_s", "download_s", "latency_s")
        found = {name: float(np.median(times)) for name, times in zip(names, (uploads, downloads, calls), strict=True)}
        return {**found, "device_bytes": self.accelerator.used_bytes()}

    def measure_yardsticks(self) -> Reply:
        """What fixed computations take now."""
        if self.yardsticks is None:
            self.yardsticks = Yardsticks()
            self.yardsticks.measure()  # touches its memory
        return {"yardsticks": self.yardsticks.measure()}

    def last(self, output_path: str) -> Reply:
        """Leave what the last timed call wrote for the coordinator to judge."""
        self._save_output(output_path)
        return self._trespasses()

    def overhead(self, batches: int) -> Reply:
        """What the sampling loop itself costs: the median of batches of one call that does nothing."""
        empty = np.empty(0)
        nothing = TimedCall(_Nothing().execute, (empty, empty))
        return {"overhead_s": float(np.median([nothing.batch(1)[0] for _ in range(batches)]))}

    def close(self) -> Reply:
        """Drop the cell's arrays; the peak of resident memory since `plan`."""
        self.spec = ConvSpec(h=1, w=1, r=1, s=1)
        self.result = None  # before the plan, from whose memory the library may have taken it
        self.call = TimedCall(_Nothing().execute, ())
        self.prepared = None
        self.bound_plan = None
        self.bound = self.x = self.y = np.empty(0)
        self.guarded = Guarded((0,), np.uint8)
        gc.collect()
        peak_bytes, self.peak_bytes = self.peak_bytes or _peak_bytes(), None
        return {"peak_rss_bytes": peak_bytes}

    def _batch_s(self, batch: int) -> float:
        for _ in range(CLOCK_TRIES):
            self.result = None
            if self.accelerator is None:
                batch_s, self.result = self.call.batch(batch)
            else:
                batch_s, self.result = self.accelerator.batch(self.call.function, self.call.arguments, batch)
            if batch_s >= 0:
                return batch_s
        raise RuntimeError(f"the clock stepped back in each of {CLOCK_TRIES} batches")

    def _trespasses(self) -> Reply:
        """What execute must leave alone, and whether it has: x, and the memory before and behind y."""
        input_changed = _checksum(self._download(self.x)) != self.x_checksum
        return {"input_changed": input_changed, "overrun": not self.guarded.intact}

    def _done_s(self, work: Callable[[], Any]) -> float:
        """Until it is done, by the host's clock."""
        assert self.accelerator is not None
        self.accelerator.synchronise()
        start = perf_counter_ns()
        work()
        self.accelerator.synchronise()
        return (perf_counter_ns() - start) * 1e-9

    def _cool(self) -> None:
        if self.accelerator is not None:
            self.accelerator.cool()
            return
        if self.sweep is None:
            self.sweep = np.zeros(SWEEPS * max(caches().values(), default=LARGE_CACHE_BYTES), np.uint8)
        self.sweep += 1

    def _upload(self, array: Array) -> Any:
        return array if self.accelerator is None else self.accelerator.upload(array)

    def _download(self, array: Any) -> Array:
        return array if self.accelerator is None else self.accelerator.download(array)

    def _save_output(self, output_path: str) -> None:
        """y, into which a library's own result is copied first."""
        if isinstance(self.prepared, ForeignConv):
            self.prepared.deliver(self.result, self.y)
        y = self._download(self.y)
        try:
            np.save(output_path, y)
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise NoRoomError(f"{Path(output_path).parent}: no room for an output of {y.nbytes:,} bytes") from error


@dataclass(frozen=True)
class TimedCall:
    """What is called between two looks at the clock, and nothing else."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def batch(self, calls: int) -> tuple[float, Any]:
        """The seconds that `calls` calls take, and what the last of them returned; earlier results are let go."""
        function, arguments = self.function, self.arguments
        start = perf_counter_ns()
        for _ in repeat(None, calls - 1):
            function(*arguments)
        result = function(*arguments)
        return (perf_counter_ns() - start) * 1e-9, result


@final
class _Nothing(PreparedConv):
    def execute(self, x: Array, y: Array) -> None:
        pass


def moved(array: Array) -> Array:
    """A copy that begins at a random multiple of 16 bytes, as malloc's arrays do."""
    memory = np.empty(array.nbytes + 4096, np.uint8)
    first = random.randrange(0, 4096, 16)  # noqa: S311
    copy = memory[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    start = perf_counter_ns()
    result = work()
    return result, (perf_counter_ns() - start) * 1e-9


def _checksum(array: Array) -> int:
    """Of its bytes, which takes no memory beside it: the peak of what is resident is measured."""
    return zlib.crc32(array.data)


def _place(error: BaseException) -> str:
    """The error's text and the innermost line, on one line, with nothing that a terminal would obey."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    text = "".join(letter if letter.isprintable() else "?" for letter in " ".join(str(error).split()))
    return text[:300] + place


def _reset_peak() -> None:
    """Make the peak of resident memory start again from what is resident now, where the system lets us."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _keep_freed_memory() -> None:
    """Let glibc hand out again what was freed, as the allocators do that libraries are served with.

    By default it returns large arrays to the system, and a library that allocates its output would be timed
    at faulting the same pages in anew in each call.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def _resident_bytes() -> int:
    return _status_bytes("VmRSS:") or 0


def _peak_bytes() -> int | None:
    return _status_bytes("VmHWM:")


def _status_bytes(field: str) -> int | None:
    """A line of /proc/self/status, which counts in KiB; None where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    line = next((line for line in lines if line.startswith(field)), None)
    return int(line.split()[1]) * 1024 if line else None
