"""Shards, and runs of several machines, become one run."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from conftest import Cli, call_convbench
from convbench.analysis.machines import by_machine
from convbench.store import RunFolder
from runs.conftest import only_run, write_tiny


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Both halves of the tiny suite."""
    base = tmp_path_factory.mktemp("shards")
    suite = write_tiny(base)
    for number in (1, 2):
        done = call_convbench(
            base, "run", suite, "--quick", "--no-report", "--shard", f"{number}/2", "--out", base / str(number)
        )
        assert done.returncode == 0, done.stderr
    return [only_run(base / str(number)).path for number in (1, 2)]


def elsewhere(folder: Path, to: Path) -> Path:
    """The same run as another machine would have left it."""
    to.mkdir()
    info = json.loads((folder / "run.json").read_text())
    info["machine"] |= {"fingerprint": "0123456789ab", "cpu": "Another <b>processor</b>"}
    (to / "run.json").write_text(json.dumps(info))
    (to / "samples.jsonl").write_bytes((folder / "samples.jsonl").read_bytes())
    return to


def merged(cli: Cli, out: Path, *words: object) -> RunFolder:
    done = cli("merge", *words, "--no-report", "--out", out)
    assert done.returncode == 0, done.stderr
    return only_run(out)


def test_shards_become_the_whole_in_its_order(cli: Cli, shards: list[Path], tmp_path: Path) -> None:
    apart = [RunFolder.open(path) for path in shards]
    assert [len(one.info.cells) for one in apart] == [3, 3]
    found = merged(cli, tmp_path / "out", *reversed(shards))
    extents = [(cell.spec.h, cell.spec.r) for cell in found.info.cells]
    assert extents == [(image, kernel) for image in (32, 48) for kernel in (3, 5, 7)]
    assert sorted(map(repr, found.blocks)) == sorted(repr(block) for one in apart for block in one.blocks)
    assert "shard" not in found.info.options


def test_passes_made_twice_are_more_passes(cli: Cli, shards: list[Path], tmp_path: Path) -> None:
    once = RunFolder.open(shards[0])
    found = merged(cli, tmp_path / "out", shards[0], shards[0])
    assert len(found.blocks) == 2 * len(once.blocks)
    passes = {block.pass_index for block in once.blocks}
    assert {block.pass_index for block in found.blocks} == passes | {1 + max(passes) + one for one in passes}


def test_machines_stay_apart_unless_they_are_to_be_pooled(cli: Cli, shards: list[Path], tmp_path: Path) -> None:
    other = elsewhere(shards[0], tmp_path / "other")
    done = cli("merge", shards[0], other, "--out", tmp_path / "apart")
    assert done.returncode == 0, done.stderr
    found = only_run(tmp_path / "apart")
    here, there = by_machine(found.info, found.blocks)
    assert [block.model_copy(update={"machine": ""}) for block in found.blocks] == [*here.blocks, *there.blocks]
    assert there.fingerprint == "0123456789ab"
    with (found.path / "results.csv").open() as stream:
        counts = Counter(row["machine"] for row in csv.DictReader(stream))
    assert counts == {here.fingerprint: 6, there.fingerprint: 6}
    page = (found.path / "report.html").read_text()
    assert "Another &lt;b&gt;processor&lt;/b&gt;" in page
    assert "<b>processor" not in page
    assert (found.path / "report-machine-2.html").exists()

    pooled = merged(cli, tmp_path / "pooled", found.path, "--pool")
    assert len(by_machine(pooled.info, pooled.blocks)) == 1
    assert {block.machine for block in pooled.blocks} == {""}
    assert len({block.pass_index for block in pooled.blocks}) == 2 * len({one.pass_index for one in here.blocks})
    assert "2 machines are taken together" in " ".join(pooled.info.notes)


def test_what_compares_runs_never_mixes_machines(cli: Cli, shards: list[Path], tmp_path: Path) -> None:
    other = elsewhere(shards[0], tmp_path / "other")
    found = merged(cli, tmp_path / "runs", shards[0], other)
    for words in (("compare", found.path, shards[0]), ("gate", tmp_path / "tiny.yaml", "--against", found.path)):
        write_tiny(tmp_path)
        done = cli(*words)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith(f"convbench: {found.path}: was measured by 2 machines")
    merged(cli, tmp_path / "runs" / "again", found.path)
    done = cli("history", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("12 trends over 2 runs")  # of two machines, six each


def test_what_does_not_belong_together_is_refused(cli: Cli, shards: list[Path], tmp_path: Path) -> None:
    other = elsewhere(shards[1], tmp_path / "other")
    info = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps(info | {"suite_sha256": "f00"}))
    done = cli("merge", shards[0], other, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith(f"convbench: {other}: another suite's text than {shards[0]} has")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("word", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_a_shard_that_is_none_is_refused(cli: Cli, word: str) -> None:
    done = cli("run", "smoke", "--shard", word)
    assert done.returncode == 2
    assert f"--shard: '{word}' is no part" in done.stderr
