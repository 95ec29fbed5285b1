"""Phases and stages on the page, in figures, in a sentence and on the terminal."""

import re

import pytest
from rich.console import Console

from analysis.synthetic import Synthetic, block, kernel_cells
from convbench.report import print_summary, write_report
from convbench.report.answers import Answers
from convbench.report.drawing import svg
from convbench.report.html import page
from convbench.report.markdown import summary
from convbench.report.phases import COST_HEAD, ENVELOPE_HEAD, SLOTS, places, slots
from convbench.report.stage_bars import COLORS, MOST_CELLS, stage_figures
from report.test_report import NASTY, Reader

COSTS = {"direct": (0.0, 0.0, 10.0), "fft": (10.0, 5.0, 5.0), "naive": (0.0, 0.0, 90.0)}
STAGES = {"fft": {"forward transform": (1.0,), "product": (3.0,), f"mine {NASTY}": (0.5,)}}
CELLS = kernel_cells([3, 5]) + kernel_cells([3], threads=2)
RUN = Synthetic({name: lambda cell: 1.0 for name in COSTS}, CELLS)


def blocks(cells=CELLS, passes=3):
    return [
        block(cell, name, i, [execute * (1 + 1e-6 * i)], plan_s=plan, prepare_s=prepare, stages_s=STAGES.get(name, {}))
        for i in range(passes)
        for cell in cells
        for name, (plan, prepare, execute) in COSTS.items()
    ]


@pytest.fixture(scope="module")
def answers():
    return Answers(RUN.info(), blocks())


def test_the_tables_have_a_place_for_each_number_of_threads(answers):
    one, two = places(answers)
    assert (one.title, two.title) == ("1 thread", "2 threads")
    assert [[value.text for value in line] for line in two.envelopes] == [
        ["image 512, kernel 3", "direct; from 3: fft", "direct"]
    ]
    assert {len(line) for line in one.envelopes} == {len(ENVELOPE_HEAD)}
    assert [len(line) for line in one.costs] == [len(COST_HEAD)] * 6
    assert [value.text for value in two.costs[1]] == [
        "image 512, kernel 3", "fft", "10.0 s", "5.00 s", "5.00 s", "20.0 s", "3 (3–4)", "cannot be told",
    ]  # fmt: skip
    assert two.costs[2][6].text == "never"
    assert two.costs[1][6].sort == 3
    assert two.costs[2][6].sort is None


def test_a_bar_has_its_stages_with_times_and_shares(answers):
    (bar,) = next(reversed(list(places(answers)))).bars
    assert (bar.algorithm, bar.total, bar.of_execute.text) == ("fft", "4.50 s", "0.90×")
    assert [(piece.name, piece.text) for piece in bar.pieces[:2]] == [
        ("forward transform", "1.00 s (22 %)"),
        ("product", "3.00 s (67 %)"),
    ]
    assert sum(piece.width for piece in bar.pieces) == pytest.approx(1)
    assert slots(answers)["product"] == SLOTS["product"] < len(COLORS)
    assert all(slot < len(COLORS) for slot in slots(answers).values())


def test_the_page_has_them_well_formed_and_escaped(answers):
    text = page(answers)
    reader = Reader(text)
    assert reader.wrong == []
    assert reader.open == []
    assert reader.scripts == 2
    for words in ("Phases: plan, prepare, execute", "Stages inside execute", "direct; from 3: fft", "mine &lt;script"):
        assert words in text
    assert "Phases:" not in page(Answers(RUN.info(), []))


def test_without_stages_there_are_phases_alone(tmp_path):
    plain = [one.model_copy(update={"stages_s": {}}) for one in blocks()]
    write_report(tmp_path, RUN.info(), plain)
    text = (tmp_path / "report.html").read_text()
    assert "Phases: plan" in text
    assert "Stages inside" not in text
    assert not list((tmp_path / "figures").glob("phases-*"))


def test_a_sentence_says_who_pays_for_itself_after_how_many(answers):
    said = (
        "For a single image, plan and filter included, direct is the cheapest in 3 of 3 cells; "
        "with one filter for all, fft pays for itself after 3 images in 3."
    )
    assert said in answers.sentences()
    assert said in summary(answers)
    alone = Answers(RUN.info(algorithms=("direct",)), blocks())
    assert not any("single image" in sentence for sentence in alone.sentences())
    (single,) = (s for s in Answers(RUN.info(cells=tuple(CELLS[:1])), blocks()).sentences() if "single image" in s)
    assert single.endswith("direct is the cheapest; with one filter for all, fft pays for itself after 3 images.")


def test_the_figures_are_drawn_of_a_few_cells(answers, tmp_path):
    write_report(tmp_path, RUN.info(), blocks())
    assert {path.name for path in (tmp_path / "figures").glob("phases-*")} == {
        "phases-1thread.svg", "phases-1thread.png", "phases-2threads.svg", "phases-2threads.png",
    }  # fmt: skip
    many = kernel_cells(range(1, 40, 2))
    run = Synthetic({name: lambda cell: 1.0 for name in COSTS}, many)
    ((_, figure),) = stage_figures(Answers(run.info(), blocks(many)))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len(titles) == MOST_CELLS
    assert titles[0].endswith("kernel 1")
    assert titles[-1].endswith("kernel 39")
    assert "3.00 s" in [text.get_text() for text in figure.axes[0].texts]
    assert "<script" not in svg(figure)


@pytest.mark.parametrize(("cells", "listed"), [(1, True), (6, False)])
def test_the_terminal_lists_the_stages_of_few_cells(cells, listed, tmp_path):
    some = kernel_cells(range(1, 2 * cells, 2))
    run = Synthetic({name: lambda cell: 1.0 for name in COSTS}, some)
    for terminal in (True, False):
        with (tmp_path / "out").open("w+") as file:
            print_summary(Console(file=file, force_terminal=terminal, width=160), run.info(), blocks(some))
            file.seek(0)
            text = file.read()
        assert bool(re.search(r"forward transform 1\.00 s \(22 %\), product 3\.00 s", text)) is listed
        assert "pays for itself after 3 images" in " ".join(text.split())
