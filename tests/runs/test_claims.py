"""Claims from the command line: a run closes with verdicts, and a page is made of runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Cli
from runs.conftest import only_run

SUITE = """\
name: tiny
description: What is said of two.
defaults: {padding: same, threads: [1]}
sweep: {image: 64, kernel: [3, 7]}
algorithms: [naive, direct, im2col]
claims:
  - says: Loops in Python's stead take longer.
    source: everyone
    ratio: {of: naive, over: direct}
    at_least: 1.05
  - says: Columns take k² times the image.
    ratio: {of: {algorithm: im2col, quantity: workspace, per: image, at: {kernel: 7}}}
    at_least: 40
    at_most: 60
  - says: im2col is a thousand times as fast.
    ratio: {of: naive, over: im2col}
    at_least: 1000
passes: 3
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE)
    return path


def test_suites_are_run_and_their_claims_told_and_written_down(cli: Cli, suite: Path, tmp_path: Path) -> None:
    done = cli("claims", suite, "--budget", "30s", "--out", "claims.md")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if line.startswith("claim: ")]
    assert len(told) == 3
    assert "“Columns take k² times the image.” – the claim holds here" in told[1]
    assert "“im2col is a thousand times as fast.” – the claim does not hold here" in told[2]
    text = (tmp_path / "claims.md").read_text()
    assert text.startswith("# What people say, measured\n\nOf 3 claims, ")
    folder = only_run(tmp_path / "runs")
    assert f"[runs/{folder.path.name}](runs/{folder.path.name})" in text
    assert folder.info.options["budget_s"] == 30
    assert "## Claims" in (folder.path / "summary.md").read_text()
    # Every contender is there in every pass, whoever leads.
    timed = {(block.algorithm, block.pass_index) for block in folder.blocks if block.samples_s}
    assert timed == {(name, index) for name in folder.info.algorithms for index in range(3)}

    again = cli("claims", folder.path, "--out", "again.md")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again.md").read_text() == text


def test_a_claim_about_the_matrix_product_has_it_measured_however_short_the_run(cli: Cli, tmp_path: Path) -> None:
    product = "ratio: {of: {quantity: matrix_product}, over: im2col}\n    at_most: 1.5\n"
    (tmp_path / "product.yaml").write_text(SUITE[: SUITE.index("  - says")] + f"  - says: A product.\n    {product}")
    done = cli("run", "product.yaml", "--quick", "--no-report")
    assert done.returncode == 0, done.stderr
    assert "ceilings" in only_run(tmp_path / "runs").info.machine
    assert "no pass has a figure" not in done.stdout


def test_mistakes_are_one_line_before_anything_runs(cli: Cli, suite: Path, tmp_path: Path) -> None:
    suite.write_text(SUITE.replace("over: direct", "over: dirct"))
    for words, problem in (
        ((suite,), "tiny.yaml:9: unknown algorithm 'dirct'; did you mean 'direct'? valid: "),
        (("smoke",), "smoke: it claims nothing; valid: claims/"),
        (("smoke.yml",), "smoke.yml:1: cannot be read: No such file or directory"),
        ((tmp_path,), "not a run's folder"),
        (("claims/pointwise", "--budget", "soon"), "--budget: expected a duration"),
    ):
        done = cli("claims", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert problem in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
