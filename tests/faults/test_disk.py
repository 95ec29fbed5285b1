"""A disk that is full or read-only: one line, exit code 2, and what was there before stays readable."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import call_convbench
from convbench.result import Status
from convbench.store import RunFolder
from faults.conftest import assert_one_line, whole_run, write_suite
from faults.limits import as_a_plain_user, call_limited, file_size
from runs.conftest import only_run

LARGE_BYTES = 100_000
MOUNT = ("unshare", "--mount", "--map-root-user", "sh", "-c")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nothing has happened to."""
    return whole_run(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copy(whole: RunFolder, tmp_path: Path) -> Path:
    """Its folder, to be spoiled."""
    return shutil.copytree(whole.path, tmp_path / "copy")


def assert_complete(path: Path) -> None:
    done = call_convbench(path.parent, "run", "--resume", path, "--no-report")
    assert done.returncode == 0, done.stderr
    folder = RunFolder.open(path)
    assert {block.cell for block in folder.blocks} == {cell.key for cell in folder.info.cells}
    assert {block.status for block in folder.blocks} == {Status.PASSED}


def test_a_journal_that_cannot_grow_keeps_what_it_has(whole: RunFolder, copy: Path) -> None:
    journal = copy / "samples.jsonl"
    line = journal.read_bytes().splitlines(keepends=True)[0]
    journal.write_bytes(line * (LARGE_BYTES // len(line)))  # larger than all else that a run writes
    done = call_limited(copy, file_size(journal.stat().st_size + 100), "run", "--resume", copy, "--no-report")
    assert_one_line(done, "samples.jsonl: cannot be written: File too large")
    assert not journal.read_bytes().endswith(b"\n")  # the line that did not fit
    assert RunFolder.open(copy).blocks[:1] == whole.blocks[:1]
    assert_complete(copy)


def test_operands_without_room_are_one_line(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    suite.write_text(suite.read_text().replace("image: 32", "image: 256"))
    done = call_limited(tmp_path, file_size(100_000), "run", suite, "--quick", "--no-report")
    assert_one_line(done, "no room for an operand of 262,144 bytes")
    assert only_run(tmp_path / "runs").blocks == []


def test_an_output_without_room_is_no_contenders_fault(tmp_path: Path) -> None:
    suite = tmp_path / "wide.yaml"
    suite.write_text("name: wide\nshapes: [n1c1h64w64k16r1s1]\nalgorithms: [naive]\n")
    done = call_limited(tmp_path, file_size(100_000), "run", suite, "--quick", "--no-report")
    assert_one_line(done, "no room for an output of 262,144 bytes")
    assert only_run(tmp_path / "runs").blocks == []


@pytest.mark.skipif(not shutil.which("unshare"), reason="nothing may be mounted here")
def test_a_disk_that_is_full_for_real(tmp_path: Path) -> None:
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    suite = write_suite(tmp_path)
    suite.write_text(suite.read_text().replace("image: 32", "image: {from: 32, to: 80, step: 4}"))
    script = (
        f"mount -t tmpfs -o size=36k none {disk} || exit 99\n"
        f"{sys.executable} -m convbench run {suite} --quick --no-report --out {disk}\n"
        f"code=$?; cp -r {disk}/. {kept}; exit $code"
    )
    done = subprocess.run([*MOUNT, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("nothing may be mounted here")
    assert_one_line(done, "No space left on device")
    folder = only_run(kept)
    assert 0 < len({block.cell for block in folder.blocks}) < len(folder.info.cells)
    assert_complete(folder.path)


@pytest.mark.parametrize("words", [("export", "RUN", "--out", "/dev/full"), ("report", "RUN", "--out", "/dev/full")])
def test_a_full_target_is_one_line(copy: Path, words: tuple[str, ...]) -> None:
    done = call_convbench(copy.parent, *(copy if word == "RUN" else word for word in words))
    assert_one_line(done, "/dev/full", "No space left on device")


def test_a_terminal_that_takes_nothing_is_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "convbench", "list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["convbench: No space left on device"]


def test_a_read_only_place_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    assert_one_line(call_limited(tmp_path, as_a_plain_user, "run", suite, "--out", out), f"{out}/", "cannot be created")
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("words", "complaint"),
    [(("run", "--resume"), "samples.jsonl: cannot be written"), (("report",), "Permission denied")],
)
def test_a_read_only_run_is_one_line(whole: RunFolder, copy: Path, words: tuple[str, ...], complaint: str) -> None:
    for path in (*copy.iterdir(), copy):
        path.chmod(0o500 if path.is_dir() else 0o400)
    done = call_limited(copy.parent, as_a_plain_user, *words, copy)
    copy.chmod(0o700)
    assert_one_line(done, complaint)
    assert RunFolder.open(copy).blocks == whole.blocks
