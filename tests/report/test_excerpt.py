"""The page of a huge run shows some of its cells, and says so."""

from __future__ import annotations

import re

import pytest

from analysis.synthetic import Synthetic, kernel_cells, power_law
from convbench.report.answers import Answers
from convbench.report.canvas import evenly
from convbench.report.excerpt import excerpt, said
from convbench.report.html import page
from convbench.result import Crossing

KERNELS = list(range(3, 43, 2))
RUN = Synthetic(
    {"direct": power_law(1e-3, 20, 2.0), "fft": power_law(1e-3, 20, 0.1)},
    [cell for image in (64, 128, 256, 512) for cell in kernel_cells(KERNELS, image)],
    [Crossing(axis="kernel", start="direct", to="fft")],
    passes=3,
    samples=3,
)


@pytest.fixture(scope="module")
def answers() -> Answers:
    return Answers(RUN.info(), RUN.blocks())


def test_a_run_that_fits_is_shown_whole(answers: Answers) -> None:
    assert excerpt(answers) is answers
    assert excerpt(answers, 160) is answers
    assert said(answers, answers) == ""


def test_of_a_larger_one_a_smaller_grid_is_left(answers: Answers) -> None:
    shown = excerpt(answers, 80)
    cells = shown.info.cells
    assert len(shown.info.algorithms) * len(cells) <= 80
    images = {cell.axes["image"] for cell in cells}
    assert images == {64, 512}
    grid = [{cell.axes["kernel"] for cell in cells if cell.axes["image"] == image} for image in images]
    assert grid[0] == grid[1]
    assert {KERNELS[0], KERNELS[-1]} <= grid[0]


def test_each_cells_answers_stay_what_they_are(answers: Answers) -> None:
    shown = excerpt(answers, 80)
    rows = {(row.spec, row.algorithm): row for row in answers.rows}
    assert shown.rows
    assert all(rows[row.spec, row.algorithm] == row for row in shown.rows)
    assert shown.winners.items() <= answers.winners.items()


def test_the_page_says_so_and_is_about_all_of_the_run(answers: Answers) -> None:
    whole, part = page(answers), page(answers, excerpt(answers, 80))
    assert "too many for one page" not in whole
    assert "80 cells are too many for one page. The tables, maps and charts below show 40 of them" in part
    for sentence in answers.sentences():
        assert sentence.partition(":")[0] in part
    assert len(part) < len(whole)
    crossings = [re.findall(r"overtakes direct at kernel [^<]*", text) for text in (whole, part)]
    assert crossings[0] == crossings[1] != []
    assert part.count('"marks": [{') == 2


def test_one_of_many_is_the_first() -> None:
    assert evenly([1, 2, 3], 1) == [1]
