"""The gate tried on itself, end to end, on one small workload; and its table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from convbench import selftest
from convbench.analysis.outcomes import Result
from convbench.measure.extra_work import Workload
from convbench.spec import ConvSpec


def test_extra_work_is_found_and_none_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tiny = Workload("tiny direct sums", "direct", ConvSpec(h=64, w=64, r=5, s=5), 1, 50)
    assert tiny in selftest.workloads(1)  # the processes that it starts know only those
    monkeypatch.setattr(selftest, "workloads", lambda _cores: (tiny,))
    monkeypatch.setattr(selftest, "TWINS", 1)
    found = selftest.selftest(tmp_path, 1, None, (0.0, 0.2), False, lambda _index, _progress: None)
    assert {one.share for one in found} == {0.0, 0.2}
    (slowed,) = (one for one in found if one.share)
    assert slowed.result in (Result.SLOWER, Result.INCONCLUSIVE)  # the latter under load only
    assert all(one.result is not Result.SLOWER for one in found if not one.share)
    (folder,) = tmp_path.iterdir()
    assert selftest.read(folder) == found
    done = call("--show", folder)
    assert done.returncode == 0, done.stderr
    assert "none\t0 of 1" in done.stdout
    assert "pyperf's rule" in done.stdout


def call(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "convbench", "selftest", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--slowdowns", "7"), "--slowdowns: '7' is not among those prepared: 0, 2, 3, 5, 10, 20"),
        (("--budget", "soon"), "--budget: expected a duration"),
        (("--show", "nowhere"), "nowhere: no selftest's folder"),
    ],
)
def test_bad_input_is_one_line(words: tuple[str, ...], told: str) -> None:
    done = call(*words)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
