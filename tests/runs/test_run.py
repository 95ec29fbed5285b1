"""A run from the command line: what it prints, what it leaves, and its exit code."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Cli, call_convbench
from convbench.analysis.sentences import finding, where
from convbench.report.answers import Answers
from convbench.result import Block, Row, Status
from runs.conftest import FAULTY, only_run, write_tiny


def test_a_run_leaves_its_whole_folder(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    done = cli("run", tiny, "--quick")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    folder = only_run(tmp_path / "runs")
    names = {path.name for path in folder.path.iterdir()}
    assert {"run.json", "samples.jsonl", "results.csv", "summary.md", "report.html", "figures"} <= names
    with (folder.path / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == list(Row.model_fields)
    assert len(rows) == 6 * 2
    assert {row["status"] for row in rows} == {"passed"}
    assert all(float(row["error"]) <= float(row["error_bound"]) for row in rows)
    crossovers = Answers(folder.info, folder.blocks).crossovers
    assert len(crossovers) == 2
    assert all(f"crossover: {where(one.curve)}: {finding(one)}" in done.stdout for one in crossovers)
    options = folder.info.options
    assert 0 < options["useful_s"] < options["wall_s"]
    assert 0 < options["overhead_s"] < 1e-6  # less than 0.1 % of a sample of 1 ms


def test_a_terminal_shows_progress_and_tables(tiny: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    words = ["run", str(tiny), "--quick", "--no-report"]
    running = subprocess.Popen(
        [sys.executable, "-m", "convbench", *words],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "COLUMNS": "120", "TERM": "xterm-256color"},
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end has closed
        while received := os.read(ours, 65536):
            shown += received
    os.close(ours)
    text = shown.decode()
    assert running.wait() == 0, text
    for part in ("starting workers", "6/6 cells", "fastest by kernel", "which overtakes which", "of it measuring"):
        assert part in text


def test_the_journal_is_json_lines_and_a_report_can_follow(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    assert cli("run", tiny, "--quick", "--no-report").returncode == 0
    folder = only_run(tmp_path / "runs")
    for line in (folder.path / "samples.jsonl").read_text().splitlines():
        assert json.loads(line)["crc32"]
    assert {block.pass_index for block in folder.blocks} == {0, 1}
    assert not (folder.path / "report.html").exists()
    report = cli("report", folder.path)
    assert report.returncode == 0
    assert (folder.path / "report.html").exists()


def test_a_spec_on_the_command_line_is_a_suite_of_one_cell(cli: Cli, tmp_path: Path) -> None:
    spec = "n1c2h20w20k3r3s3+padding=1"
    done = cli("run", spec, "--algorithms", "direct,im2col", "--quick", "--no-report")
    assert done.returncode == 0, done.stderr
    assert {block.cell for block in only_run(tmp_path / "runs").blocks} == {f"{spec}@1t"}


def test_a_third_partys_algorithm_is_swept_verified_and_plotted(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    done = cli("run", tiny, "--quick", "--plugin", FAULTY, "--algorithms", "direct,right")
    assert done.returncode == 0, done.stderr
    folder = only_run(tmp_path / "runs")
    rights = [block for block in folder.blocks if block.algorithm == "right"]
    assert {block.status for block in rights} == {Status.PASSED}
    assert {block.cell for block in rights} == {cell.key for cell in folder.info.cells}
    assert all(block.agreement is not None and block.agreement.agrees for block in rights)
    assert "right" in (folder.path / "report.html").read_text()


WRONG = ("wrong", "unwritten", "mutator", "half")


@pytest.fixture(scope="module")
def wrong_results(tmp_path_factory: pytest.TempPathFactory) -> list[Block]:
    """Of one run of all who are wrong."""
    folder = tmp_path_factory.mktemp("wrong")
    words = ("--plugin", FAULTY, "--algorithms", ",".join(("direct", *WRONG)), "--no-report")
    done = call_convbench(folder, "run", write_tiny(folder), "--quick", *words)
    assert done.returncode == 3, done.stderr
    return list(only_run(folder / "runs").blocks)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_result_is_reported_and_never_timed(wrong_results: list[Block], name: str) -> None:
    blocks = [block for block in wrong_results if block.algorithm == name]
    assert blocks
    by_kernel = {"r3s3": Status.PASSED, "r5s5": Status.DISAGREED, "r7s7": Status.DISAGREED}
    for block in blocks:
        expected = next(status for kernel, status in by_kernel.items() if kernel in block.cell)
        assert block.status is expected
        assert bool(block.samples_s) == (expected is Status.PASSED)


def test_a_contender_that_is_idle_when_timed_is_found_out(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    done = cli("run", tiny, "--quick", "--plugin", FAULTY, "--algorithms", "direct,idle", "--no-report")
    assert done.returncode == 3, done.stderr
    idle = [block for block in only_run(tmp_path / "runs").blocks if block.algorithm == "idle"]
    for block in idle:
        if "r3s3" in block.cell:
            assert block.status is Status.PASSED
        else:
            assert block.status is Status.DISAGREED
            assert block.reason.startswith("when timed: ")


FAILURES = {
    "killed": (Status.CRASHED, "verify: killed by SIGKILL"),
    "segfault": (Status.CRASHED, "verify: killed by SIGSEGV"),
    "exits": (Status.CRASHED, "verify: exited with code 7"),
    "raises": (Status.CRASHED, "verify: ZeroDivisionError: on purpose, over two lines (faulty.py:"),
    "hungry": (Status.OUT_OF_MEMORY, "verify reached"),
    "talkative": (Status.PASSED, ""),
    "endless": (Status.TIMEOUT, "verify took longer than 2 s"),
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> list[Block]:
    """Of two runs of all who fail, each between two who do not: one with a short time limit."""
    found: list[Block] = []
    # Beside another test's compilation, memory is slow to fill: it is not under the short limit.
    for limit_s, names in ((20, [name for name in FAILURES if name != "endless"]), (2, ["endless"])):
        folder = tmp_path_factory.mktemp("failures")
        tiny = write_tiny(folder)
        tiny.write_text(tiny.read_text().replace("timeout: 20s", f"timeout: {limit_s}s\nmemory_limit: 600MiB"))
        words = ("--plugin", FAULTY, "--algorithms", ",".join(("direct", *names, "naive")), "--no-report")
        done = call_convbench(folder, "run", tiny, "--quick", *words)
        assert done.returncode == 0, done.stderr
        first = [block for block in only_run(folder / "runs").blocks if block.pass_index == 0]
        assert len(first) == 6 * (len(names) + 2)
        found += first
    return found


@pytest.mark.parametrize("name", FAILURES)
def test_a_failing_contender_costs_its_cell_and_nothing_else(failures: list[Block], name: str) -> None:
    status, reason = FAILURES[name]
    own = [block for block in failures if block.algorithm == name]
    assert len(own) == 6
    for block in own:
        if "r3s3" not in block.cell:
            assert block.status is status
            assert block.reason.startswith(reason)
        else:
            assert block.status is Status.PASSED
            assert block.samples_s


def test_those_beside_them_are_measured_in_every_cell(failures: list[Block]) -> None:
    others = [block for block in failures if block.algorithm in ("direct", "naive")]
    assert len(others) == 2 * 6 * 2
    for block in others:
        assert block.status is Status.PASSED
        assert block.samples_s


@pytest.mark.parametrize("crossing", [False, True])
def test_whoever_is_far_behind_gets_one_sample_unless_a_crossover_needs_it(
    cli: Cli, tiny: Path, tmp_path: Path, crossing: bool
) -> None:
    other = "slow" if crossing else "direct"
    tiny.write_text(tiny.read_text().replace("to: direct}", f"to: {other}}}").replace("[3, 5, 7]", "[5, 7]"))
    done = cli("run", tiny, "--quick", "--no-report", "--plugin", FAULTY, "--algorithms", "naive,direct,slow")
    assert done.returncode == 0, done.stderr
    first = [block for block in only_run(tmp_path / "runs").blocks if block.pass_index == 0]
    slow = [block for block in first if block.algorithm == "slow"]
    assert len(slow) == 4
    assert all(len(block.samples_s) >= 2 for block in first if block.algorithm == "direct")
    for block in slow:
        assert block.status is Status.PASSED
        assert block.samples_s[0] > 0.03
        glanced = len(block.samples_s) == 1 and len(block.warmup_s) == 2
        assert glanced is not crossing or block.warmup_s[0] >= 0.02  # longer calls are their own warm-up


def test_unsupported_specs_keep_their_reason(cli: Cli, tmp_path: Path) -> None:
    spec = "n1c1h20w20k1r3s3+stride=2"
    done = cli("run", spec, "--plugin", FAULTY, "--algorithms", "direct,right", "--quick", "--no-report")
    assert done.returncode == 0
    (block,) = [block for block in only_run(tmp_path / "runs").blocks if block.algorithm == "right"]
    assert (block.status, block.reason) == (Status.UNSUPPORTED, "one channel, zero padding, stride 1 only")


def test_nothing_measured_has_its_own_exit_code(cli: Cli) -> None:
    spec = "n1c1h20w20k1r3s3+stride=2"
    done = cli("run", spec, "--plugin", FAULTY, "--algorithms", "right", "--quick", "--no-report")
    assert done.returncode == 5


def test_memory_that_would_not_fit_is_predicted(cli: Cli, tmp_path: Path) -> None:
    suite = tmp_path / "big.yaml"
    suite.write_text(
        "defaults: {padding: same}\nsweep: {image: 1024, kernel: 9}\nalgorithms: [im2col]\nmemory_limit: 300MiB\n"
    )
    done = cli("run", suite, "--quick", "--no-report")
    assert done.returncode == 5
    (block,) = only_run(tmp_path / "runs").blocks
    assert block.status is Status.OUT_OF_MEMORY
    assert block.reason.startswith("needs 324 MiB of workspace, ")


def test_the_budget_holds_and_every_cell_has_a_row(cli: Cli, tmp_path: Path) -> None:
    suite = tmp_path / "long.yaml"
    suite.write_text(
        "defaults: {padding: same}\nsweep: {image: [256, 512, 768, 1024], kernel: {from: 3, to: 41, step: 2}}\n"
        "algorithms: [naive, direct, im2col]\npasses: 100\n"
    )
    names = ("--algorithms", "naive,direct,im2col")
    assert cli("verify", "n1c1h256w256k1r3s3+padding=1", *names).returncode == 0  # compiles what the first cell needs
    done = cli("run", suite, "--budget", "4s", "--no-report")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = only_run(tmp_path / "runs")
    assert folder.info.options["wall_s"] < 4 + 10
    with (folder.path / "results.csv").open() as stream:
        statuses = [row["status"] for row in csv.DictReader(stream)]
    assert len(statuses) == 80 * 3
    assert set(statuses) == {"passed", "not_reached"}


def test_cold_calls_yardsticks_and_the_roofline_are_recorded(cli: Cli, tmp_path: Path) -> None:
    suite = tmp_path / "cold.yaml"
    suite.write_text("name: cold\ncold: true\nshapes: [n1c1h64w64k1r3s3]\nalgorithms: [naive, direct]\npasses: 1\n")
    done = cli("run", suite, "--no-report")
    assert done.returncode == 0, done.stderr
    folder = only_run(tmp_path / "runs")
    for block in folder.blocks:
        assert len(block.cold_s) == 7
        assert set(block.yardsticks) == {"compute", "memory", "product"}
        assert block.switches is not None
        assert block.faults is not None
    with (folder.path / "results.csv").open() as stream:
        rows = {row["algorithm"]: row for row in csv.DictReader(stream)}
    assert all(float(row["cold_median_s"]) > 0 and float(row["of_roofline"]) > 0 for row in rows.values())
    (ceilings,) = folder.info.machine["ceilings"]
    assert ceilings["threads"] == 1
    assert ceilings["multiply_add_flops_per_s"] > 1e9
    assert ceilings["matrix_product_flops_per_s"] > 1e9


def test_cells_are_added_beside_a_crossover_that_is_to_be_refined(cli: Cli, tmp_path: Path) -> None:
    """And a run that was cut short goes on with what it has added."""
    suite = tmp_path / "refined.yaml"
    suite.write_text(
        "sweep: {image: 64, kernel: [3, 35]}\n"
        "defaults: {padding: same}\n"
        "algorithms: [naive, scipy_fft]\n"
        "crossovers: {axis: kernel, from: naive, to: scipy_fft, refine: 2}\n"
        "passes: 6\n"
    )
    assert cli("run", suite, "--no-report").returncode == 0
    folder = only_run(tmp_path / "runs")
    kernels = [cell.axes["kernel"] for cell in folder.info.cells]
    assert kernels[:2] == [3, 35]
    assert 1 <= len(kernels[2:]) <= 10
    assert all(kernel % 2 == 1 for kernel in kernels)
    assert {block.cell for block in folder.blocks} == {cell.key for cell in folder.info.cells}
    assert not {cell.key for cell in folder.info.reserve} & {cell.key for cell in folder.info.cells}
    assert cli("run", "--resume", folder.path, "--no-report").returncode == 0
    assert [cell.axes["kernel"] for cell in only_run(tmp_path / "runs").info.cells] == kernels
