"""What a list of shapes costs in all: each layer's time, as often as the network has it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from convbench.analysis.contenders import Contenders
from convbench.analysis.groups import Group
from convbench.analysis.statistics import DRIFT, Estimate, block_median, from_logs, timed
from convbench.analysis.winners import Winner


@dataclass(frozen=True)
class Total:
    """Σ weight·time over a group's cells; `algorithm` is None for the best of each cell, the mix.

    `behind` is the total over the mix's, paired by passes; None without a pass that both share.
    """

    algorithm: str | None
    time: Estimate
    behind: Estimate | None


def totals(group: Group, merged: Contenders, best: Mapping[str, Winner]) -> list[Total]:
    """Fastest first: each contender that passed in every cell, and the best of each cell.

    The sum is taken pass by pass over the passes that all cells share, so that its interval respects
    passes as every other does. The best of each cell is chosen with the data that it is then summed
    from, and so flatters itself by about the noise.
    """
    names = dict.fromkeys(name for key, name in merged if key in {cell.key for cell in group.cells})
    choices: list[tuple[str | None, list[str | None]]] = [(name, [name] * len(group.cells)) for name in names]
    choices.append((None, [best[c.key].algorithm if c.key in best else None for c in group.cells]))
    sums = {label: some for label, chosen in choices if (some := _sums(group, merged, chosen)) is not None}
    mix = sums[None][0] if None in sums else {}
    found = [
        Total(label, from_logs([math.log(one) for one in own.values()], samples, DRIFT), _behind(own, mix))
        for label, (own, samples) in sums.items()
    ]
    return sorted(found, key=lambda total: total.time.value)


def _behind(own: Mapping[int, float], mix: Mapping[int, float]) -> Estimate | None:
    logs = [math.log(own[index] / mix[index]) for index in sorted(own.keys() & mix.keys())]
    return from_logs(logs, len(logs)) if logs else None


def _sums(group: Group, merged: Contenders, chosen: list[str | None]) -> tuple[dict[int, float], int] | None:
    """The sum of each pass that all cells share, and how many samples stand behind them."""
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
    sums = {index: sum(weight * medians[index] for weight, medians, _ in timings) for index in sorted(common)}
    return sums, sum(samples for _, _, samples in timings)
