"""Hypothesis runs the same examples every time: a red suite means a changed program, not a new draw."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests are dealt out to two processes; those that start runs of their own go one after another in one of them.

    They come first: they pin their workers to cores, and so would wait for each other at the end, beside an idle core.
    """
    for item in items:
        if {"runs", "gate"} & set(item.path.parent.parts):
            item.add_marker(pytest.mark.xdist_group("runs"))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """`cli("run", …)` in an empty folder."""

    def call(*words: object, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "convbench", *map(str, words)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, "COLUMNS": "200"},
        )

    return call
