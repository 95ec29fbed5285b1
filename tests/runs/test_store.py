"""Runs that an older convbench left behind."""

from __future__ import annotations

import json
from pathlib import Path

from convbench.report.folder import write_report
from convbench.store import SCHEMA_VERSION, RunFolder

GOLDEN = Path(__file__).parent.parent / "golden"


def test_what_a_run_adds_to_its_facts_is_kept_as_it_is(tmp_path: Path) -> None:
    ceiling = {"threads": 1, "multiply_add_flops_per_s": 1e10, "copy_bytes_per_s": 1e9, "device": "cpu"}
    machine = {"ceilings": [ceiling], "caches": {"L1": 1}, "memory_bytes": 2**33}
    info = RunFolder.open(GOLDEN / "run_v1").info
    run = RunFolder.begin(tmp_path, info.model_copy(update={"machine": machine, "options": {"wall_s": 3, "more": [1]}}))
    again = RunFolder.open(run.path).info
    assert again.machine == machine
    assert again.options == {"wall_s": 3, "more": [1]}


def test_a_run_of_version_1_reads_as_one_of_today(tmp_path: Path) -> None:
    folder = GOLDEN / "run_v1"
    assert json.loads((folder / "run.json").read_text())["schema_version"] == 1
    run = RunFolder.open(folder)
    assert run.info.schema_version == SCHEMA_VERSION
    assert run.info.versus is None
    assert {cell.ground for cell in run.info.cells} == {""}
    assert {(block.status, block.compiled) for block in run.blocks} == {("passed", None)}
    assert all(block.stages_s == {} for block in run.blocks)
    assert len(run.blocks) == 4
    write_report(tmp_path, run.info, run.blocks)
    assert "compiled:" not in (tmp_path / "summary.md").read_text()
