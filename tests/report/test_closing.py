"""Ours against theirs, in every form of report."""

import pandas as pd
import pytest
from rich.console import Console

from analysis.synthetic import Synthetic, kernel_cells
from convbench.report import print_summary, write_report
from convbench.report.answers import Answers
from convbench.report.closing import HEAD, closing_lines
from convbench.report.duels import DUEL_HEAD, duel_maps, duel_values
from convbench.report.folder import write_tables
from convbench.report.markdown import summary
from convbench.result import Target, Versus
from report.test_report import Reader

TIMES = {"direct": lambda cell: 1e-4 * cell.spec.r, "fft": lambda cell: 9e-4, "cv": lambda cell: 4e-4}
CELLS = [cell.model_copy(update={"ground": "filters <b>"}) for cell in kernel_cells([1, 3, 9])]
RUN = Synthetic(TIMES, CELLS, pass_noise=1e-5, sample_noise=1e-5)
SIDES = Versus(ours=("direct", "fft"), theirs=("cv",), targets=(Target(at_least=1, mean_at_least=1.1),))


@pytest.fixture(scope="module")
def answers():
    return Answers(RUN.info(versus=SIDES), RUN.blocks())


def test_a_line_says_who_is_ahead_by_how_much_and_where_least(answers):
    (line,) = closing_lines(answers)
    shown = dict(zip(HEAD, line, strict=True))
    assert (shown["ground"], shown["where"]) == ("filters <b>", "1 thread")
    assert shown["cells"] == "3 cells, theirs is faster in 1"
    assert shown["mean"].startswith("1.3")  # (4 · 4/3 · 4/9)^⅓ = 1.33
    assert shown["worst"].startswith("0.44×")
    assert shown["worst cell"].endswith("kernel 9: direct against cv") or shown["worst cell"].endswith("fft against cv")
    assert shown["targets"] == "every cell ≥ 1×: missed; mean ≥ 1.1×: met"


@pytest.mark.parametrize("terminal", [True, False])
def test_the_terminal_ends_with_it(terminal, tmp_path):
    with (tmp_path / "out").open("w+") as file:
        console = Console(file=file, force_terminal=terminal, width=160)
        print_summary(console, RUN.info(versus=SIDES), RUN.blocks())
        file.seek(0)
        text = file.read()
    assert text.index("results keep their error bound") < text.index("ours against theirs") < text.index("time: ")
    for words in ("filters <b>", "every cell ≥ 1×: missed", "plan times"):
        assert words in " ".join(text.split())


def test_summary_and_page_have_it_escaped(answers, tmp_path):
    assert "## Ours against theirs" in summary(answers)
    assert "filters \\<b\\>" in summary(answers)
    write_report(tmp_path, answers.info, answers.blocks)
    page = (tmp_path / "report.html").read_text()
    assert "Ours against theirs" in page
    assert "filters &lt;b&gt;" in page
    assert "filters <b>" not in page
    assert "Planning and the first call" in page
    assert Reader(page).wrong == []
    assert Reader(page).open == []


def test_a_sweep_gets_a_map_whose_looks_say_who_is_ahead(answers):
    (one,) = duel_maps(answers)
    ((_, squares),) = one.rows
    assert [(square.text, square.look) for square in squares] == [
        ("4.00×", "far"),
        ("1.33×", "ahead"),
        ("0.44×", "behind"),
    ]


def test_every_cell_is_listed_with_both_leaders(answers):
    lines = list(duel_values(answers))
    assert [len(line) for line in lines] == [len(DUEL_HEAD)] * 3
    assert {line[5].text for line in lines} == {"cv"}


def test_the_cells_leave_a_table_of_their_own(answers, tmp_path):
    write_tables(tmp_path, answers.info, answers.blocks)
    table = pd.read_csv(tmp_path / "versus.csv")
    assert list(table.columns) == [
        "spec", "name", "ground", "device", "threads", "ours", "ours_s", "theirs", "theirs_s",
        "ratio", "ci_low", "ci_high", "passes", "machine",
    ]  # fmt: skip
    assert len(table) == 3
    assert (table["theirs_s"] / table["ours_s"]).to_numpy() == pytest.approx(table["ratio"].to_numpy(), rel=0.02)


def test_without_sides_nothing_is_said_of_them(tmp_path):
    plain = Answers(RUN.info(), RUN.blocks())
    assert "gainst theirs" not in summary(plain)
    write_tables(tmp_path, plain.info, plain.blocks)
    assert not (tmp_path / "versus.csv").exists()
