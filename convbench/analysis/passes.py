"""What a pass of a run measures: all cells first, cheap ones ahead; then those where the answer is open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from convbench.analysis.open_cells import still_open
from convbench.analysis.refinement import finer
from convbench.result import Block, Cell, RunInfo, Status

Work = Sequence[tuple[Cell, tuple[str, ...]]]
"""Cells with the contenders to measure in each."""

PASSES_OF_A_FINER_CELL: Final = 3
"""At least, of a cell that is added beside a crossover: with fewer there is hardly an interval."""


def work_of(info: RunInfo, blocks: Sequence[Block], pass_index: int, *, whole: bool) -> Work:
    """The cells of a pass, less those that `blocks` hold already; with `whole`, all contenders that have not failed."""
    if pass_index == 0:
        cheap_first = sorted(info.cells, key=lambda cell: (cell.spec.direct_flops, cell.spec.id))
        wanted = [(cell, info.algorithms) for cell in cheap_first]
    elif whole:
        failed = {(block.cell, block.algorithm) for block in blocks if block.status is not Status.PASSED}
        running = [(cell, [n for n in info.algorithms if (cell.key, n) not in failed]) for cell in info.cells]
        wanted = [(cell, tuple(names)) for cell, names in running if names]
    else:
        cells = {cell.key: cell for cell in info.cells}
        earlier = _before(blocks, pass_index)
        visited = {block.cell for block in earlier}
        wanted = [(cell, info.algorithms) for cell in info.cells if cell.key not in visited]
        wanted += [(cells[key], tuple(names)) for key, names in still_open(info, earlier)]
    return unmeasured(wanted, blocks, pass_index)


def unmeasured(wanted: Work, blocks: Sequence[Block], pass_index: int) -> Work:
    """Less the cells that hold a block of each of their contenders in this pass."""
    done = {(block.cell, block.algorithm) for block in blocks if block.pass_index == pass_index}
    return [(cell, names) for cell, names in wanted if not all((cell.key, name) in done for name in names)]


def refined(info: RunInfo, blocks: Sequence[Block], pass_index: int, passes: int) -> tuple[Cell, ...]:
    """Cells of the reserve to add before a pass: beside crossovers not yet placed, while enough passes are left."""
    if measured_in(blocks, pass_index) or passes - pass_index < PASSES_OF_A_FINER_CELL:
        return ()
    return tuple(finer(info, _before(blocks, pass_index)))


def measured_in(blocks: Sequence[Block], pass_index: int) -> bool:
    """Whether the pass has begun."""
    return any(block.pass_index == pass_index for block in blocks)


def _before(blocks: Sequence[Block], pass_index: int) -> list[Block]:
    return [block for block in blocks if block.pass_index < pass_index]
