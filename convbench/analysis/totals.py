"""What a list of shapes costs in all: each layer's time, as often as the network has it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from convbench.analysis.contenders import Contenders
from convbench.analysis.groups import Group
from convbench.analysis.statistics import Estimate, block_median, from_logs, timed
from convbench.analysis.winners import Winner


@dataclass(frozen=True)
class Total:
    """Σ weight·time over a group's cells; `algorithm` is None for the best of each cell."""

    algorithm: str | None
    time: Estimate


def totals(group: Group, merged: Contenders, best: Mapping[str, Winner]) -> list[Total]:
    """Fastest first: each contender that passed in every cell, and the best of each cell.

    The sum is taken pass by pass over the passes that all cells share, so that its interval respects
    passes as every other does. The best of each cell is chosen with the data that it is then summed
    from, and so flatters itself by about the noise.
    """
    names = dict.fromkeys(name for key, name in merged if key in {cell.key for cell in group.cells})
    choices: list[tuple[str | None, list[str | None]]] = [(name, [name] * len(group.cells)) for name in names]
    choices.append((None, [best[c.key].algorithm if c.key in best else None for c in group.cells]))
    found = [Total(label, time) for label, chosen in choices if (time := _total(group, merged, chosen)) is not None]
    return sorted(found, key=lambda total: total.time.value)


def _total(group: Group, merged: Contenders, chosen: list[str | None]) -> Estimate | None:
    timings: list[tuple[float, dict[int, float], int]] = []
    for cell, name in zip(group.cells, chosen, strict=True):
        contender = merged[cell.key, name] if name is not None else None
        if contender is None or contender.time is None:
            return None
        medians = {index: block_median(block) for index, block in timed(contender.blocks).items()}
        timings.append((cell.weight, medians, contender.time.samples))
    common = set.intersection(*(set(medians) for _, medians, _ in timings))
    if not common:
        return None
    sums = [sum(weight * medians[index] for weight, medians, _ in timings) for index in sorted(common)]
    return from_logs([math.log(total) for total in sums], sum(samples for _, _, samples in timings))
