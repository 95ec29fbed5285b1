"""However a run ends, what was measured is kept, and resuming completes it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from conftest import Cli
from convbench.result import Status
from runs.conftest import only_run

MOMENTS = 8


def started(tiny: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    words = ["run", str(tiny), "--quick", "--no-report", "--out", str(out), *more]
    return subprocess.Popen(
        [sys.executable, "-m", "convbench", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def rows_of(out: Path) -> set[tuple[int, str, str, Status]]:
    blocks = only_run(out).blocks
    return {(block.pass_index, block.cell, block.algorithm, block.status) for block in blocks if block.pass_index == 0}


def test_ctrl_c_keeps_everything_measured(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    tiny.write_text(tiny.read_text().replace("image: [32, 48]", "image: {from: 32, to: 232, step: 4}"))
    running = started(tiny, tmp_path / "out")
    wait_for_journal(tmp_path / "out")
    running.send_signal(signal.SIGINT)
    _, complaint = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "convbench run --resume" in complaint
    assert "Traceback" not in complaint
    folder = only_run(tmp_path / "out")
    assert folder.blocks
    assert (folder.path / "results.csv").exists()


def test_killed_at_random_moments_and_resumed_it_has_the_same_rows(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    whole = started(tiny, tmp_path / "whole")
    begun = time.monotonic()
    whole.communicate(timeout=60)
    length_s = time.monotonic() - begun
    expected = rows_of(tmp_path / "whole")
    assert len(expected) == 6 * 2
    chance = random.Random(2026)

    def kill_and_resume(moment: tuple[int, float]) -> None:
        number, share = moment
        out = tmp_path / f"killed-{number}"
        running = started(tiny, out)
        time.sleep(share * length_s)
        running.kill()
        running.communicate()
        if not out.exists() or not any((path / "run.json").exists() for path in out.iterdir()):
            return  # killed before the run began: there is nothing to lose
        resumed = cli("run", "--resume", next(out.iterdir()), "--no-report")
        assert resumed.returncode == 0, resumed.stderr
        assert rows_of(out) == expected

    moments = [(number, chance.uniform(0.3, 1.0)) for number in range(MOMENTS)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(kill_and_resume, moments))


def test_a_torn_journal_loses_one_line(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    assert cli("run", tiny, "--quick", "--no-report", "--out", tmp_path / "out").returncode == 0
    before = rows_of(tmp_path / "out")
    journal = only_run(tmp_path / "out").path / "samples.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:7]) + lines[7][:40])
    assert len(only_run(tmp_path / "out").blocks) == 7
    assert cli("run", "--resume", journal.parent, "--no-report").returncode == 0
    assert rows_of(tmp_path / "out") == before


def test_nothing_outlives_a_killed_coordinator(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    tiny.write_text(tiny.read_text().replace("image: [32, 48]", "image: {from: 32, to: 232, step: 4}"))
    running = started(tiny, tmp_path / "out")
    wait_for_journal(tmp_path / "out")
    family = psutil.Process(running.pid).children(recursive=True)
    assert len(family) >= 3  # a nursery and two workers
    running.kill()
    running.communicate()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    # What it left in memory, and what it might have: the next run removes both, be it this one or another test's.
    (Path("/dev/shm") / f"convbench-{running.pid}-left").mkdir()
    assert cli("verify", "n1c1h8w8k1r3s3", "--algorithms", "naive").returncode == 0
    assert not [folder for place in ("/dev/shm", "/tmp") for folder in Path(place).glob(f"convbench-{running.pid}-*")]


def wait_for_journal(out: Path, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if out.exists() and any(path.stat().st_size for path in out.glob("*/samples.jsonl")):
            return
        time.sleep(0.02)
    pytest.fail("the run measured nothing")
