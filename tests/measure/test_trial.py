"""When a trial wants another pair: by scripted pairs, without processes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from convbench.analysis.gate import Verdict
from convbench.measure.pairs import Item, Pairs
from convbench.measure.trial import Trial
from convbench.result import Block, Cell, GateLimits, Status
from convbench.spec import ConvSpec

CELL = Cell(spec=ConvSpec(h=9, w=9, r=3, s=3))
MOST_A_ROUND = 100


@dataclass
class Scripted:
    """Pairs whose candidates take so many times as long, by algorithm."""

    ratios: dict[str, float]
    compile_s: float = 0.0
    rounds: int = 0
    spent_s: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    made: list[tuple[int, str]] = field(default_factory=list)
    """Round and algorithm of each pair."""

    def round(
        self, items: Sequence[Item], wanted: Callable[[Item], bool], told: Callable[[Item, Block, Block], None]
    ) -> None:
        for _ in range(MOST_A_ROUND):
            for item in items:
                if wanted(item):
                    self.made.append((self.rounds, item.algorithm))
                    told(item, self._block(item, 1e-3), self._block(item, 1e-3 * self.ratios[item.algorithm]))
        self.rounds += 1

    def _block(self, item: Item, time_s: float) -> Block:
        return Block(
            cell=item.cell.key,
            algorithm=item.algorithm,
            pass_index=len(self.made),
            status=Status.PASSED,
            samples_s=(time_s,) * 5,
            plan_s=time_s,
            prepare_s=time_s,
        )


def trial(pairs: Scripted) -> Trial:
    items = [Item(CELL, name) for name in pairs.ratios]
    return Trial(cast("Pairs", pairs), GateLimits(), items, lambda _progress: None)


def test_a_suspect_is_confirmed_by_processes_that_were_started_later() -> None:
    pairs = Scripted({"slower": 1.2, "same": 1.0})
    made = trial(pairs)
    made.run()
    assert [name for index, name in pairs.made if index == 0].count("slower") == 6
    assert [name for index, name in pairs.made if index == 1] == ["slower"] * 10
    assert made.questions[CELL.key, "slower"]["execute"].verdict is Verdict.SLOWER
    assert made.questions[CELL.key, "same"]["execute"].verdict is Verdict.SAME


def test_what_is_not_suspected_when_its_contender_is_decided_is_left() -> None:
    pairs = Scripted({"same": 1.0})
    made = trial(pairs)
    made.questions[CELL.key, "same"]["plan"].slowdown = 0.0  # no change is neither below its boundary nor above it
    made.run()
    assert made.questions[CELL.key, "same"]["plan"].verdict is Verdict.LEFT
    assert len(pairs.made) == 6


def test_compiling_is_no_part_of_the_budget() -> None:
    spent, compiling = Scripted({"same": 1.0}), Scripted({"same": 1.0}, compile_s=1e6)
    for pairs in (spent, compiling):
        made = trial(pairs)
        made.start_s -= 1e6 - 60
        made.run(budget_s=30.0)
    assert spent.made == []
    assert len(compiling.made) == 6
