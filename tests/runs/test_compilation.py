"""A second start of a run compiles nothing, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Cli
from convbench.store import RunFolder

SUITE = """\
name: box
defaults: {image: 32, kernel: 3, padding: same, filter: box, threads: [1]}
shapes: [{}]
algorithms: [naive, separable]
"""


def test_what_the_first_run_compiles_the_second_finds_on_disk(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault: separable's kernel closes over another one, and was compiled in every process."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    suite = tmp_path / "box.yaml"
    suite.write_text(SUITE)
    first, second = (cli("run", suite, "--quick", "--no-report", "--out", out) for out in ("first", "second"))
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    blocks = {out: RunFolder.open(next((tmp_path / out).iterdir())).blocks for out in ("first", "second")}
    assert sum(block.compiled or 0 for block in blocks["first"]) >= 2
    assert sum(block.compile_s or 0.0 for block in blocks["first"]) > 0
    assert {(block.compiled, block.compile_s) for block in blocks["second"]} == {(0, 0.0)}
    assert ", kept on disk for the next run" in first.stdout.splitlines()[-1]
    assert second.stdout.splitlines()[-1] == "compiled: nothing was compiled: every kernel came from disk"
