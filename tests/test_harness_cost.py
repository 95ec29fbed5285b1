"""What the harness does by itself grows with the cells, not with their square: counted in calls, whatever the load."""

from __future__ import annotations

import cProfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from analysis.synthetic import Synthetic, kernel_cells, power_law
from convbench import runs
from convbench.describe import describe_cells
from convbench.measure.coordinator import Coordinator, Options
from convbench.measure.workers import Launch
from convbench.report.answers import Answers
from convbench.report.excerpt import excerpt
from convbench.report.html import page
from convbench.report.markdown import summary
from convbench.result import Crossing
from convbench.store import RunFolder
from convbench.suite import load_suite
from convbench_algorithms.naive import Naive

TIMES_AS_MANY = 4


def calls(act: Callable[[], object]) -> int:
    """How many functions are called."""
    profile = cProfile.Profile()
    profile.runcall(act)
    return sum(entry.callcount for entry in profile.getstats())  # type: ignore[attr-defined]


def plan(folder: Path, count: int) -> None:
    (folder / "s.yaml").write_text(f"sweep: {{image: {{from: 64, to: {63 + count}, step: 1}}, kernel: [3, 5]}}")
    suite = load_suite(folder / "s.yaml")
    describe_cells(suite.cells(2))
    run = RunFolder.begin(folder / str(count), runs.run_info(suite, {"naive": Naive()}, ("naive",), runs.Wishes()))
    assert len(Coordinator(run, Launch(runs.LOADER), Options(), None)._work(0)) == 2 * count  # type: ignore[arg-type]
    assert len(RunFolder.open(run.path).info.cells) == 2 * count


def test_planning_is_not_quadratic(tmp_path: Path) -> None:
    plan(tmp_path, 3)  # what is only done once
    few, many = (calls(partial(plan, tmp_path, count)) for count in (50, 50 * TIMES_AS_MANY))
    assert few < many < 1.2 * TIMES_AS_MANY * few


@pytest.mark.parametrize(
    "tell", [lambda a: a.rows, lambda a: page(a, excerpt(a, 50)), summary], ids=["rows", "page", "md"]
)
def test_reporting_is_not_quadratic(tell: Callable[[Answers], object]) -> None:
    def made(count: int) -> Answers:
        times = {"direct": power_law(1e-3, 20, 2.0), "fft": power_law(1e-3, 20, 0.1)}
        cells = [cell for image in range(64, 64 + count) for cell in kernel_cells([3, 31], image)]
        run = Synthetic(times, cells, [Crossing(axis="kernel", start="direct", to="fft")], passes=2, samples=3)
        return Answers(run.info(), run.blocks())

    tell(made(3))
    few, many = (calls(partial(tell, made(count))) for count in (40, 40 * TIMES_AS_MANY))
    assert few < many < 1.2 * TIMES_AS_MANY * few
