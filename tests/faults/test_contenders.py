"""Whatever a contender does, it costs its cell and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psutil
import pytest

from convbench.result import Block, Status
from faults.conftest import assert_one_line, run_beside_naive
from faults.faulty import CHILDREN
from runs.conftest import only_run

FAILURES = {
    "aborts": (Status.CRASHED, "verify: killed by SIGABRT"),
    "illegal": (Status.CRASHED, "verify: killed by SIGILL"),
    "bus": (Status.CRASHED, "verify: killed by SIGBUS"),
    "arithmetic": (Status.CRASHED, "verify: killed by SIGFPE"),
    "alarmed": (Status.CRASHED, "verify: killed by SIGALRM"),
    "overflow": (Status.CRASHED, "verify: killed by SIGSEGV"),
    "recursive": (Status.CRASHED, "verify: RecursionError: "),
    "greedy": (Status.OUT_OF_MEMORY, "Unable to allocate 8.00 PiB"),
    "quits": (Status.CRASHED, "verify: SystemExit: 3 (faulty.py:"),
    "unplugged": (Status.CRASHED, "verify: "),
    "babbles": (Status.CRASHED, "verify: its process sent what is no reply"),
    "foretells": (Status.CRASHED, "verify: its process sent what is no reply"),
    "exhausted": (Status.CRASHED, "verify: OSError: [Errno 24]"),
    "decorated": (Status.CRASHED, "verify: ValueError: [/nope] ?[2J? [red]xxx"),
    "infinite": (Status.DISAGREED, ""),
    "before": (Status.DISAGREED, "execute wrote outside of its output y"),
    "behind": (Status.DISAGREED, "execute wrote outside of its output y"),
    "behind_later": (Status.DISAGREED, "when timed: execute wrote outside of its output y"),
    "mutates_later": (Status.DISAGREED, "when timed: execute changed its input x"),
    "forks": (Status.PASSED, ""),
    "forks_and_dies": (Status.CRASHED, "verify: killed by SIGKILL"),
    "environment": (Status.PASSED, ""),
    "threads": (Status.PASSED, ""),
    "witness": (Status.PASSED, ""),
    "clock": (Status.CRASHED, "verify: RuntimeError: the clock stepped back"),
    "no_support": (Status.CRASHED, "plan: ZeroDivisionError: division by zero (faulty.py:"),
    "no_plan": (Status.CRASHED, "plan: AttributeError: "),
    "no_model": (Status.CRASHED, "verify: "),
}
HANGS = {
    "stopped": "verify took longer than 3 s",
    "deaf": "verify took longer than 3 s",
    "deadlocked": "verify took longer than 3 s",
    "slow_plan": "plan took longer than 3 s",
}


@pytest.fixture(scope="module")
def children(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the children of contenders leave their numbers."""
    return tmp_path_factory.mktemp("children")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, children: Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    """One run of all who fail."""
    folder = tmp_path_factory.mktemp("failures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CHILDREN, str(children))
        return run_beside_naive(folder, *FAILURES), folder


@pytest.fixture(scope="module")
def blocks(run: tuple[subprocess.CompletedProcess[str], Path]) -> list[Block]:
    """What it left of the first pass."""
    return [block for block in only_run(run[1] / "runs").blocks if block.pass_index == 0]


@pytest.fixture(scope="module")
def hangs(tmp_path_factory: pytest.TempPathFactory) -> list[Block]:
    """Of one run of all who hang, under a short limit."""
    folder = tmp_path_factory.mktemp("hangs")
    done = run_beside_naive(folder, *HANGS, timeout_s=3)
    assert done.returncode == 0, done.stderr
    return [block for block in only_run(folder / "runs").blocks if block.pass_index == 0]


def assert_outcome(blocks: list[Block], name: str, status: Status, reason: str) -> None:
    narrow, wide = (
        next(b for b in blocks if b.algorithm == name and f"{r}@" in b.cell)
        for r in ("r3s3+padding=1", "r5s5+padding=2")
    )
    assert narrow.status is Status.PASSED
    assert narrow.samples_s
    assert wide.status is status, wide.reason
    assert wide.reason.startswith(reason)
    assert bool(wide.samples_s) == (status is Status.PASSED or reason.startswith("when timed"))


@pytest.mark.parametrize("name", FAILURES)
def test_a_fault_has_its_outcome(blocks: list[Block], name: str) -> None:
    assert_outcome(blocks, name, *FAILURES[name])


@pytest.mark.parametrize("name", HANGS)
def test_whoever_hangs_is_ended(hangs: list[Block], name: str) -> None:
    assert_outcome(hangs, name, Status.TIMEOUT, HANGS[name])


def test_who_is_right_beside_them_is_measured(blocks: list[Block], hangs: list[Block]) -> None:
    for found in (blocks, hangs):
        assert_outcome(found, "naive", Status.PASSED, "")


def test_the_run_ends_in_order(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done, _ = run
    assert done.returncode == 3, done.stderr  # some disagreed
    assert "Traceback" not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_a_contenders_children_end_with_it(blocks: list[Block], children: Path) -> None:
    left = [path.name.rpartition("-") for path in children.iterdir()]
    assert {name for name, _, _ in left} == {"forks", "forks_and_dies"}
    for _, _, pid in left:
        assert not alive(int(pid))


def test_the_death_of_a_workers_parent_ends_the_run_and_loses_nothing(tmp_path: Path) -> None:
    done = run_beside_naive(tmp_path, "parricide")
    assert_one_line(done, "the process that workers are forked from is gone", "--resume")
    folder = only_run(tmp_path / "runs")
    assert {(block.algorithm, block.status) for block in folder.blocks} == {
        ("naive", Status.PASSED),
        ("parricide", Status.PASSED),
    }
    assert len({block.cell for block in folder.blocks}) == 1


def alive(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
