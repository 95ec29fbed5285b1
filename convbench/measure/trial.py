"""Rounds of pairs, as many as each contender in each cell needs to be decided."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import final

from convbench.analysis.gate import Question, Verdict, decide
from convbench.analysis.outcomes import EXECUTE, QUANTITIES, Outcome, failed, outcome, pair_logs
from convbench.measure.pairs import Item, Pairs
from convbench.result import Block, GateLimits


@dataclass(frozen=True)
class GateProgress:
    """How far a gate has come."""

    round: int
    items: int
    open: int
    suspects: int
    item: Item
    elapsed_s: float


Told = Callable[[GateProgress], None]


@final
class Trial:
    """Rounds of pairs until every contender in every cell is decided, or its time is spent."""

    def __init__(self, pairs: Pairs, limits: GateLimits, items: Sequence[Item], told: Told) -> None:
        self.pairs = pairs
        self.limits = limits
        self.items = items
        self.told = told
        self.start_s = monotonic()
        self.questions = {
            item.key: {
                quantity: Question(
                    item.cell.key,
                    item.algorithm,
                    quantity,
                    limits.slowdown(item.cell, item.algorithm, quantity),
                )
                for quantity in QUANTITIES
            }
            for item in items
        }
        self.suspected: dict[tuple[str, str], int] = {}
        """In which round a contender was: its confirmation has to come from processes that were started later."""
        self.blocks: dict[tuple[str, str], tuple[list[Block], list[Block]]] = {item.key: ([], []) for item in items}

    def run(self, budget_s: float | None = None) -> None:
        """Measure; `budget_s` bounds it all but compilation, and each contender in a cell has its own limit besides."""

        def wanted(item: Item) -> bool:
            fresh = self.suspected.get(item.key) != self.pairs.rounds
            measuring_s = monotonic() - self.start_s - self.pairs.compile_s
            return fresh and measuring_s < (math.inf if budget_s is None else budget_s) and self._pending(item)

        while pending := [item for item in self.items if wanted(item)]:
            self.pairs.round(pending, wanted, self._take)
        decide(self._asked(), closing=True)

    def outcomes(self) -> list[Outcome]:
        """One for each contender in each cell that either side supports."""
        found = [
            outcome(
                item.cell,
                item.algorithm,
                *self.blocks[item.key],
                self.questions[item.key],
                self.limits,
                self.pairs.spent_s[item.key],
            )
            for item in self.items
            if any(self.blocks[item.key])
        ]
        return [one for one in found if one is not None]

    def logs(self, item: Item) -> list[float]:
        """log(candidate / base) of every pair of an item, in order."""
        pairs = (pair_logs(*sides) for sides in zip(*self.blocks[item.key], strict=True))
        return [logs[EXECUTE] for logs in pairs if EXECUTE in logs]

    def _take(self, item: Item, base: Block, candidate: Block) -> None:
        """Judge by the pair that was just made."""
        for side, block in zip(self.blocks[item.key], (base, candidate), strict=True):
            side.append(block)
        for quantity, log in pair_logs(base, candidate).items():
            self.questions[item.key][quantity].add(log)
        decide(self._asked())
        if not self._pending(item):
            self._leave(item)
        elif any(question.verdict is Verdict.SUSPECT for question in self.questions[item.key].values()):
            self.suspected.setdefault(item.key, self.pairs.rounds)
        verdicts = [question.verdict for question in self._asked()]
        self.told(
            GateProgress(
                self.pairs.rounds,
                len(self.items),
                sum(self._pending(one) for one in self.items),
                verdicts.count(Verdict.SUSPECT),
                item,
                monotonic() - self.start_s,
            )
        )

    def _leave(self, item: Item) -> None:
        """No more pairs come: what has not been suspected by now will not be."""
        for question in self.questions[item.key].values():
            if question.verdict is Verdict.OPEN and question.quantity != EXECUTE:
                question.verdict = Verdict.LEFT

    def _asked(self) -> list[Question]:
        return [question for questions in self.questions.values() for question in questions.values()]

    def _pending(self, item: Item) -> bool:
        """Whether another pair is due: the time to execute decides, and whatever else is suspected."""
        if failed(*self.blocks[item.key]):
            return False
        if self.pairs.spent_s[item.key] >= self.limits.cell_budget:
            return False
        questions = self.questions[item.key].values()
        return any(q.verdict is Verdict.SUSPECT or (q.quantity == EXECUTE and not q.decided) for q in questions)
