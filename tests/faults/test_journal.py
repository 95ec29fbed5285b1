"""A journal that is torn, altered, or wanted by two: nothing is read as what it is not, nor lost in silence."""

from __future__ import annotations

import fcntl
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import call_convbench
from convbench.errors import RunFolderError
from convbench.store import RunFolder, new_folder
from faults.conftest import assert_one_line, whole_run

SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_points.py"
KILLS = 60
CUTS = 300
FLIPS = 1000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nothing has happened to."""
    return whole_run(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copy(whole: RunFolder, tmp_path: Path) -> Path:
    """Its folder, to be spoiled."""
    return shutil.copytree(whole.path, tmp_path / "copy")


def test_killed_while_it_appends_it_loses_nothing() -> None:
    words = [sys.executable, str(SCRIPT), "--count", str(KILLS), "--whole", "0"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{KILLS} kills, 0 complaints" in done.stdout


def test_torn_anywhere_it_keeps_every_whole_line(whole: RunFolder, copy: Path) -> None:
    journal = copy / "samples.jsonl"
    text = journal.read_bytes()
    chance = random.Random(1)
    for cut in (0, len(text) - 1, *(chance.randrange(len(text)) for _ in range(CUTS))):
        journal.write_bytes(text[:cut])
        folder = RunFolder.open(copy)
        assert folder.blocks == whole.blocks[: text[:cut].count(b"\n")]
        folder.mend()
        assert journal.read_bytes() == text[: text[:cut].rfind(b"\n") + 1]


def test_a_flipped_bit_is_found_out_or_costs_the_last_line(whole: RunFolder, copy: Path) -> None:
    journal = copy / "samples.jsonl"
    text = journal.read_bytes()
    chance = random.Random(1)
    for position in (len(text) - 1, text.index(b"\n"), *(chance.randrange(len(text)) for _ in range(FLIPS))):
        spoiled = bytearray(text)
        spoiled[position] ^= 1 << chance.randrange(8)
        journal.write_bytes(spoiled)
        try:
            found = RunFolder.open(copy).blocks
        except RunFolderError as error:
            complaint = str(error)
        else:
            complaint = ""
            assert position == len(text) - 1  # what follows the last newline is taken for torn
            assert found == whole.blocks[:-1]
        assert ("the line is damaged" in complaint) is (position != len(text) - 1)


def test_a_run_that_is_being_measured_is_not_gone_on_with(copy: Path) -> None:
    before = (copy / "samples.jsonl").read_bytes()
    with (copy / "samples.jsonl").open("ab") as journal:
        journal.write(b"half of a li")  # the other process is appending
        journal.flush()
        fcntl.flock(journal, fcntl.LOCK_EX)
        done = call_convbench(copy.parent, "run", "--resume", copy, "--no-report")
    assert_one_line(done, f"{copy}: another process is measuring this run")
    assert (copy / "samples.jsonl").read_bytes() == before + b"half of a li"


def test_a_measurement_holds_the_lock(copy: Path) -> None:
    folder = RunFolder.open(copy)
    with folder.locked(), pytest.raises(RunFolderError, match="another process"), RunFolder.open(copy).locked():
        pass
    with folder.locked():  # and lets it go
        pass


def test_runs_of_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: new_folder(tmp_path, "same"), range(64)))
    assert len(set(folders)) == 64
