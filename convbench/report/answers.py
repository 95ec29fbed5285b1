"""All that a run says, worked out once for every form of report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from convbench.analysis.claims import Judged, judged
from convbench.analysis.contenders import Contenders, contenders
from convbench.analysis.crossovers import Crossed, Crossover, crossovers
from convbench.analysis.effort import Effort, effort
from convbench.analysis.groups import Group, groups
from convbench.analysis.pareto import Front, fronts
from convbench.analysis.phases import Phases, phases
from convbench.analysis.planes import Plane, planes
from convbench.analysis.planning import Compilation, Planning, compilation, planning
from convbench.analysis.quantities import factor, number_range, percent, plural, seconds
from convbench.analysis.roofline import Roof, Spot, spots
from convbench.analysis.sentences import (
    cell_name,
    crossover_sentence,
    factor_with_interval,
    phases_sentences,
    place,
    winner_sentence,
)
from convbench.analysis.speedups import Speedup, speedups
from convbench.analysis.stages import Staged, staged
from convbench.analysis.table import error_share, rows, worst_agreement
from convbench.analysis.totals import Total, totals
from convbench.analysis.versus import Standing, standings
from convbench.analysis.winners import Winner, winners
from convbench.result import Block, Row, RunInfo, Status

WORTH_TELLING = 1.2
"""Times as long with cold caches as with hot ones."""


@dataclass(frozen=True)
class NotMeasured:
    """Algorithms that have no time in the same cells for the same reason."""

    algorithms: tuple[str, ...]
    status: str
    reason: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """A run and its derived records, each computed when first asked for."""

    info: RunInfo
    blocks: Sequence[Block]

    @property
    def passes(self) -> int:
        """Those that were begun."""
        return 1 + max((block.pass_index for block in self.blocks), default=-1)

    @cached_property
    def contenders(self) -> Contenders:
        """(cell key, algorithm) → contender."""
        return contenders(self.info, self.blocks)

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of `results.csv`."""
        return rows(self.info, self.blocks, self.contenders)

    @cached_property
    def winners(self) -> dict[str, Winner]:
        """Cell key → winner."""
        return winners(self.info, self.blocks, self.contenders)

    @cached_property
    def crossovers(self) -> list[Crossover]:
        """Every declared crossing in every group."""
        return crossovers(self.info, self.blocks, self.contenders)

    @cached_property
    def groups(self) -> list[Group]:
        """The cells in groups along the main axis."""
        return groups(self.info)

    @cached_property
    def planes(self) -> list[Plane]:
        """The groups with an axis, as maps have them."""
        return planes(self.groups)

    @cached_property
    def fronts(self) -> list[Front]:
        """For each cell, whom none beats in time, workspace and error at once."""
        return list(fronts(self.info, self.contenders))

    @cached_property
    def fronts_by_place(self) -> dict[str, list[Front]]:
        """The same, by number of threads or device."""
        found: dict[str, list[Front]] = {}
        for front in self.fronts:
            found.setdefault(place(front.cell.threads, front.cell.device, ()), []).append(front)
        return found

    @cached_property
    def rooflines(self) -> dict[Roof, list[Spot]]:
        """Every timed contender, under its roof."""
        found: dict[Roof, list[Spot]] = {}
        for roof, spot in spots(self.info, self.contenders):
            found.setdefault(roof, []).append(spot)
        return found

    @cached_property
    def speedups(self) -> dict[str, dict[str, Speedup]]:
        """For each base: cell key → how many times as fast as it the best other is."""
        return {base: speedups(self.info, self.contenders, self.winners, base) for base in self.info.algorithms}

    def crossed_in(self, group: Group) -> list[Crossed]:
        """The crossings that were placed along a group's own axis."""
        return [
            one.outcome
            for one in self.crossovers
            if (one.curve.threads, one.curve.device, one.curve.fixed) == (group.threads, group.device, group.fixed)
            and one.curve.crossing.axis == group.axis
            and isinstance(one.outcome, Crossed)
        ]

    @cached_property
    def effort(self) -> Effort:
        """How the time was spent."""
        return effort(self.info, self.blocks)

    @cached_property
    def standings(self) -> list[Standing]:
        """Ours against theirs, a line a ground and number of threads; empty where the suite compares no sides."""
        return standings(self.info, self.contenders)

    @cached_property
    def claims(self) -> list[Judged]:
        """What the suite claims, and what the run says of it."""
        return judged(self.info, self.contenders, self.crossovers)

    @cached_property
    def planning(self) -> list[Planning]:
        """Each algorithm's plan times."""
        return planning(self.info, self.blocks)

    @cached_property
    def phases(self) -> list[Phases]:
        """What plan, prepare and execute cost in each cell, and when whom pays for itself."""
        return phases(self.info, self.contenders)

    @cached_property
    def stages(self) -> list[Staged]:
        """The stages of every contender that tells them."""
        found = (staged(contender) for contender in self.contenders.values())
        return [one for one in found if one is not None]

    @cached_property
    def compilation(self) -> Compilation | None:
        """What Numba compiled; None in runs from before that was counted."""
        return compilation(self.blocks)

    @cached_property
    def totals(self) -> list[tuple[Group, list[Total]]]:
        """For each list of shapes, what it costs in all."""
        shapes = [group for group in self.groups if group.axis is None and len(group.cells) > 1]
        return [(group, totals(group, self.contenders, self.winners)) for group in shapes]

    @cached_property
    def not_measured(self) -> list[NotMeasured]:
        """All that has no time, gathered by what befell it."""
        by_algorithm: dict[tuple[str, str, str], list[str]] = {}
        for one in self.contenders.values():
            if one.status is not Status.PASSED:
                where = f"{cell_name(one.cell)}, {plural(one.cell.threads, 'thread')}"
                by_algorithm.setdefault((one.algorithm, one.status, one.reason), []).append(where)
        alike: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
        for (algorithm, status, reason), cells in by_algorithm.items():
            alike.setdefault((status, reason, tuple(cells)), []).append(algorithm)
        return [
            NotMeasured(tuple(names), status.replace("_", " "), reason, cells)
            for (status, reason, cells), names in alike.items()
        ]

    def sentences(self) -> list[str]:
        """The answer in about three sentences, each true as it stands and fit to be quoted."""
        told = [self._who_wins(), *self._where_they_cross(), *phases_sentences(self.phases)]
        return [*told, self._is_it_right(), *self._cold_caches()]

    def _who_wins(self) -> str:
        if not self.winners:
            return "Nothing was timed."
        found = list(self.winners.values())
        provisional = all(best.is_provisional for best in found)
        clear = Counter(best.algorithm for best in found if provisional or not best.is_tie).most_common()
        cells = plural(len(found), "cell")
        if not clear:
            return f"The leaders cannot be told apart in any of {cells}."
        won = [f"{name} in {count}" for name, count in clear[:4]]
        if len(clear) > 4:
            won.append(f"{plural(len(clear) - 4, 'other')} in {sum(count for _, count in clear[4:])}")
        if provisional:
            return f"After one pass over {cells}, and so without intervals, the fastest is {_listed(won)}."
        ties = len(found) - sum(count for _, count in clear)
        tied = f"; in {ties} the leaders cannot be told apart" if ties else ""
        return f"Of {cells}, the fastest is {_listed(won)}{tied}."

    def _where_they_cross(self) -> list[str]:
        placed = [crossover for crossover in self.crossovers if isinstance(crossover.outcome, Crossed)]
        if placed:
            # The first pair that crosses, at its narrowest interval; the other groups say how far it carries.
            same = [crossover for crossover in placed if crossover.curve.crossing == placed[0].curve.crossing]
            best = min(same, key=_relative_width)
            sentence = crossover_sentence(best)
            values = [crossover.outcome.value for crossover in same if isinstance(crossover.outcome, Crossed)]
            if len(values) > 1:
                span = number_range(min(values), max(values))
                sentence += f"; over all {len(values)} groups that cross it lies at {span}"
            return [_capital(sentence) + "."]
        if self.crossovers:
            return [_capital(crossover_sentence(self.crossovers[0])) + "."]
        told = [sentence for group, found in self.totals if (sentence := self._in_all(group, found))]
        if told:
            return told
        clear = [best for best in self.winners.values() if best.margin is not None and not best.is_tie]
        if not clear:
            return []
        top = max(clear, key=lambda one: one.margin.value if one.margin else 0.0)
        return [f"The clearest win is at {cell_name(top.cell)}: {winner_sentence(top)}."]

    def _in_all(self, group: Group, found: Sequence[Total]) -> str:
        """What a list of shapes takes in all, what the best of each saves, and how far the libraries are behind."""
        single = [total for total in found if total.algorithm is not None]
        mix = next((total for total in found if total.algorithm is None), None)
        if not single:
            return ""
        best, where = single[0], place(group.threads, group.device, group.fixed)
        time = best.time
        span = f" (95 %: {seconds(time.low)}–{seconds(time.high)})" if time.has_interval else " (one pass)"
        text = f"At {where}, all shapes take {seconds(time.value)}{span} with {best.algorithm} alone"
        if mix is not None and best.behind is not None:
            faster = factor_with_interval(best.behind)
            text += f", {seconds(mix.time.value)} with the best of each: {faster} as fast"
        peers = [one for one in single if "peer" in self.info.tags.get(str(one.algorithm), ()) and one is not best]
        behind = [f"{one.algorithm} {factor_with_interval(one.behind)}" for one in peers[:3] if one.behind is not None]
        if behind:
            text += f"; against that mix, {_listed(behind)} the time"
        return text + "."

    def _cold_caches(self) -> list[str]:
        """A warning where the hot figures would mislead whoever convolves one image now and then."""
        ratios = {
            (row.algorithm, row.name or row.spec): row.cold_median_s / row.median_s
            for row in self.rows
            if row.cold_median_s and row.median_s
        }
        slower = {key: ratio for key, ratio in ratios.items() if ratio > WORTH_TELLING}
        if not slower:
            return []
        (algorithm, where), most = max(slower.items(), key=lambda item: item[1])
        told = f"With cold caches {len(slower)} of {len(ratios)} results take more than {WORTH_TELLING:g} times as long"
        return [f"{told}, most of all {algorithm} at {where}: {factor(most)}."]

    def _is_it_right(self) -> str:
        checked = [worst for c in self.contenders.values() if (worst := worst_agreement(c.blocks)) is not None]
        wrong = sorted({row.algorithm for row in self.rows if row.status is Status.DISAGREED})
        if not checked:
            return "No result was compared with the reference."
        right = [verdict for verdict in checked if verdict.agrees]
        share = max((error_share(verdict) for verdict in right), default=0.0)
        text = f"Compared with float64, {len(right)} of {len(checked)} results keep their error bound"
        text += f" (the closest uses {percent(share)} of it)" if right else ""
        if wrong:
            text += f"; not ranked where they disagreed: {', '.join(wrong)}"
        return text + "."


def _relative_width(crossover: Crossover) -> float:
    outcome = crossover.outcome
    return outcome.high / outcome.low if isinstance(outcome, Crossed) and outcome.low > 0 else float("inf")


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
