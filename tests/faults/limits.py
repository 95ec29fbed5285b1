"""What is taken from a child before it starts convbench: room on disk, and the right to pass over permissions."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PR_CAPBSET_DROP = 24
OVERRIDES = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root reads and writes whatever it likes."""


def file_size(most_bytes: int) -> Callable[[], None]:
    """No file can grow beyond it: a write gets EFBIG, as on a full disk it gets ENOSPC."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


def as_a_plain_user() -> None:
    """Permissions count for root, too, from the next exec on."""
    libc = ctypes.CDLL(None)
    for capability in OVERRIDES:
        libc.prctl(PR_CAPBSET_DROP, capability)


def call_limited(folder: Path, limit: Callable[[], None], *words: object) -> subprocess.CompletedProcess[str]:
    """`convbench …` in a folder, under a limit."""
    return subprocess.run(
        [sys.executable, "-m", "convbench", *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=limit,
        env={**os.environ, "COLUMNS": "200"},
    )
