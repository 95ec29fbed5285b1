"""Runs through the command line, as a user makes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from convbench.store import RunFolder

FAULTY = Path(__file__).with_name("faulty.py")
SUITE = """\
name: tiny
defaults: {padding: same, threads: [1]}
sweep:
  image: [32, 48]
  kernel: [3, 5, 7]
algorithms: [naive, direct]
crossovers:
  - {axis: kernel, from: naive, to: direct}
passes: 2
timeout: 20s
"""


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """The tiny suite's kernels on disk before anything has a time limit: on a fresh clone they compile first."""
    words = ["verify", "n1c1h32w32k1r3s3+padding=1", "--algorithms", "naive,direct"]
    subprocess.run([sys.executable, "-m", "convbench", *words], check=True, capture_output=True)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A suite of six cells."""
    return write_tiny(tmp_path)


def write_tiny(folder: Path) -> Path:
    """A suite of six cells, in a folder."""
    path = folder / "tiny.yaml"
    path.write_text(SUITE)
    return path


def only_run(folder: Path) -> RunFolder:
    """The one run in a results folder."""
    (path,) = folder.iterdir()
    return RunFolder.open(path)
