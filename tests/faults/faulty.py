"""A third party's algorithms that go wrong in rarer ways than those of the runs' tests, on kernels wider than 3."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import platform
import random
import resource
import signal
import stat
import sys
import tempfile
import threading
import time
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from convbench.algorithm import ConvPlan, ErrorModel, Resources, Unsupported
from convbench.measure import worker
from convbench.spec import ConvSpec

sys.path.append(str(Path(__file__).parent.parent))
from runs.faulty import Shifted  # a plug-in is loaded by its path

Array = Any

CHILDREN = "FAULTS_CHILDREN"
"""The variable that names the folder in which a contender's children leave their numbers."""
LONG_S = 1000.0
ILLEGAL = {"x86_64": b"\x0f\x0b", "aarch64": b"\x00\x00\x00\x00"}
THREADS = 8


@final
class Aborts(Shifted):
    name: ClassVar[str] = "aborts"

    def fault(self, x: Array, y: Array) -> None:
        os.abort()


@final
class Illegal(Shifted):
    """Jumps to an instruction that there is not."""

    name: ClassVar[str] = "illegal"

    def fault(self, x: Array, y: Array) -> None:
        code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code.write(ILLEGAL[platform.machine()])
        ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()


@final
class Bus(Shifted):
    """Reads a mapped file that has been cut off meanwhile."""

    name: ClassVar[str] = "bus"

    def fault(self, x: Array, y: Array) -> None:
        with tempfile.TemporaryFile() as file:
            file.truncate(mmap.PAGESIZE)
            mapped = mmap.mmap(file.fileno(), mmap.PAGESIZE)
            file.truncate(0)
            sys.stderr.write(str(mapped[0]))


@final
class Arithmetic(Shifted):
    name: ClassVar[str] = "arithmetic"

    def fault(self, x: Array, y: Array) -> None:
        os.kill(os.getpid(), signal.SIGFPE)


@final
class Alarmed(Shifted):
    name: ClassVar[str] = "alarmed"

    def fault(self, x: Array, y: Array) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        time.sleep(LONG_S)


@final
class Overflow(Shifted):
    """Fills the stack from C, which calls back into itself."""

    name: ClassVar[str] = "overflow"

    def fault(self, x: Array, y: Array) -> None:
        libc = ctypes.CDLL(None)
        pair = (ctypes.c_int * 2)()

        def deeper(left: int | None, right: int | None) -> int:
            libc.qsort(pair, 2, 4, compare)
            return 0

        compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(deeper)
        sys.setrecursionlimit(10**9)
        deeper(None, None)


@final
class Recursive(Shifted):
    name: ClassVar[str] = "recursive"

    def fault(self, x: Array, y: Array) -> None:
        self.fault(x, y)


@final
class Greedy(Shifted):
    name: ClassVar[str] = "greedy"

    def fault(self, x: Array, y: Array) -> None:
        np.ones(2**50)


@final
class Quits(Shifted):
    name: ClassVar[str] = "quits"

    def fault(self, x: Array, y: Array) -> None:
        sys.exit(3)


@final
class Unplugged(Shifted):
    """Closes every descriptor, its worker's connection among them."""

    name: ClassVar[str] = "unplugged"

    def fault(self, x: Array, y: Array) -> None:
        os.closerange(0, 256)


def tell_the_coordinator(text: bytes) -> None:
    """Write to every socket, its worker's connection among them."""
    for descriptor in range(3, 256):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.write(descriptor, text)


@final
class Babbles(Shifted):
    """Sends what is no reply."""

    name: ClassVar[str] = "babbles"

    def fault(self, x: Array, y: Array) -> None:
        tell_the_coordinator(b"[1, 2\n")


@final
class Foretells(Shifted):
    """Replies before its worker does."""

    name: ClassVar[str] = "foretells"

    def fault(self, x: Array, y: Array) -> None:
        tell_the_coordinator(b'{"ok": {"execute_s": 1e-9}}\n')


@final
class Exhausted(Shifted):
    """Leaves no descriptor to open a file with."""

    name: ClassVar[str] = "exhausted"

    def fault(self, x: Array, y: Array) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


@final
class Decorated(Shifted):
    name: ClassVar[str] = "decorated"

    def fault(self, x: Array, y: Array) -> None:
        raise ValueError("[/nope] \x1b[2J\x00 [red]" + 1000 * "x")


@final
class Infinite(Shifted):
    name: ClassVar[str] = "infinite"

    def fault(self, x: Array, y: Array) -> None:
        y[0, 0, -1, -1] = np.inf


@final
class Before(Shifted):
    name: ClassVar[str] = "before"

    def fault(self, x: Array, y: Array) -> None:
        ctypes.memset(y.ctypes.data - 4, 0, 4)


@final
class Behind(Shifted):
    name: ClassVar[str] = "behind"

    def fault(self, x: Array, y: Array) -> None:
        ctypes.memset(y.ctypes.data + y.nbytes, 0, 4)


class Later(Shifted):
    """Goes wrong in the last of many calls only."""

    calls = 0

    def fault(self, x: Array, y: Array) -> None:
        self.calls += 1
        if self.calls > 2:
            self.trespass(x, y)

    @abstractmethod
    def trespass(self, x: Array, y: Array) -> None:
        """What goes wrong."""


