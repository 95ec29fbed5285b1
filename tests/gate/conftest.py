"""A project of three kernels in one file, under git, whose commits the tests write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KERNELS = Path(__file__).with_name("kernels.py").read_text()
AUTHOR = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
"""For machines on which nobody has told git a name."""
SUITE = """\
name: demo
shapes: [n1c1h400w40k1r3s3]
algorithms: [rows, taps, columns]
timeout: 20s
gate: {cell_budget: 3m}
"""


class Project:
    """A repository in a folder of its own, and convbench started in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root.parent / "home"
        root.mkdir()
        self.git("init", "--quiet", "--initial-branch", "main")
        (root / "demo.yaml").write_text(SUITE)
        self.commit("three kernels")

    def commit(self, message: str, **settings: object) -> str:
        """Write the kernels with some of their parameters set, and commit all there is."""
        text = KERNELS
        for name, value in settings.items():
            line = next(line for line in text.splitlines() if line.startswith(f"{name} = "))
            text = text.replace(line, f"{name} = {value!r}")
        (self.root / "kernels.py").write_text(text)
        (self.root / "NOTES").write_text(message)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=self.root, check=True, capture_output=True, text=True, env={**os.environ, **AUTHOR}
        )
        return done.stdout.strip()

    def start(self, *words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "convbench", "gate", *map(str, words)],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "200", "XDG_CACHE_HOME": str(self.home)},
        )

    def gate(self, *words: object, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """`convbench gate …` with the project's kernels."""
        process = self.start(*words, "--plugin", "kernels.py", "--out", self.root.parent / "runs")
        out, err = process.communicate(timeout=timeout_s)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @property
    def checkouts(self) -> list[Path]:
        """Working trees beside the project's own, as git and as the disk see them."""
        known = self.git("worktree", "list", "--porcelain").count("worktree ") - 1
        found = [path for path in self.home.glob("convbench/checkouts/*/*") if path.is_dir() and path.name != "kernels"]
        assert known == len(found)
        return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")
