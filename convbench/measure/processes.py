"""How a run's processes end: none outlives the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def die_with_parent(by: signal.Signals = signal.SIGKILL) -> None:
    """However the parent dies, kill -9 included, this process gets a signal: the default ends even an endless loop."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)


def lead_group(pid: int = 0) -> None:
    """Give a process, or this one, a group of its own, in which whatever it starts will be, too."""
    with suppress(OSError):  # it has one, or is gone
        os.setpgid(pid, pid)


def kill_group(pid: int) -> None:
    """End a worker that has not been reaped, whatever it is doing, and all that it has started and not let go."""
    with suppress(ProcessLookupError, PermissionError):  # the latter is what macOS says of a zombie
        os.killpg(pid, signal.SIGKILL)
