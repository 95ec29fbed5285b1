"""The other commands, and what bad input gets: exit code 2, one line, no traceback."""

from __future__ import annotations

import csv
import io
import json
from importlib.metadata import version
from pathlib import Path

import pytest

from conftest import Cli
from convbench.result import Row
from convbench.store import RunFolder
from runs.conftest import FAULTY, only_run


def test_it_says_which_version_it_is(cli: Cli) -> None:
    done = cli("--version")
    assert done.returncode == 0
    assert done.stdout == f"convbench {version('convbench')}\n"


def test_list_says_what_each_can_run_and_why_not(cli: Cli) -> None:
    done = cli("list", "n1c1h20w20k1r3s3+stride=2", "--plugin", FAULTY)
    assert done.returncode == 0
    lines = {line.split("\t")[0]: line.split("\t") for line in done.stdout.splitlines()}
    assert lines["naive"][-1] == "yes"
    assert lines["right"][-1] == "no: one channel, zero padding, stride 1 only"


def test_list_without_a_spec_says_what_each_is_good_for_here(cli: Cli) -> None:
    done = cli("list", "--plugin", FAULTY)
    lines = {line.split("\t")[0]: line.split("\t")[-1] for line in done.stdout.splitlines()}
    assert lines["naive"] == "everything"
    assert lines["gemm1x1"] == "1×1"
    assert lines["im2col_tiled"] == "everything but backward_weights"
    assert lines["right"] == "nothing: one channel, zero padding, stride 1 only"


def test_describe_gives_the_textbook_figures(cli: Cli) -> None:
    done = cli("describe", "n1c3h227w227k96r11s11+stride=4")
    assert done.returncode == 0
    for figure in ("290,400", "34,848", "34,944"):
        assert figure in done.stdout
    suite = cli("describe", "smoke")
    assert suite.returncode == 0
    assert "GFLOP" in suite.stdout


def test_describe_tells_and_draws_a_network(cli: Cli, tmp_path: Path) -> None:
    done = cli("describe", "alexnet", "--figure", "cost.svg")
    assert done.returncode == 0, done.stderr
    for figure in ("34,944", "363×3025", "60,965,224"):
        assert figure in done.stdout
    assert "fc6" in (tmp_path / "cost.svg").read_text()
    none = cli("describe", "smoke", "--figure", "cost.svg")
    assert none.returncode == 2
    assert "a picture is of a network's layers, and smoke has none" in none.stderr


def test_doctor_names_each_source_of_noise(cli: Cli) -> None:
    done = cli("doctor")
    assert done.returncode == 0
    for topic in ("governor", "other load", "BLAS", "address randomisation", "nothing was changed"):
        assert topic in done.stdout


