"""A run times the stages of whoever tells them, after all else, and outlives whoever fails over it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from conftest import Cli
from convbench.result import Status
from runs.conftest import only_run

PLUGIN = Path(__file__).with_name("staged.py")
SPEC = "n1c1h64w64k1r1s1"


def test_stages_are_in_the_journal_and_in_the_table(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", SPEC, "--plugin", PLUGIN, "--algorithms", "tells,naive", "--quick")
    assert done.returncode == 0, done.stderr
    folder = only_run(tmp_path / "runs")
    for block in folder.blocks:
        assert list(block.stages_s) == (["copy", "scale"] if block.algorithm == "tells" else [])
        assert all(len(times) == 7 and min(times) > 0 for times in block.stages_s.values())
    with (folder.path / "results.csv").open() as stream:
        stages = {row["algorithm"]: row["stages"] for row in csv.DictReader(stream)}
    assert stages["naive"] == ""
    assert list(json.loads(stages["tells"])) == ["copy", "scale"]
    assert "Stages inside execute" in (folder.path / "report.html").read_text()


def test_whoever_fails_in_its_stages_has_failed(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", SPEC, "--plugin", PLUGIN, "--algorithms", "dies,stumbles,tells", "--quick", "--no-report")
    assert done.returncode == 0, done.stderr
    for block in only_run(tmp_path / "runs").blocks:
        reasons = {
            "tells": "",
            "dies": "stages: killed by SIGKILL",
            "stumbles": "stages: ZeroDivisionError: on purpose",
        }
        assert block.status is (Status.PASSED if block.algorithm == "tells" else Status.CRASHED)
        assert block.reason.startswith(reasons[block.algorithm])
        assert not block.stages_s or block.algorithm == "tells"
