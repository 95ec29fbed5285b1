"""The coordinator's handles on its worker processes: start, ask, watch, kill."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any, Final, final

from convbench.errors import ConvbenchError, UnknownAlgorithmError, choices
from convbench.machine import THREAD_VARIABLES
from convbench.measure.processes import kill_group
from convbench.result import Cell, Status

POLL_S: Final = 0.05
START_LIMIT_S: Final = 120.0
EVERY_RESULT: Final = {"spent_s", "compiled", "compile_s"}
MOST_BYTES: Final = 2**24
"""Of a reply; a real one has some kilobytes."""
NURSERY_GONE: Final = "the process that workers are forked from is gone; convbench run --resume goes on with the run"

# Idle threads sleep, so that none spins on a core that another contender, or another library's pool, needs; but
# they wait some 50 µs first, or each call of a sample would have to wake them anew (docs/decisions/0009).
WAITING: Final = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "5000"}


class WorkerFailedError(Exception):
    """A contender failed in its cell; `alive` says whether its worker can serve the next one."""

    def __init__(self, status: Status, reason: str, *, alive: bool) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason
        self.alive = alive


@dataclass(frozen=True)
class Launch:
    """How to start a nursery: where the algorithms come from."""

    loader: str
    plugins: tuple[Path, ...] = ()
    import_first: tuple[Path, ...] = ()
    """Folders that modules are imported from before any other place."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables beside those of this process."""


