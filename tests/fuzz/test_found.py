"""What fuzzing found, each by itself: the line that it gets now."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from convbench import catalog, dispatching, machine, runs
from convbench.analysis.dispatch import Dispatcher
from convbench.errors import ConvbenchError, OperandError, RunFolderError, SpecError, SuiteError
from convbench.operands import MAX_PIXELS, load_image
from convbench.report.listings import print_algorithms
from convbench.spec import ConvSpec
from convbench.store import INFO, JOURNAL, RunFolder, new_folder
from convbench.suite import load_suite
from fuzz.seeds import PLUGIN, rich_run, small_table
from fuzz.targets import CUT, sealed

Change = Callable[[Any], object]


def run_folder(folder: Path, info: Change = id, block: Change = id) -> Path:
    """A good run whose run.json and first line were changed."""
    raw, _, journal = rich_run().partition(CUT)
    said, first, *others = json.loads(raw), *journal.splitlines()
    line = json.loads(first)
    info(said)
    block(line)
    (folder / INFO).write_text(json.dumps(said))
    (folder / JOURNAL).write_bytes(b"".join(map(sealed, [json.dumps(line).encode(), *others])))
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda block: block.update(samples_s=[-1.0]), ":1: samples_s.0: Input should be greater"),
        (lambda block: block.update(samples_s=[0.0]), ":1: samples_s.0: Input should be greater"),
        (lambda block: block.update(samples_s=["NaN"]), ":1: samples_s.0: Input should be"),
        (lambda block: block.update(samples_s=[1e308]), ":1: samples_s.0: Input should be less"),
        (lambda block: block.update(pass_index=-1), ":1: pass_index: "),
        (lambda block: block.update(workspace_bytes=10**30), ":1: workspace_bytes: "),
        (lambda block: block.update(cell="n1c1h9w9k1r3s3"), ":1: cell: String should match pattern"),
        (lambda block: block.update(more=1), ":1: more: Extra inputs are not permitted"),
    ],
)
def test_a_journal_says_only_what_can_be(tmp_path: Path, change: Change, said: str) -> None:
    with pytest.raises(RunFolderError) as error:
        RunFolder.open(run_folder(tmp_path, block=change))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda info: info["options"].update(wall_s="soon"), "options.wall_s: "),
        (lambda info: info["options"].update(plugins="x.py"), "options.plugins: "),
        (lambda info: info["machine"].update(ceilings=[{"threads": 1}]), "machine.ceilings.0."),
        (lambda info: info["machine"].update(ceilings=[None]), "machine.ceilings.0: "),
        (lambda info: info["machine"].update(cores=[]), "machine.cores: "),
        (lambda info: info["machine"].update(deep=json.loads("[" * 90 + "]" * 90)), "machine: Value error, nested"),
        (lambda info: info["cells"][0].update(threads=0), "cells.0.threads: "),
        (lambda info: info["cells"][0].update(weight=0), "cells.0.weight: "),
        (lambda info: info["cells"][0]["axes"].update(kernel=10**200), "cells.0.axes.kernel"),
        (lambda info: info["cells"][0].update(spec="n1\nc1"), "cells.0.spec: Value error, 'n1 c1' is not a spec"),
        (lambda info: info.update(suite_name="\ud800"), "not JSON"),
    ],
)
def test_a_run_says_only_what_can_be(tmp_path: Path, change: Change, said: str) -> None:
    with pytest.raises(RunFolderError) as error:
        RunFolder.open(run_folder(tmp_path, info=change))
    assert said in str(error.value)


@pytest.mark.parametrize("line", [b'{"a":}', b'"x"}', b'{"cell":"\\ud800"}', b"{" * 5000 + b"}"])
def test_a_line_with_a_right_checksum_that_is_no_json(tmp_path: Path, line: bytes) -> None:
    run_folder(tmp_path)
    with (tmp_path / JOURNAL).open("ab") as journal:
        journal.write(sealed(line))
    count = len((tmp_path / JOURNAL).read_bytes().splitlines())
    with pytest.raises(RunFolderError, match=f"{JOURNAL}:{count}: "):
        RunFolder.open(tmp_path)


def test_a_run_that_is_nested_without_end(tmp_path: Path) -> None:
    (tmp_path / INFO).write_text("[" * 200_000)
    with pytest.raises(RunFolderError, match="not JSON"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize("name", ["../up", "/tmp/absolute", "a/b", "..", ""])
def test_a_run_stays_in_the_folder_of_runs(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunFolderError, match="cannot name a folder"):
        new_folder(tmp_path / "runs", name)
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_its_options_cannot_go_on(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"its options lack timeout_s, memory_limit_bytes, quick, verify_only"):
        runs.reopen(
            run_folder(
                tmp_path,
                info=lambda info: (
                    info["machine"].update(fingerprint=machine.fingerprint()) or info["options"].update(budget_s=None)
                ),
            )
        )


def test_a_spec_is_quoted_in_one_line() -> None:
    with pytest.raises(SpecError) as error:
        ConvSpec.parse("n1\nc1\ud800")
    assert str(error.value) == "'n1 c1 ' is not a spec: expected a form like n1c64h56w56k64r3s3+padding=1+stride=2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "sweep: {kernel: [1, 90001], image: {from: 90001, to: 100000, step: 1}}\n"
            "crossovers: {axis: kernel, from: a, to: b, refine: 1}",
            ":2: crossovers.refine: more than 100,000 cells lie between those of the sweep",
        ),
        (
            f"network:\n  input: 1x9x9\n  batch: [{', '.join(map(str, range(1, 2002)))}]\n"
            f"  layers: [{', '.join(f'c{k}: {{conv: 1, k: {k}}}' for k in range(1, 51))}]",
            ":1: network: more than 100,000 cells",
        ),
        (
            "network:\n  input: 1x1x1\n  layers:\n"
            "  - a: {conv: 1, k: 1, stride: 65536}\n  - b: {conv: 1, k: 1, stride: 65536}",
            ":5: network.layers[1].b: 1×1×1 comes in: one output sees more of the network's input than 2147483647",
        ),
    ],
)
def test_a_suite_is_counted_before_it_is_made(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(SuiteError) as error:
        load_suite(tmp_path / "s.yaml")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"import sys\nsys.exit(3)", ":2: SystemExit: 3"),
        (b"x = '''", "SyntaxError"),
        (b"\0", "source code string cannot contain null bytes"),
        (PLUGIN.replace(b'"mine"', b'"m" * 81'), "at most 80"),
        (PLUGIN.replace(b'"mine"', b'"../mine"'), "its name '../mine' must be letters"),
        (PLUGIN.replace(b'frozenset({"cpu"})', b"3"), "mine.tags is 3; expected a set of words"),
        (PLUGIN.replace(b'frozenset({"cpu"})', b"{1}"), "mine.tags is {1}; expected a set of words"),
        (PLUGIN + b"    device = ['cpu']", "mine.device is ['cpu']; valid: cpu, cuda"),
    ],
)
def test_a_plug_in_that_is_none(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "plugged.py"
    path.write_bytes(text)
    with pytest.raises(ConvbenchError) as error:
        catalog.load([path])
    assert str(error.value).startswith(str(path))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("answer", "said"),
    [("1 / 0", "its supports() raised ZeroDivisionError: division by zero"), ("'no'", "its supports() gave 'no'")],
)
def test_a_plug_in_that_cannot_tell_what_it_supports_is_listed_with_that(
    tmp_path: Path, answer: str, said: str
) -> None:
    path = tmp_path / "puzzled.py"
    path.write_bytes(PLUGIN.replace(b'Unsupported("never")', answer.encode()))
    mine = {"mine": catalog.load([path])["mine"]}
    for spec, start in ((None, "nothing: "), (ConvSpec.parse("h9w9r3s3"), "no: ")):
        console = Console(file=io.StringIO())
        print_algorithms(console, mine, spec)
        assert console.file.getvalue().splitlines()[1].endswith(start + said)  # type: ignore[attr-defined]


def test_an_image_that_is_none(tmp_path: Path) -> None:
    archive, objects, header = tmp_path / "archive.npy", tmp_path / "objects.npy", tmp_path / "header.npy"
    with archive.open("wb") as stream:
        np.savez(stream, x=np.ones(3))
    np.save(objects, np.array([{}], object), allow_pickle=True)
    with header.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)})
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    for path, said in (
        (archive, "the magic string is not correct"),
        (objects, "cannot be read: "),
        (header, "cannot be read: "),
        (broken, "cannot be read: "),
    ):
        with pytest.raises(OperandError, match=said):
            load_image(path)


def test_an_image_that_would_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    np.lib.format.open_memmap(path, "w+", np.uint8, (MAX_PIXELS + 1, 1)).flush()  # a hole: it takes no room on disk
    with pytest.raises(OperandError, match="67,108,865 values are more than 67,108,864"):
        load_image(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table["measured"][0].update(seconds=0), "measured.0.seconds: "),
        (lambda table: table["measured"][0].update(threads=0), "measured.0.threads: "),
        (lambda table: next(iter(table["fitted"].values()))["rates"].pop(), "rates: Tuple should have at least 30"),
        (lambda table: next(iter(table["fitted"].values())).update(noise=0), "noise: "),
        (lambda table: table["fitted"].update(other=next(iter(table["fitted"].values()))), "a model of 'other'"),
    ],
)
def test_a_damaged_table_is_told(tmp_path: Path, change: Change, said: str) -> None:
    table = json.loads(small_table())
    change(table)
    (tmp_path / "table.json").write_text(json.dumps(table))
    with pytest.raises(ConvbenchError) as error:
        dispatching.read(tmp_path / "table.json")
    assert said in str(error.value)


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"{}", b"", small_table()[:-9], b"[" * 99999])
def test_a_damaged_table_in_the_users_folder_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bytes
) -> None:
    monkeypatch.setattr(dispatching, "folder", lambda: tmp_path)
    dispatching.path_here().write_bytes(raw)
    dispatching.known.cache_clear()
    try:
        assert dispatching.known().path == dispatching.SHIPPED
    finally:
        dispatching.known.cache_clear()


def test_no_time_is_expected_that_nobody_could_wait_for() -> None:
    table = json.loads(small_table())
    for fitted in table["fitted"].values():
        fitted["rates"] = [1e6] * 30
    dispatcher = Dispatcher(dispatching.DispatchTable.model_validate(table))
    for choice in dispatcher.choices(ConvSpec.parse("h99999w99999r3s3"), 1, list(dispatcher.models)):
        assert choice.seconds == pytest.approx(1e9)
