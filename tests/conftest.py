"""Hypothesis runs the same examples every time: a red suite means a changed program, not a new draw."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from order import rank

Cli = Callable[..., subprocess.CompletedProcess[str]]

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("repeatable")


# Shells start what runs in the background deaf to Ctrl-C, and children inherit that; the tests' have to hear it.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

M_MMAP_THRESHOLD = -3
if sys.platform.startswith("linux"):
    # Large blocks always from the system: glibc would begin to keep them, and tests that count page faults see none.
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 128 * 1024)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Two processes, each of which takes one scope of tests after another."""
    from scopes import Scheduler  # needs pytest-xdist

    return Scheduler(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long scopes first: at the end, neither process is to wait for the other."""
    items.sort(key=lambda item: rank(item.nodeid))


def call_convbench(folder: Path, *words: object, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """`convbench run …` in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "convbench", *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**os.environ, "COLUMNS": "200"},
    )


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """`cli("run", …)` in an empty folder."""
    return partial(call_convbench, tmp_path)