@final
class Nursery:
    """One fresh process at a number of threads, on given cores; workers are forked from it.

    Nurseries that are compared share the seed of their hashes: what a look into a dictionary costs depends on it,
    and a call of a few microseconds makes enough of them to differ by a percent.

    It starts in the background; whoever asks it for something first waits until it is ready.
    """

    def __init__(
        self, launch: Launch, names: Iterable[str], threads: int, cores: Sequence[int], hash_seed: int
    ) -> None:
        self.cores = cores
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", "-m", "convbench.measure.nursery"]
        command += [f"--control={theirs.fileno()}", f"--loader={launch.loader}"]
        command += [f"--plugin={path}" for path in launch.plugins]
        command += [f"--algorithm={name}" for name in names]
        environment = {**os.environ, **WAITING, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
        places = (*launch.import_first, *(place or Path.cwd() for place in sys.path))
        environment |= {"PYTHONPATH": os.pathsep.join(map(str, places))}
        environment |= {"PYTHONHASHSEED": str(hash_seed), **dict(launch.environment)}
        self.process = subprocess.Popen(  # noqa: S603
            command,
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the coordinator, which then ends the workers in order
        )
        theirs.close()
        self.forked: set[int] = set()
        """Workers that have not been reaped."""

    @cached_property
    def algorithms(self) -> frozenset[str]:
        """The names that it can fork for. Raises `ConvbenchError` with the reason where it did not start."""
        started = self._receive(START_LIMIT_S)
        if "failed" in started:
            raise ConvbenchError(f"the algorithms cannot be loaded: {started['failed']}")
        if hasattr(os, "sched_setaffinity"):  # not before: those that start at once need not share a core
            os.sched_setaffinity(self.process.pid, self.cores)
        return frozenset(started["ready"])

    def fork(self, algorithm: str) -> Worker:
        """A new worker for one contender. Raises `UnknownAlgorithmError` for a name that is none here."""
        if algorithm not in self.algorithms:
            raise UnknownAlgorithmError(f"unknown algorithm '{algorithm}'; valid: {choices(self.algorithms)}")
        ours, theirs = socket.socketpair()
        request = json.dumps({"do": "fork", "algorithm": algorithm}).encode()
        try:
            socket.send_fds(self.control, [request], [theirs.fileno()])
        except OSError:
            raise ConvbenchError(NURSERY_GONE) from None
        theirs.close()
        pid = int(self._receive(START_LIMIT_S)["pid"])
        self.forked.add(pid)
        return Worker(self, pid, ours)

    def exit_code(self, pid: int) -> int:
        """How a dead worker ended: minus the signal's number if one killed it."""
        self.control.send(json.dumps({"do": "wait", "pid": pid}).encode())
        code = int(self._receive(START_LIMIT_S)["exit"])
        self.forked.discard(pid)  # another process may get the number
        return code

    def close(self) -> None:
        """End the nursery, all of its workers, and whatever they have started."""
        for pid in self.forked:
            kill_group(pid)
        self.process.kill()
        self.process.wait()
        self.control.close()

    def _receive(self, limit_s: float) -> dict[str, Any]:
        self.control.settimeout(limit_s)
        try:
            message = self.control.recv(65536)
        except TimeoutError:
            message = b""
        if not message:
            raise ConvbenchError("the worker process could not be started; try: python -m convbench.measure.nursery -h")
        reply: dict[str, Any] = json.loads(message)
        return reply


@final
class Worker:
    """One contender's process. Anything that goes wrong in it ends as a `WorkerFailedError` here."""

    def __init__(self, nursery: Nursery, pid: int, connection: socket.socket) -> None:
        self.nursery = nursery
        self.pid = pid
        self.connection = connection
        self.pending = b""

    def ask(self, action: str, timeout_s: float, most_bytes: int, **arguments: object) -> dict[str, Any]:
        """Send one request and wait for its reply, watching the clock and the worker's memory.

        Raises `WorkerFailedError`; where `alive` is false the worker has been killed.
        """
        try:
            self.connection.sendall(json.dumps({"do": action, **arguments}).encode() + b"\n")
        except OSError:
            raise self._died(action) from None
        deadline = monotonic() + timeout_s
        while b"\n" not in self.pending:
            ready, _, _ = select.select([self.connection], [], [], min(POLL_S, max(0.0, deadline - monotonic())))
            if ready:
                self._read(action)
            if monotonic() >= deadline and b"\n" not in self.pending:
                self.kill()
                raise WorkerFailedError(Status.TIMEOUT, f"{action} took longer than {timeout_s:.3g} s", alive=False)
            if ready:
                continue
            if (resident := self._resident_bytes()) == 0:
                raise self._died(action)  # and a child of it holds the connection open
            if resident is not None and resident > most_bytes:
                self.kill()
                shown = f"{action} reached {resident / 2**20:,.0f} MiB, the limit is {most_bytes / 2**20:,.0f}"
                raise WorkerFailedError(Status.OUT_OF_MEMORY, shown, alive=False)
        line, _, self.pending = self.pending.partition(b"\n")
        reply = _parsed(line)
        if "no_room" in reply:
            raise ConvbenchError(str(reply["no_room"]))
        if reply.get("failed") in list(Status):
            raise WorkerFailedError(Status(reply["failed"]), str(reply.get("reason")), alive=True)
        result = reply.get("ok")
        if self.pending or not isinstance(result, dict) or not result.keys() >= EVERY_RESULT:
            raise self._babbled(action)
        return result

    def pin(self, core: int) -> None:
        """Keep the process to one core; threads that it has started already stay where they are."""
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.pid, [core])

    def kill(self) -> None:
        """End the process, whatever it is doing and has started, and reap it."""
        if self.pid in self.nursery.forked:
            kill_group(self.pid)
            with suppress(OSError, ConvbenchError):  # it has gone already, with its nursery
                self.nursery.exit_code(self.pid)
        self.connection.close()

    def _read(self, action: str) -> None:
        try:
            received = self.connection.recv(1 << 16)
        except OSError:
            received = b""
        if not received:
            raise self._died(action)
        self.pending += received
        if len(self.pending) > MOST_BYTES:
            raise self._babbled(action)

    def _babbled(self, action: str) -> WorkerFailedError:
        """A contender has written to its worker's connection: what comes next from there means nothing."""
        self.kill()
        return WorkerFailedError(Status.CRASHED, f"{action}: its process sent what is no reply", alive=False)

    def _died(self, action: str) -> WorkerFailedError:
        """How it ended. Raises `ConvbenchError` where its nursery is gone, which no contender is to blame for."""
        self.connection.close()
        try:
            kill_group(self.pid)  # it may have closed its socket and live on, or have left children behind
            code = self.nursery.exit_code(self.pid)
        except (OSError, ConvbenchError):
            raise ConvbenchError(NURSERY_GONE) from None
        ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        return WorkerFailedError(Status.CRASHED, f"{action}: {ended}", alive=False)

    def _resident_bytes(self) -> int | None:
        """Nothing is resident of the dead; None where the system does not tell."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        except (OSError, IndexError):
            return None
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@final
class Workers:
    """The processes of one pass: a nursery for each thread count, a worker for each contender among `names` in it."""

    def __init__(self, launch: Launch, names: Iterable[str], cores: Sequence[int], pass_index: int) -> None:
        self.launch = launch
        self.names = tuple(dict.fromkeys(names))
        first = pass_index % len(cores)
        self.cores = (*cores[first:], *cores[:first])
        self.pass_index = pass_index
        self.nurseries: dict[int, Nursery] = {}
        self.workers: dict[tuple[str, int], Worker] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for nursery in self.nurseries.values():
            nursery.close()

    def get(self, algorithm: str, threads: int) -> Worker:
        """The contender's worker, started if there is none."""
        if (algorithm, threads) not in self.workers:
            self.workers[algorithm, threads] = self.start(threads).fork(algorithm)
        return self.workers[algorithm, threads]

    def start(self, threads: int) -> Nursery:
        """The nursery for that many threads, which begins to start if there is none."""
        if threads not in self.nurseries:
            self.nurseries[threads] = Nursery(self.launch, self.names, threads, self.cores[:threads], self.pass_index)
        return self.nurseries[threads]

    def drop(self, algorithm: str, threads: int) -> None:
        """Forget a worker that has died; the next cell gets a fresh one."""
        self.workers.pop((algorithm, threads), None)

    def core(self, cell: Cell) -> int | None:
        """The core that all contenders of a single-threaded cell share in this pass."""
        return self.cores[0] if cell.threads == 1 else None


def _parsed(line: bytes) -> dict[str, Any]:
    """A reply; nothing of what is none."""
    try:
        reply = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return reply if isinstance(reply, dict) else {}
