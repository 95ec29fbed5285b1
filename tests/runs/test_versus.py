"""A suite that compares two sides, from the command line to its files."""

from __future__ import annotations

import csv
from pathlib import Path

from conftest import Cli
from runs.conftest import FAULTY, only_run

SIDES = """\
defaults: {padding: same, threads: [1], ground: small}
sweep: {image: 32, kernel: [3, 5]}
shapes: [{name: largest, image: 40, kernel: 7, ground: large}]
algorithms: [naive, direct]
versus:
  ours: direct
  theirs: naive
  targets: {ground: small, at_least: 1000}
passes: 2
"""


def test_a_run_closes_with_ours_against_theirs(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "sides.yaml").write_text(SIDES)
    done = cli("run", "sides.yaml", "--quick")
    assert done.returncode == 0, done.stderr
    closing = [line for line in done.stdout.splitlines() if line.startswith("ours against theirs: ")]
    assert [line.split(": ")[1] for line in closing] == ["small, 1 thread", "large, 1 thread"]
    assert "direct against naive; every cell ≥ 1000×: " in closing[0]
    assert "every cell" not in closing[1]
    folder = only_run(tmp_path / "runs")
    assert {block.algorithm for block in folder.blocks if block.pass_index == 1} == {"direct", "naive"}
    with (folder.path / "versus.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["ground"], row["ours"], row["theirs"]) for row in rows] == [
        ("small", "direct", "naive"),
        ("small", "direct", "naive"),
        ("large", "direct", "naive"),
    ]
    assert "Ours against theirs" in (folder.path / "report.html").read_text()


def test_a_plug_in_is_one_of_ours_unless_the_suite_says_who_is(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "open.yaml").write_text(SIDES.replace("  ours: direct\n  theirs: naive\n", ""))
    done = cli("run", "open.yaml", "--quick", "--no-report", "--plugin", FAULTY, "--algorithms", "direct,right")
    assert done.returncode == 0, done.stderr
    versus = only_run(tmp_path / "runs").info.versus
    assert versus is not None
    assert (versus.ours, versus.theirs) == (("direct", "right"), ())
    assert "ours against theirs: small, 1 thread: 0 cells, 2 cells without theirs" in done.stdout


def test_sides_that_overlap_are_refused_before_anything_runs(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "both.yaml").write_text(SIDES.replace("theirs: naive", "theirs: {tag: cpu}"))
    done = cli("run", "both.yaml")
    assert done.returncode == 2
    assert (
        done.stderr.strip()
        == "convbench: both.yaml:5: versus: direct is on both sides; tell them apart, as with not: peer"
    )
    assert not (tmp_path / "runs").exists()
