"""A project's commits before the gate: neutral, slower, less accurate, broken; and all that can be asked wrongly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gate.conftest import Project


def results(project: Project) -> dict[str, str]:
    """Algorithm -> verdict, of the newest gate."""
    newest = max(project.root.parent.glob("runs/gate-*"), key=lambda path: path.stat().st_mtime_ns)
    report = json.loads((newest / "gate.json").read_text())
    return {one["algorithm"]: one["result"] for one in report["outcomes"]}


def test_a_neutral_commit_passes(project: Project, tmp_path: Path) -> None:
    project.commit("only words")
    words = ("--against", "HEAD~1", "--junit", tmp_path / "j.xml", "--summary", tmp_path / "s.md")
    done = project.gate("demo.yaml", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert results(project) == {"rows": "same", "taps": "same", "columns": "same"}
    assert "3 same: nothing became slower" in done.stdout
    junit = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert (junit.get("tests"), junit.get("failures"), junit.get("errors")) == ("3", "0", "0")
    assert "3 unchanged" in (tmp_path / "s.md").read_text()
    assert project.checkouts == []


def test_a_slower_commit_fails_with_code_1(project: Project, tmp_path: Path) -> None:
    project.commit("5 % more work in one of them", REPEATED_ROWS=0.05)
    words = ("--against", "HEAD~1", "--junit", tmp_path / "j.xml", "--summary", tmp_path / "s.md")
    done = project.gate("demo.yaml", *words, "--algorithms", "rows")
    assert done.returncode == 1, done.stdout + done.stderr
    assert results(project) == {"rows": "slower"}
    junit = ElementTree.parse(tmp_path / "j.xml").getroot()
    (failure,) = junit.findall("testcase[@name='rows']/failure")
    assert "slower: +" in failure.get("message", "")
    summary = (tmp_path / "s.md").read_text()
    assert "SLOWER" in summary
    assert "| slower | rows |" in summary


def test_a_less_accurate_and_a_broken_commit_fail_with_code_3(project: Project, tmp_path: Path) -> None:
    project.commit("fewer digits", FEWER_DIGITS=True)
    project.commit("not written yet", FEWER_DIGITS=True, RAISES=True)
    done = project.gate("demo.yaml", "--against", "HEAD~2", "--junit", tmp_path / "j.xml")
    assert done.returncode == 3, done.stdout + done.stderr
    found = results(project)
    assert (found["taps"], found["columns"]) == ("less accurate", "broken")
    assert "RuntimeError: not written yet" in done.stdout
    assert "its error grew from" in done.stdout
    junit = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert (junit.get("failures"), junit.get("errors")) == ("1", "1")


def test_uncommitted_changes_are_the_candidate_and_annotations_tell_of_them(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = project.root / "kernels.py"
    kernels.write_text(kernels.read_text().replace("RAISES = False", "RAISES = True"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = project.gate("demo.yaml", "--against", "HEAD", "--algorithms", "columns")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "1 uncommitted files" in done.stdout
    assert "::error title=columns broken::" in done.stdout


def test_a_kernel_that_the_base_lacks_is_new_and_alone_it_is_nothing_to_compare(project: Project) -> None:
    kernels = project.root / "kernels.py"
    text = kernels.read_text()
    kernels.write_text(text[: text.index("@final\nclass Columns")])
    project.git("commit", "--quiet", "--all", "--amend", "--no-edit")
    kernels.write_text(text)
    done = project.gate("demo.yaml", "--against", "HEAD", "--algorithms", "columns")
    assert done.returncode == 5, done.stdout + done.stderr
    assert results(project) == {"columns": "new"}


def test_a_base_that_cannot_be_imported_is_said_so(project: Project) -> None:
    kernels = project.root / "kernels.py"
    text = kernels.read_text()
    kernels.write_text("import a_module_that_is_not_there\n")
    project.git("commit", "--quiet", "--all", "--amend", "--no-edit")
    kernels.write_text(text)
    done = project.gate("demo.yaml", "--against", "HEAD")
    assert done.returncode == 2
    assert "base HEAD: the algorithms cannot be loaded" in done.stderr
    assert "a_module_that_is_not_there" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert project.checkouts == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--against", "nowhere"), "--against nowhere: no such revision; valid: main, HEAD~1"),
        (("--against", "HEAD^{tree}"), "no such revision"),
        (("--against", "--help"), "no such revision"),
        (("--against", "HEAD", "--max-slowdown", "5"), "--max-slowdown: expected a percentage such as 5%"),
        (("--against", "HEAD", "--algorithms", "direct"), "nothing to compare: none of the suite's algorithms"),
        (("--against", "HEAD", "--algorithms", "nothing"), "unknown algorithm 'nothing'"),
    ],
)
def test_bad_input_is_one_line(project: Project, words: tuple[str, ...], told: str) -> None:
    done = project.gate("demo.yaml", *words)
    assert done.returncode == 2, done.stdout
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [("HEAD~1",), ("main^",), ("HEAD^2~3",), ("baseline", "--allow-no-base")])
def test_a_first_commit_has_no_base_and_passes(project: Project, words: tuple[str, ...]) -> None:
    done = project.gate("demo.yaml", "--against", *words, "--junit", "gate.xml", "--summary", "gate.md")
    assert done.returncode == 0, done.stderr
    assert "no base yet" in done.stdout
    assert "no base yet" in (project.root / "gate.md").read_text()
    assert ElementTree.parse(project.root / "gate.xml").getroot().get("tests") == "0"


def test_limits_name_grounds_and_algorithms_that_there_are(project: Project) -> None:
    suite = project.root / "demo.yaml"
    suite.write_text(suite.read_text().replace("3m}", "3m, limits: [{ground: layers, max_slowdown: 9%}]}"))
    done = project.gate("demo.yaml", "--against", "HEAD")
    assert done.returncode == 2
    assert "demo.yaml:5: the suite has no grounds" in done.stderr


def test_a_run_of_another_machine_is_refused(project: Project) -> None:
    words = (
        "run",
        "demo.yaml",
        "--plugin",
        "kernels.py",
        "--algorithms",
        "taps",
        "--quick",
        "--no-report",
        "--out",
        "stored",
    )
    made = subprocess.run([sys.executable, "-m", "convbench", *words], cwd=project.root, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (stored,) = (project.root / "stored").iterdir()
    same = project.gate("demo.yaml", "--against", stored, "--algorithms", "taps", "--budget", "20s")
    assert same.returncode == 5, same.stdout + same.stderr  # two passes are too few to compare
    assert "fewer than five passes" in same.stdout
    info = stored / "run.json"
    told = json.loads(info.read_text())
    info.write_text(json.dumps(told | {"machine": told["machine"] | {"fingerprint": "another"}}))
    done = project.gate("demo.yaml", "--against", stored)
    assert done.returncode == 4
    assert "was measured on another machine" in done.stderr


def test_outside_a_repository_it_says_so(project: Project) -> None:
    (project.root / ".git").rename(project.root / "git")
    done = project.gate("demo.yaml", "--against", "HEAD")
    assert done.returncode == 2
    assert "needs a git working tree" in done.stderr


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_the_checkout_is_cleaned_up_however_it_ends(project: Project, kill: signal.Signals) -> None:
    words = ("demo.yaml", "--against", "HEAD", "--plugin", "kernels.py", "--out", project.root.parent / "runs")
    process = project.start(*words)
    deadline = time.monotonic() + 60
    while not list(project.root.parent.glob("runs/gate-*/candidate/samples.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, kill)
    _, err = process.communicate(timeout=60)
    if kill == signal.SIGINT:
        assert process.returncode == 130
        assert "Traceback" not in err
        assert project.checkouts == []
    else:
        assert len(project.checkouts) == 1
        project.gate("demo.yaml", "--against", "HEAD", "--algorithms", "nothing")
        assert len(project.checkouts) == 1  # it did not get as far
        project.gate("demo.yaml", "--against", "HEAD", "--budget", "1s", "--algorithms", "taps")
        assert project.checkouts == []
