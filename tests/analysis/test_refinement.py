"""A coarse sweep and a few finer cells place a crossover as a fine sweep does, with a fraction of its samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from analysis.synthetic import Synthetic, kernel_cells, power_law
from convbench.analysis.crossovers import Crossed, crossovers
from convbench.analysis.open_cells import still_open
from convbench.analysis.refinement import finer
from convbench.result import Block, Cell, Crossing, RunInfo

PASSES = 12
FINE = range(3, 128, 2)
COARSE = (3, 15, 63, 127)


def bent(at: float, kernel: float) -> object:
    """Not linear between far cells, so that interpolation over a long way is wrong."""

    def taken(cell: Cell) -> float:
        size = float(cell.axes["kernel"])
        return at * (0.3 + 0.7 * (size / kernel) ** 2)

    return taken


def world(cells: Sequence[Cell], seed: int = 0, crossing: float = 27.0) -> Synthetic:
    times = {"direct": bent(1e-3, crossing), "fft": power_law(1e-3, crossing, 0), "other": power_law(2e-3, crossing, 1)}
    return Synthetic(times, cells, drift=0.0, pass_noise=0.02, sample_noise=0.01)  # type: ignore[arg-type]


def run(coarse: Sequence[int], *, refine: float | None, seed: int) -> tuple[Crossed, int, RunInfo]:
    """As the coordinator does it: the outcome, how many blocks that took, and what the run was in the end."""
    crossing = Crossing(axis="kernel", start="direct", to="fft", refine=refine)
    reserve = [cell for cell in kernel_cells(list(FINE)) if cell.axes["kernel"] not in coarse]
    made = {cell.key: world([cell]).blocks(1000 * seed + int(cell.axes["kernel"])) for cell in kernel_cells(list(FINE))}
    blocks: list[Block] = []
    info = world(kernel_cells(coarse)).info(crossings=(crossing,), reserve=tuple(reserve))
    everything = {
        (one.cell, one.algorithm, one.pass_index): one for some in made.values() for one in _more_passes(some, seed)
    }
    for index in range(PASSES):
        if index:
            added = finer(info, blocks)
            left = tuple(cell for cell in info.reserve if cell not in added)
            info = info.model_copy(update={"cells": (*info.cells, *added), "reserve": left})
        visited = {one.cell for one in blocks}
        work = [(cell.key, info.algorithms) for cell in info.cells if cell.key not in visited]
        work += still_open(info, blocks) if index else []
        blocks += [everything[key, name, index] for key, names in work for name in names]
        if index and not work:
            break
    (found,) = crossovers(info, blocks)
    assert isinstance(found.outcome, Crossed)
    return found.outcome, len(blocks), info


def _more_passes(some: Sequence[Block], seed: int) -> list[Block]:
    """The synthetic world makes five; the same cells with other noise are five more."""
    cell = next(cell for cell in kernel_cells(list(FINE)) if cell.key == some[0].cell)
    found = list(some)
    for more in (1, 2):
        later = world([cell]).blocks(7000 * more + 1000 * seed + int(cell.axes["kernel"]))
        found += [one.model_copy(update={"pass_index": one.pass_index + 5 * more}) for one in later]
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_same_answer_as_a_fine_sweep_from_a_fraction_of_its_samples(seed: int) -> None:
    refined, few, info = run(COARSE, refine=2, seed=seed)
    grid, many, _ = run(list(FINE), refine=None, seed=seed)
    assert refined.low <= 27 <= refined.high
    assert math.sqrt(refined.high / refined.low) <= 1.05
    assert refined.low <= grid.high
    assert grid.low <= refined.high
    assert many >= 5 * few
    assert len(info.cells) <= len(COARSE) + 5


def test_without_being_asked_nothing_is_added() -> None:
    _, _, info = run(COARSE, refine=None, seed=0)
    assert len(info.cells) == len(COARSE)


def test_a_coarse_sweep_alone_is_wrong_about_what_bends() -> None:
    """Or there would be no need for any of this."""
    coarse, _, _ = run(COARSE, refine=None, seed=0)
    assert not coarse.low <= 27 <= coarse.high


def test_what_does_not_cross_is_left_alone() -> None:
    cells = kernel_cells(COARSE)
    far = world(cells, crossing=1000.0)
    crossing = Crossing(axis="kernel", start="direct", to="fft", refine=2)
    info = far.info(crossings=(crossing,), reserve=tuple(kernel_cells([5, 7, 31])))
    assert finer(info, far.blocks(0)) == ()