@final
class BehindLater(Later):
    name: ClassVar[str] = "behind_later"

    def trespass(self, x: Array, y: Array) -> None:
        ctypes.memset(y.ctypes.data + y.nbytes, 0, 4)


@final
class MutatesLater(Later):
    """The last bit of the padding's corner: the result is as right as before."""

    name: ClassVar[str] = "mutates_later"

    def trespass(self, x: Array, y: Array) -> None:
        x[0, 0, 0, 0] = np.nextafter(x[0, 0, 0, 0], x.dtype.type(9))


@final
class Mutates(Shifted):
    name: ClassVar[str] = "mutates"

    def fault(self, x: Array, y: Array) -> None:
        x[0, 0, -1, -1] += 1


def leave_child(name: str) -> None:
    """A child that would outlive everything, and its number."""
    child = os.fork()
    if not child:
        time.sleep(LONG_S)
        os._exit(0)
    (Path(os.environ[CHILDREN]) / f"{name}-{child}").touch()


@final
class Forks(Shifted):
    name: ClassVar[str] = "forks"
    forked: ClassVar[bool] = False

    def fault(self, x: Array, y: Array) -> None:
        if not self.forked:
            leave_child(self.name)
        type(self).forked = True


@final
class ForksAndDies(Shifted):
    """Its child keeps the worker's connection open."""

    name: ClassVar[str] = "forks_and_dies"

    def fault(self, x: Array, y: Array) -> None:
        leave_child(self.name)
        os.kill(os.getpid(), signal.SIGKILL)


@final
class Environment(Shifted):
    """Changes whatever a process has that is not memory."""

    name: ClassVar[str] = "environment"

    def fault(self, x: Array, y: Array) -> None:
        os.environ["OMP_NUM_THREADS"] = os.environ["PATH"] = "64"
        os.chdir("/")
        os.umask(0o777)
        np.seterr(all="raise")
        random.seed(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.stdout = sys.stderr = None  # type: ignore[assignment]


@final
class Threads(Shifted):
    """Starts threads of its own, which find only the cores that the cell grants."""

    name: ClassVar[str] = "threads"

    def fault(self, x: Array, y: Array) -> None:
        cores: list[int] = []
        helpers = [threading.Thread(target=lambda: cores.extend(os.sched_getaffinity(0))) for _ in range(THREADS)]
        for helper in helpers:
            helper.start()
        for helper in helpers:
            helper.join()
        if len(set(cores)) != 1:
            raise RuntimeError(f"a cell of one thread has the cores {set(cores)}")


@final
class Witness(Shifted):
    """Is right, and raises where another contender's changes reach it."""

    name: ClassVar[str] = "witness"

    def fault(self, x: Array, y: Array) -> None:
        mask = os.umask(0o22)
        os.umask(mask)
        handler = signal.getsignal(signal.SIGTERM)
        seen = (os.environ["OMP_NUM_THREADS"], os.getcwd() == "/", mask == 0o777, np.geterr()["divide"], handler)
        if seen != ("1", False, False, "warn", signal.SIG_DFL) or threading.active_count() != 1:
            raise RuntimeError(f"not as it was: {seen}, {threading.active_count()} threads")


@final
class Clock(Shifted):
    """Turns the worker's clock backwards."""

    name: ClassVar[str] = "clock"

    def fault(self, x: Array, y: Array) -> None:
        worker.perf_counter_ns = lambda: -time.perf_counter_ns()  # type: ignore[assignment]


@final
class NoSupport(Shifted):
    name: ClassVar[str] = "no_support"

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        return None if spec.r == 3 else Unsupported(str(1 / 0))

    def fault(self, x: Array, y: Array) -> None:
        """Never called."""


@final
class NoPlan(Shifted):
    name: ClassVar[str] = "no_plan"

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        return super().plan(spec, resources) if spec.r == 3 else None  # type: ignore[return-value]

    def fault(self, x: Array, y: Array) -> None:
        """Never called."""


@final
class NoModel(Shifted):
    """Its bound is nothing that JSON can say."""

    name: ClassVar[str] = "no_model"

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        return super().error_model(spec) if spec.r == 3 else ErrorModel("normwise", {1.0}, "a set")  # type: ignore[arg-type]

    def fault(self, x: Array, y: Array) -> None:
        """Nothing."""


@final
class Stopped(Shifted):
    name: ClassVar[str] = "stopped"

    def fault(self, x: Array, y: Array) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)


@final
class Deaf(Shifted):
    """Blocks every signal that can be blocked, and sleeps."""

    name: ClassVar[str] = "deaf"

    def fault(self, x: Array, y: Array) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        time.sleep(LONG_S)


@final
class Deadlocked(Shifted):
    name: ClassVar[str] = "deadlocked"

    def fault(self, x: Array, y: Array) -> None:
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()


@final
class SlowPlan(Shifted):
    name: ClassVar[str] = "slow_plan"

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        if spec.r > 3:
            time.sleep(LONG_S)
        return super().plan(spec, resources)

    def fault(self, x: Array, y: Array) -> None:
        """Never called."""


@final
class Parricide(Shifted):
    """Kills the process that its worker was forked from."""

    name: ClassVar[str] = "parricide"

    def fault(self, x: Array, y: Array) -> None:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(LONG_S)
