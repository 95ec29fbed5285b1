"""Claims in every form of report, and over several runs as one page."""

import re

import pytest
from rich.console import Console

from analysis.synthetic import Synthetic, failed, kernel_cells, power_law
from convbench.errors import ConvbenchError
from convbench.report import print_summary, write_report
from convbench.report.answers import Answers
from convbench.report.claims import HEAD, PLACE_HEAD, claim_values, place_values
from convbench.report.folder import write_claims
from convbench.report.markdown import summary
from convbench.result import Claim, Crossing, Ratio, Side, Status
from report.test_report import Reader

TIMES = {"direct": power_law(1e-3, 20, 2), "fft": lambda cell: 1e-3}
RUN = Synthetic(TIMES, kernel_cells([5, 10, 40, 60]), passes=6)
CROSSING = Crossing(axis="kernel", start="direct", to="fft")
CLAIMS = (
    Claim(says="FFT <b>only</b> from 49.", source="a | book", about=CROSSING, at_least=39, at_most=61),
    Claim(
        says="FFT is faster.", about=Ratio(of=Side(algorithms=("direct",)), over=Side(algorithms=("fft",))), at_least=1
    ),
    Claim(says="Nobody knows.", about=Ratio(of=Side(algorithms=("none",))), at_least=1),
)
MACHINE = {"cpu": "Some CPU", "cores": 2, "memory_bytes": 2**34, "python": "3.11", "fingerprint": "f"}


def info(**changes):
    return RUN.info(claims=CLAIMS, crossings=(CROSSING,), machine=MACHINE, **changes)


@pytest.fixture(scope="module")
def answers():
    return Answers(info(), RUN.blocks())


@pytest.mark.parametrize("terminal", [True, False])
def test_the_terminal_closes_with_a_verdict_on_each(terminal, tmp_path):
    with (tmp_path / "out").open("w+") as file:
        console = Console(file=file, force_terminal=terminal, width=400)
        print_summary(console, info(), RUN.blocks())
        file.seek(0)
        lines = [line for line in file.read().splitlines() if line.startswith("claim: ")]
    assert [line.partition("” – ")[0] for line in lines] == [f"claim: “{claim.says}" for claim in CLAIMS]
    assert "the claim does not hold here, 1 thread, image 512: kernel " in lines[0]
    assert "the claim holds in part here, in 2 of 4 places (1 thread, image 512: kernel 40–60); not in 2" in lines[1]
    assert "the data cannot tell" in lines[2]


def test_summary_and_page_have_them_escaped(answers, tmp_path):
    assert "## Claims" in summary(answers)
    assert "FFT \\<b\\>only\\</b\\> from 49." in summary(answers)
    write_report(tmp_path, answers.info, answers.blocks)
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Claims</h2>" in page
    assert "FFT &lt;b&gt;only&lt;/b&gt;" in page
    assert Reader(page).wrong == []
    assert Reader(page).open == []


def test_lines_are_as_long_as_their_heads(answers):
    assert {len(line) for line in claim_values(answers)} == {len(HEAD)}
    places = list(place_values(answers))
    assert {len(line) for line in places} == {len(PLACE_HEAD)}
    assert len(places) == 1 + 4 + 4


def test_a_run_without_claims_says_nothing_of_them(tmp_path):
    plain = Answers(RUN.info(), RUN.blocks())
    assert "Claims" not in summary(plain)
    write_report(tmp_path, plain.info, plain.blocks)
    assert "<h2>Claims</h2>" not in (tmp_path / "report.html").read_text()


# --- the page of several runs ---------------------------------------------------------------------------


def page(tmp_path, *infos, blocks=None):
    target = tmp_path / "docs" / "claims.md"
    target.parent.mkdir(exist_ok=True)
    blocks = RUN.blocks() if blocks is None else blocks
    write_claims(target, [(tmp_path / "runs" / f"run{index}", one, blocks) for index, one in enumerate(infos)])
    return target.read_text()


def test_the_page_has_each_claims_source_verdict_figure_command_and_machine(tmp_path):
    text = page(tmp_path, info(suite_name="book"), info(suite_name="other", git_commit="0123456789abcdef"))
    assert "Of 6 claims, 2 hold in part, 2 do not hold here, 2 cannot be told." in text
    assert text.count("Some CPU, 2 cores, 16.0 GiB of memory") == 1
    (line,) = {line for line in text.splitlines() if line.startswith("| FFT \\<b")}
    assert re.fullmatch(
        r"\| FFT .* \| a \\\| book \| kernel 39–61 \| does not hold \| kernel [\d.]+ \([\d.]+–[\d.]+\) \|", line
    )
    assert "`convbench run book`" in text
    assert "[../runs/run0](../runs/run0)" in text
    assert "commit 0123456789ab:" in text
    assert "| 1 thread, image 512, kernel 60 |" in text


def test_every_machine_is_named_once(tmp_path):
    text = page(tmp_path, info(), RUN.info(claims=CLAIMS, machine={**MACHINE, "cpu": "Another", "fingerprint": "g"}))
    assert "Some CPU" in text
    assert "Another" in text


def test_the_page_says_why_there_is_no_figure(tmp_path):
    blocks = [b for b in RUN.blocks() if b.algorithm == "fft"]
    blocks += [failed(cell, "direct", 0, Status.OUT_OF_MEMORY, "needs 4 GiB") for cell in RUN.cells]
    assert "direct out of memory: needs 4 GiB" in page(tmp_path, info(), blocks=blocks)


def test_a_page_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(ConvbenchError, match="cannot write"):
        write_claims(tmp_path / "nowhere" / "claims.md", [])
