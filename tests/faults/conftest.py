"""Runs of a suite of two cells: in the first nobody goes wrong, in the second everybody who can."""

from __future__ import annotations

import subprocess
from pathlib import Path

from conftest import call_convbench
from convbench.store import RunFolder
from runs.conftest import compiled, only_run  # noqa: F401  (compiled: the kernels, before anything has a time limit)

FAULTY = Path(__file__).with_name("faulty.py")


def write_suite(folder: Path, algorithms: str = "naive", timeout_s: float = 30) -> Path:
    """The suite, in a folder."""
    path = folder / "pair.yaml"
    path.write_text(
        "name: pair\n"
        "defaults: {padding: same, threads: [1]}\n"
        "sweep: {image: 32, kernel: [3, 5]}\n"
        f"algorithms: [{algorithms}]\n"
        "passes: 2\n"
        f"timeout: {timeout_s}s\n"
    )
    return path


def run_beside_naive(folder: Path, *names: str, timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
    """A quick run of faulty contenders beside one that is right."""
    words = ("--plugin", FAULTY, "--algorithms", ",".join(("naive", *names)), "--quick", "--no-report")
    return call_convbench(folder, "run", write_suite(folder, timeout_s=timeout_s), *words)


def whole_run(folder: Path) -> RunFolder:
    """A quick run of one that is right."""
    done = call_convbench(folder, "run", write_suite(folder), "--quick", "--no-report")
    assert done.returncode == 0, done.stderr
    return only_run(folder / "runs")


def assert_one_line(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Bad input's exit code, one line that holds the parts, and no traceback."""
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for part in parts:
        assert part in done.stderr
