"""The closing table: the best of ours against the best of theirs, cell by cell and ground by ground.

In each cell both sides send their fastest strict contender that agrees with the reference, chosen by the
same rule from the same passes. A ratio above 1 says how many times faster ours is.

Choosing the best with the data that it is then judged by flatters a side by about the noise where several
of its contenders are nearly equal. Both sides choose alike, so most of that cancels in the ratio; what is
left favours the side with more near-equals, and is small beside a target that the interval clears.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from convbench.analysis.contenders import Contender, Contenders
from convbench.analysis.statistics import Estimate, from_logs, independent_ratio, paired_log_ratios, paired_ratio
from convbench.analysis.winners import fastest
from convbench.result import Cell, DuelRow, RunInfo, Target


class Verdict(StrEnum):
    """Whether a target is met: as far as the intervals can tell."""

    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Duel:
    """One cell: the best of each side, and theirs / ours in time."""

    cell: Cell
    ours: Contender
    theirs: Contender
    ratio: Estimate


@dataclass(frozen=True)
class Judged:
    """What a target says, and what became of it."""

    text: str
    verdict: Verdict


@dataclass(frozen=True)
class Standing:
    """One ground at one number of threads; `mean` is geometric, over the cells with a duel."""

    ground: str
    threads: int
    device: str
    duels: tuple[Duel, ...]
    without_theirs: tuple[Cell, ...]
    without_ours: tuple[Cell, ...]
    without_both: tuple[Cell, ...]
    mean: Estimate | None
    targets: tuple[Judged, ...]

    @property
    def worst(self) -> Duel | None:
        """Where ours is least ahead; the least of many noisy ratios is rather too low than too high."""
        return min(self.duels, key=lambda duel: duel.ratio.value, default=None)

    @property
    def slower(self) -> int:
        """Cells in which theirs is faster."""
        return sum(duel.ratio.value < 1 for duel in self.duels)


def standings(info: RunInfo, merged: Contenders) -> list[Standing]:
    """By ground in the suite's order, then by threads; empty where the suite compares no sides."""
    grounds = {cell.ground: index for index, cell in reversed(list(enumerate(info.cells)))}
    places = {(grounds[cell.ground], cell.device, cell.threads, cell.ground): None for cell in info.cells}
    return [
        _standing(info, merged, ground, device, threads)
        for _, device, threads, ground in sorted(places)
        if info.versus is not None
    ]


def leaders(cell: Cell, merged: Contenders, info: RunInfo) -> tuple[Contender | None, Contender | None]:
    """The fastest strict contender of each side in a cell; None where a side has none that passed."""
    if info.versus is None:
        return None, None
    ours, theirs = (fastest(side_field(cell, merged, side)) for side in (info.versus.ours, info.versus.theirs))
    return ours, theirs


def side_field(cell: Cell, merged: Contenders, side: Sequence[str]) -> list[Contender]:
    """A side's strict contenders with a time in a cell."""
    known = [merged[cell.key, name] for name in side if (cell.key, name) in merged]
    return [one for one in known if one.precision == "strict" and one.time is not None]


def duel_ratio(ours: Contender, theirs: Contender) -> Estimate:
    """Theirs / ours, paired by rounds; from separate passes only where no pass timed both."""
    ratio = paired_ratio(theirs.blocks, ours.blocks) or independent_ratio(theirs.blocks, ours.blocks)
    assert ratio is not None  # both have times
    return ratio


def _standing(info: RunInfo, merged: Contenders, ground: str, device: str, threads: int) -> Standing:
    duels: list[Duel] = []
    alone: dict[str, list[Cell]] = {"theirs": [], "ours": [], "both": []}
    for cell in info.cells:
        if (cell.ground, cell.device, cell.threads) != (ground, device, threads):
            continue
        ours, theirs = leaders(cell, merged, info)
        if ours is not None and theirs is not None:
            duels.append(Duel(cell, ours, theirs, duel_ratio(ours, theirs)))
        else:
            absent = "theirs" if ours is not None else "ours" if theirs is not None else "both"
            alone[absent].append(cell)
    mean = _mean(duels) if duels else None
    targets = info.versus.targets if info.versus else ()
    judged = [
        one
        for target in targets
        if target.ground in (None, ground) and target.threads in (None, threads)
        for one in _judged(target, duels, mean, lacking=bool(alone["ours"] or alone["both"]))
    ]
    return Standing(
        ground,
        threads,
        device,
        duels=tuple(duels),
        without_theirs=tuple(alone["theirs"]),
        without_ours=tuple(alone["ours"]),
        without_both=tuple(alone["both"]),
        mean=mean,
        targets=tuple(judged),
    )


def _mean(duels: Sequence[Duel]) -> Estimate:
    """The geometric mean over cells, pass by pass over the passes that all cells share, as a total is summed.

    Cells of one pass share its processes and its hour, so that they are not independent of each other:
    the interval is Student's over passes. Without a common pass it is the mean of the cells' ratios alone.
    """
    ratios = [paired_log_ratios(duel.theirs.blocks, duel.ours.blocks) for duel in duels]
    common = sorted(set.intersection(*(set(one) for one in ratios)))
    if not common:
        center = sum(math.log(duel.ratio.value) for duel in duels) / len(duels)
        return Estimate(math.exp(center), None, None, 0, len(duels))
    logs = [sum(one[index] for one in ratios) / len(ratios) for index in common]
    return from_logs(logs, len(common) * len(ratios))


def _judged(target: Target, duels: Sequence[Duel], mean: Estimate | None, *, lacking: bool) -> list[Judged]:
    found = []
    if target.at_least is not None:
        verdicts = {reached(duel.ratio, target.at_least) for duel in duels}
        if Verdict.MISSED in verdicts:
            verdict = Verdict.MISSED
        else:
            verdict = Verdict.MET if verdicts == {Verdict.MET} and not lacking else Verdict.UNDECIDED
        found.append(Judged(f"every cell ≥ {target.at_least:g}×", verdict))
    if target.mean_at_least is not None:
        verdict = Verdict.UNDECIDED if mean is None or lacking else reached(mean, target.mean_at_least)
        found.append(Judged(f"mean ≥ {target.mean_at_least:g}×", verdict))
    return found


def reached(ratio: Estimate, target: float) -> Verdict:
    """Met or missed with the whole interval; undecided in between, and where a single pass gives none."""
    if ratio.low is None or ratio.high is None:
        return Verdict.UNDECIDED
    if ratio.low >= target:
        return Verdict.MET
    return Verdict.MISSED if ratio.high < target else Verdict.UNDECIDED


def duel_rows(found: Sequence[Standing], machine: str) -> list[DuelRow]:
    """The rows of `versus.csv` of a machine: every cell with a duel, ground by ground."""
    rows = []
    for standing in found:
        for duel in standing.duels:
            cell, ratio = duel.cell, duel.ratio
            assert duel.ours.time is not None
            assert duel.theirs.time is not None
            rows.append(
                DuelRow(
                    spec=cell.spec.id,
                    name=cell.name,
                    ground=cell.ground,
                    device=cell.device,
                    threads=cell.threads,
                    ours=duel.ours.algorithm,
                    ours_s=duel.ours.time.value,
                    theirs=duel.theirs.algorithm,
                    theirs_s=duel.theirs.time.value,
                    ratio=ratio.value,
                    ci_low=ratio.low,
                    ci_high=ratio.high,
                    passes=ratio.passes,
                    machine=machine,
                )
            )
    return rows
