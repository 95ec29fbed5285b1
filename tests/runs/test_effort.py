"""What is worth starting: predictions from smaller cells, and what was timed already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.synthetic import Synthetic, block, kernel_cells
from convbench.measure.coordinator import Coordinator, Options
from convbench.measure.effort import predicted_call_s
from convbench.measure.workers import Launch
from convbench.spec import ConvSpec
from convbench.store import RunFolder


def square(image: int, kernel: int) -> ConvSpec:
    return ConvSpec(h=image, w=image, r=kernel, s=kernel, padding="same")


def test_nothing_known_predicts_nothing() -> None:
    assert predicted_call_s(square(64, 3), []) == 0.0
    assert predicted_call_s(square(64, 3), [(square(64, 5), 1.0)]) == 0.0


def test_direct_sums_grow_with_their_work() -> None:
    known = [(square(64, 3), 1e-4), (square(64, 9), 9e-4)]
    assert predicted_call_s(square(64, 27), known) == pytest.approx(81e-4)


def test_a_transform_is_judged_by_its_own_filter_on_a_smaller_image() -> None:
    known = [(square(512, 81), 1e-2), (square(512, 161), 1.1e-2), (square(1024, 81), 4e-2)]
    assert predicted_call_s(square(1024, 161), known) == pytest.approx(4.4e-2)


def test_whoever_was_timed_in_a_cell_is_not_predicted_out_of_it(tmp_path: Path) -> None:
    """A leader whose one call is long is measured again, while a larger cell is not worth starting."""
    cells = kernel_cells([15, 19], image=64)
    run = Synthetic(dict.fromkeys("ab", lambda cell: 1.0), cells)
    blocks = [block(cells[0], "a", 0, [9.0])]
    unwatched: Any = None
    folder = RunFolder(tmp_path, run.info(), blocks)
    coordinator = Coordinator(folder, Launch("none"), Options(budget_s=60.0), unwatched)
    assert coordinator._too_long("a", cells[0]) == ""
    assert "a fifth of a percent of the budget" in coordinator._too_long("a", cells[1])
    assert coordinator._too_long("b", cells[1]) == ""
