"""`tune` and `recommend` through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Cli
from convbench import dispatching

QUICK = ("--budget", "20s", "--algorithms", "im2col,shift_gemm")  # neither compiles anything


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own folder, empty."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_table_is_measured_kept_and_used(cli: Cli, home: Path) -> None:
    before = cli("recommend", "c64h28w28k64r3s3+padding=1")
    assert before.returncode == 0, before.stderr
    assert "run convbench tune" in before.stdout
    tuned = cli("tune", *QUICK)
    assert tuned.returncode == 0, tuned.stderr
    (path,) = home.glob("convbench/dispatch/*.json")
    assert str(path) in tuned.stdout
    table = json.loads(path.read_text())
    assert set(table["fitted"]) == {"im2col", "shift_gemm"}
    assert {one["algorithm"] for one in table["measured"]} == {"im2col", "shift_gemm"}
    after = cli("recommend", "c64h28w28k64r3s3+padding=1", "--threads", "1")
    assert "run convbench tune" not in after.stdout
    first, second = after.stdout.strip().splitlines()
    assert first.split(":")[0] in ("im2col", "shift_gemm")
    assert "times as long" in first
    assert "the nearest measured shape" in second


def test_a_problem_in_options_is_the_one_of_a_spec(cli: Cli, home: Path) -> None:
    assert not home.exists()
    options = ("--image", "256x200", "--kernel", "9", "--channels", "2", "--filters", "4", "--threads", "1")
    assert cli("recommend", *options).stdout == cli("recommend", "c2h256w200k4r9s9+padding=4", "--threads", "1").stdout


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("recommend",), "name a problem"),
        (("recommend", "--image", "64"), "name a problem"),
        (("recommend", "--image", "64xx", "--kernel", "3"), "is not a spec"),
        (("recommend", "h8w8r3s3", "--threads", "many"), "--threads: 'many' is not a thread count"),
        (("tune", "--algorithms", "im2row"), "unknown algorithm 'im2row'"),
        (("tune", "--budget", "0.2s", "--algorithms", "im2col"), "too short to measure"),
        (("tune", "--budget", "soon"), "--budget: "),
    ],
)
def test_mistakes_are_one_line_and_exit_with_2(cli: Cli, words: tuple[str, ...], told: str) -> None:
    failed = cli(*words)
    assert failed.returncode == 2
    assert told in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1


def test_a_table_that_is_broken_is_as_good_as_none(cli: Cli, home: Path) -> None:
    path = dispatching.path_here()
    assert path.is_relative_to(home)
    path.parent.mkdir(parents=True)
    path.write_text(dispatching.SHIPPED.read_text()[:-40])
    found = cli("recommend", "h64w64r3s3")
    assert found.returncode == 0, found.stderr
    assert "run convbench tune" in found.stdout


def test_choices_are_tried_on_shapes_that_were_never_measured(cli: Cli, home: Path) -> None:
    assert not home.exists()
    found = cli("tune", "--evaluate", "--budget", "15s", "--algorithms", "im2col,shift_gemm")
    assert found.returncode == 0, found.stderr
    assert '"auto": the table, and a race' in found.stdout
    assert "the table alone" in found.stdout
