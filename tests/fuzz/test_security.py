"""What is read from elsewhere stays data: it is neither run, nor unpickled, nor written outside of its folder."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import convbench
import convbench_algorithms
from convbench.errors import ConvbenchError
from convbench.report.answers import Answers
from convbench.report.claims_page import claims_page
from convbench.report.folder import file_stem, write_report
from convbench.report.html import comparison_page, page
from convbench.report.markdown import summary
from convbench.result import Cell
from convbench.spec import ConvSpec
from convbench.store import INFO, JOURNAL, RunFolder
from fuzz.page import Elements, check_page
from fuzz.seeds import rich_run
from fuzz.targets import CUT, sealed

ATTACK: Final = "\"'></title></script><script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)>"
ROOTS: Final = [Path(package.__file__).parent for package in (convbench, convbench_algorithms)]  # type: ignore[arg-type]


def strings(data: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of strings, and of keys that a run chooses itself."""
    if isinstance(data, dict):
        for key, value in data.items():
            if place[-1:] in (("axes",), ("options",), ("machine",), ("versions",), ("stages_s",), ("tags",)):
                yield (*place, key, KEY)
            yield from strings(value, (*place, key))
    elif isinstance(data, list):
        for index, value in enumerate(data[:1]):
            yield from strings(value, (*place, index))
    elif isinstance(data, str):
        yield place


KEY: Final = "the key itself"


def attacked(data: Any, place: tuple[Any, ...], attack: str) -> Any:
    """The data with the attack in this place."""
    if not place:
        return attack
    step, *rest = place
    if rest == [KEY]:
        return {attack if key == step else key: value for key, value in data.items()}
    changed = data.copy()
    changed[step] = attacked(data[step], tuple(rest), attack)
    return changed


def opened(folder: Path, info: Any, lines: list[Any]) -> RunFolder | None:
    """The run, unless it is refused."""
    (folder / INFO).write_text(json.dumps(info))
    (folder / JOURNAL).write_bytes(b"".join(sealed(json.dumps(line).encode()) for line in lines))
    try:
        return RunFolder.open(folder)
    except ConvbenchError:
        return None


def test_a_script_in_any_string_of_a_run_is_text(tmp_path: Path) -> None:
    raw, _, journal = rich_run().partition(CUT)
    info = json.loads(raw)
    lines = [json.loads(line) for line in journal.splitlines()]
    fft = next(index for index, line in enumerate(lines) if line["algorithm"] == "fft")
    crashed = next(index for index, line in enumerate(lines) if line["status"] == "crashed")
    cases = [(attacked(info, place, ATTACK), lines) for place in strings(info)]
    cases += [(info, attacked(lines, (at, *place), ATTACK)) for at in (fft, crashed) for place in strings(lines[at])]
    shown = 0
    for changed_info, changed_lines in cases:
        run = opened(tmp_path, changed_info, changed_lines)
        if run is None:
            continue
        answers = Answers(run.info, run.blocks)
        text = page(answers)
        check_page(text)
        shown += "alert(1)" in text
        if changed_info is not info:
            check_page(comparison_page([ATTACK, "other"], [answers, answers]))
        for markdown in (summary(answers), claims_page([(tmp_path, answers)], tmp_path / "claims.md")):
            assert "<script" not in markdown.replace("\\<", "")
    assert shown >= 20


def test_the_check_sees_what_a_page_must_not_have() -> None:
    for text in ("<script>1</script>" * 3, "<a onclick=x></a>", "<img src=http://x>", "<svg></svg>", "<p>"):
        with pytest.raises(AssertionError):
            check_page(text)
    with pytest.raises(AssertionError):
        check_page('<script type="application/json">{"a": NaN}</script>')
    assert Elements("<p>fine</p>").wrong == []


def test_names_with_paths_in_them_stay_in_the_runs_folder(tmp_path: Path) -> None:
    raw, _, journal = rich_run().partition(CUT)
    info = json.loads(raw)
    up = "../../../up"
    spec = ConvSpec(h=9, w=9, r=3, s=3)
    # Coordinates that several problems share stand in the names of figures; so do those of a speed-up's base.
    more = [Cell(spec=ConvSpec(h=h, w=9, r=3, s=3), axes={up: up}, name=f"/tmp/{up}", ground=up) for h in (9, 10)]
    info["cells"] = [json.loads(cell.model_dump_json()) for cell in more]
    info["suite_name"] = up
    info["tags"][up], info["precision"][up] = ["peer"], "strict"
    info["algorithms"] = [up if name == "opencv" else name for name in info["algorithms"]]
    info["crossings"], info["versus"], info["claims"] = [], None, []
    measured = [
        line for line in map(json.loads, journal.splitlines()) if line["cell"] == "n1c1h512w512k1r3s3+padding=1@1t"
    ]
    renamed = [{**line, "algorithm": up if line["algorithm"] == "opencv" else line["algorithm"]} for line in measured]
    lines = [{**line, "cell": cell.key} for cell in more for line in renamed]
    folder = tmp_path / "a" / "b" / "c" / "run"
    folder.mkdir(parents=True)
    run = opened(folder, info, lines)
    assert run is not None
    assert spec in {cell.spec for cell in run.info.cells}
    write_report(folder, run.info, run.blocks)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(folder in path.parents for path in files)
    assert any("up" in path.stem for path in folder.rglob("*.svg"))


@pytest.mark.parametrize("name", ["../up", "/etc/x", "a\0b", "a\nb", "C:\\x", "x" * 500, "time-\ud800", ".."])
def test_a_figures_name_is_a_plain_file_name(name: str) -> None:
    stem = file_stem(name)
    assert stem != file_stem(name + "x")
    assert "/" not in stem
    assert "\\" not in stem
    assert stem.isprintable()
    assert len(stem.encode()) < 250


def test_a_figures_name_that_fits_stays() -> None:
    assert file_stem("time-1thread-σ2.5") == "time-1thread-σ2.5"


def test_nothing_is_unpickled_or_evaluated() -> None:
    seen = 0
    for path in (file for root in ROOTS for file in root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not modules & {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}, path
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                words = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert name not in ("eval", "exec", "compile", "os.system", "yaml.load", "yaml.unsafe_load"), path
                assert words.get("shell", "False") == "False", path
                assert words.get("allow_pickle", "False") == "False", path
                if name == "np.load":
                    seen += 1
                    assert words.get("allow_pickle") == "False", path
    assert seen >= 4
