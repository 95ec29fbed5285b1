"""What happens to the run itself: the clock, the keyboard, the reader of its output, a plug-in's import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from conftest import call_convbench
from convbench.result import Status
from faults.conftest import assert_one_line, write_suite
from runs.conftest import FAULTY, only_run
from runs.test_interruption import started, wait_for_journal

BACKWARDS = Path(__file__).with_name("backwards")
IMPATIENCE_S = 0.02


def test_ctrl_c_again_and_again_changes_nothing(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    suite.write_text(suite.read_text().replace("image: 32", "image: {from: 32, to: 232, step: 4}"))
    running = started(suite, tmp_path / "out")
    wait_for_journal(tmp_path / "out")
    family = psutil.Process(running.pid).children(recursive=True)
    while running.poll() is None:
        running.send_signal(signal.SIGINT)
        time.sleep(IMPATIENCE_S)
    _, complaint = running.communicate()
    assert running.returncode == 130
    assert len(complaint.splitlines()) == 1
    assert "convbench run --resume" in complaint
    folder = only_run(tmp_path / "out")
    assert folder.blocks
    assert (folder.path / "results.csv").exists()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_a_wall_clock_that_goes_back_changes_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(BACKWARDS), os.environ.get("PYTHONPATH", ""))))
    begun = time.monotonic()
    done = call_convbench(tmp_path, "run", write_suite(tmp_path), "--quick", "--no-report", "--budget", "60s")
    length_s = time.monotonic() - begun
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    folder = only_run(tmp_path / "runs")
    assert datetime.fromisoformat(folder.info.started_utc) < datetime.now(UTC) - timedelta(hours=1)
    assert 0 < folder.info.options["useful_s"] < folder.info.options["wall_s"] < length_s
    for block in folder.blocks:
        assert block.status is Status.PASSED
        assert all(sample > 0 for sample in block.samples_s)


def test_a_reader_that_leaves_is_no_fault(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "convbench", "list"], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(writing)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1


def test_what_a_plug_in_prints_at_import_is_not_in_the_output(tmp_path: Path) -> None:
    noisy = tmp_path / "noisy.py"
    noisy.write_text(FAULTY.read_text() + "\nprint('hello')\n")
    done = call_convbench(tmp_path, "list", "--plugin", noisy)
    assert done.returncode == 0, done.stderr
    assert "hello" in done.stderr
    assert "hello" not in done.stdout


def test_a_plug_in_that_ends_the_program_at_import_is_one_line(tmp_path: Path) -> None:
    leaver = tmp_path / "leaver.py"
    leaver.write_text("import sys\nsys.exit(0)\n")
    assert_one_line(call_convbench(tmp_path, "list", "--plugin", leaver), "leaver.py:2: SystemExit: 0")
