"""The gate inside another project's pytest."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gate.conftest import Project


def run_pytest(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "convbench.pytest_plugin", *words]
    return subprocess.run(
        command,
        cwd=project.root,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "XDG_CACHE_HOME": str(project.home), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )


def test_a_test_for_each_contender(project: Project) -> None:
    project.commit("not written yet", RAISES=True)
    with (project.root / "demo.yaml").open("a") as suite:
        suite.write("budget: 12s\n")  # the others may stay undecided, and are skipped then
    done = run_pytest(project, "-rA", "--convbench", "demo.yaml", "--convbench-plugin", "kernels.py")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed" in done.stdout
    assert "rows broken" not in done.stdout
    assert "columns broken" in done.stdout
    assert "RuntimeError: not written yet" in done.stdout


def test_the_fixture_fails_its_test(project: Project) -> None:
    project.commit("not written yet", RAISES=True)
    (project.root / "test_speed.py").write_text(
        "from pathlib import Path\n"
        "def test_speed(convbench_gate):\n"
        "    convbench_gate('n1c1h400w40k1r3s3', 'HEAD~1', plugins=(Path('kernels.py'),), algorithms=('columns',))\n"
    )
    done = run_pytest(project, "test_speed.py")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "AssertionError: columns broken" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--convbench", "nothing"), "unknown suite 'nothing'"),
        (("--convbench", "demo.yaml"), "unknown algorithm 'rows'"),
    ],
)
def test_bad_input_is_a_usage_error(project: Project, words: tuple[str, ...], told: str) -> None:
    done = run_pytest(project, *words)
    assert done.returncode == 4
    assert told in done.stderr