def test_verify_judges_without_timing(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    assert cli("verify", tiny).returncode == 0
    assert not (tmp_path / "runs").exists()
    wrong = cli("verify", tiny, "--plugin", FAULTY, "--algorithms", "naive,wrong")
    assert wrong.returncode == 3
    assert "wrong disagreed" in wrong.stdout


def test_two_runs_are_compared(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    for threads in ("1", "2"):
        assert cli("run", tiny, "--quick", "--no-report", "--threads", threads, "--out", threads).returncode == 0
    one, two = (next((tmp_path / threads).iterdir()) for threads in ("1", "2"))
    found = cli("compare", one, two)
    assert found.returncode == 0, found.stderr
    assert "threads\t1\t2" in found.stdout
    assert found.stdout.count("\t1 → 2\t") == 6 * 2
    assert "as the thread counts differ" in found.stdout
    missing = cli("compare", one, tmp_path / "none")
    assert missing.returncode == 2
    assert "not a run's folder" in missing.stderr
    page = cli("report", one, two, "--out", "both.html")
    assert page.returncode == 0, page.stderr
    text = (tmp_path / "both.html").read_text()
    assert "What differs" in text
    assert f"{one.name}, 1 thread" in text
    assert f"{two.name}, 2 threads" in text
    assert text.count(">1 → 2<") == 6 * 2


def test_a_history_tells_what_changed_and_since_when(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    assert cli("run", tiny, "--quick", "--no-report", "--out", "all").returncode == 0
    (first,) = (tmp_path / "all").iterdir()
    for day in range(6):
        copy = tmp_path / "all" / f"day-{day}"
        copy.mkdir()
        told = json.loads((first / "run.json").read_text()) | {
            "started_utc": f"2027-01-0{day + 1}",
            "git_commit": f"c{day}",
        }
        (copy / "run.json").write_text(json.dumps(told))
        folder = RunFolder.open(copy)
        slower = 2.0 if day >= 3 else 1.0
        folder.append(
            block.model_copy(update={"samples_s": tuple(slower * sample for sample in block.samples_s)})
            for block in RunFolder.open(first).blocks
        )
    found = cli("history", "all", "--out", "history.png")
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("2.00× slower") == 6 * 2
    assert "c2 → c3" in found.stdout
    assert (tmp_path / "history.png").read_bytes()[:4] == b"\x89PNG"
    for words, told in (
        (("history", first), "two runs or more"),
        (("history", "all", "--out", "x.gif"), "a figure is an"),
    ):
        failed = cli(*words)
        assert failed.returncode == 2
        assert told in failed.stderr


def test_export_writes_the_same_rows_in_each_form(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    cli("run", tiny, "--quick", "--no-report")
    folder = only_run(tmp_path / "runs").path
    rows = list(csv.DictReader(io.StringIO(cli("export", folder).stdout)))
    assert list(rows[0]) == list(Row.model_fields)
    assert cli("export", folder, "--format", "json", "--out", "rows.json").returncode == 0
    as_json = json.loads((tmp_path / "rows.json").read_text())
    assert [row["spec"] for row in as_json] == [row["spec"] for row in rows]


def test_the_schema_is_json(cli: Cli) -> None:
    assert json.loads(cli("schema").stdout)["title"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["run"], "name a suite, for example: convbench run fft_vs_direct"),
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["run", "fft_vs_directt"], "did you mean 'fft_vs_direct'"),
        (["run", "n1c1h2w2k1r5s5"], "the output is empty"),
        (["run", "n1c1h20w20k1r3s3+pading=1"], "unknown option 'pading=1'; valid options: "),
        (["run", "smoke", "--algorithms", "naive,fast"], "unknown algorithm 'fast'; valid: "),
        (["run", "smoke", "--threads", "0"], "'0' is not a thread count"),
        (["run", "smoke", "--budget", "soon"], "--budget: "),
        (["run", "smoke", "--plugin", "absent.py"], "absent.py: no such plug-in file"),
        (["run", "smoke", "--plugin", "empty.py"], "empty.py: holds no subclass of"),
        (["run", "smoke", "--plugin", "broken.py"], "broken.py:2: ZeroDivisionError: division by zero"),
        (["run", "smoke", "--seed", "minus"], "--seed"),
        (["run", "smoke", "--resume", "runs"], "--resume goes on with a run's own suite"),
        (["run", "--resume", "absent"], "absent: not a run's folder"),
        (["report", "."], "not a run's folder"),
        (["export", "absent"], "absent: not a run's folder"),
        (["list", "h20"], "is not a spec"),
        (["describe", "nowhere.yaml"], "nowhere.yaml"),
        (["frobnicate"], "No such command 'frobnicate'"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, tmp_path: Path, words: list[str], complaint: str) -> None:
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "broken.py").write_text("one = 1\ntwo = one / 0\n")
    done = cli(*words)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_results_folder_that_is_damaged_says_where(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    cli("run", tiny, "--quick", "--no-report")
    folder = only_run(tmp_path / "runs").path
    journal = folder / "samples.jsonl"
    before = journal.read_bytes()
    lines = before.splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], lines[1].replace(b'"passed"', b'"passes"'), *lines[2:]]))
    done = cli("report", folder)
    assert done.returncode == 2
    assert f"{journal}:2: the line is damaged" in done.stderr
    (folder / "run.json").write_text('{"schema_version": 99}')
    assert "schema version 99 is unknown" in cli("export", folder).stderr
    (folder / "run.json").write_text("{")
    assert "not JSON" in cli("export", folder).stderr


def test_a_read_only_results_folder_is_said_before_anything_is_measured(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    done = cli("run", tiny, "--out", "taken")
    assert done.returncode == 2
    assert "cannot be created" in done.stderr
