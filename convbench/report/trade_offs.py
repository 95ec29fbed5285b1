"""Trade-offs on the page: in each cell who is fastest, smallest, closest, and who else is worth having."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from convbench.analysis.pareto import Offer
from convbench.analysis.quantities import memory, plural, seconds
from convbench.analysis.sentences import cell_name
from convbench.report.answers import Answers
from convbench.report.views import Value

HEAD: Final = ("cell", "threads", "fastest", "least workspace", "smallest error", "also on the front", "beaten in all")


def trade_off_lines(answers: Answers) -> Iterator[list[Value]]:
    """A line a cell with a choice: one with several contenders on its front."""
    for front in answers.fronts:
        if len(front.best) < 2:
            continue
        fastest = front.best[0]
        smallest = min(front.best, key=lambda one: (one.workspace_bytes, one.time_s))
        known = [one for one in front.best if one.error is not None]
        closest = min(known, key=lambda one: (one.error_exponent, one.time_s), default=None)
        named = {id(one) for one in (fastest, smallest, closest) if one}
        by = "; ".join(f"{name} by {other}" for name, other in front.beaten.items())
        yield [
            Value(cell_name(front.cell), hint=front.cell.spec.id),
            Value(str(front.cell.threads), front.cell.threads),
            _offer(fastest, seconds(fastest.time_s), fastest.time_s),
            _offer(smallest, memory(smallest.workspace_bytes), smallest.workspace_bytes),
            Value("–") if closest is None else _offer(closest, f"{closest.error:.1e}", closest.error),
            Value(", ".join(one.contender.algorithm for one in front.best if id(one) not in named) or "–"),
            Value(", ".join(front.beaten) or "–", hint=by),
        ]


def without_choice(answers: Answers) -> str:
    """A sentence about the cells where one contender beats all others; "" where there are none."""
    alone: dict[str, int] = {}
    for front in answers.fronts:
        if len(front.best) == 1:
            name = front.best[0].contender.algorithm
            alone[name] = alone.get(name, 0) + 1
    if not alone:
        return ""
    told = ", ".join(f"{name} in {plural(count, 'cell')}" for name, count in alone.items())
    return f"One contender beats all others in time, workspace and error at once: {told}."


def _offer(one: Offer, text: str, sort: float | None) -> Value:
    error = "unknown" if one.error is None else f"{one.error:.1e}"
    hint = f"{seconds(one.time_s)}, {memory(one.workspace_bytes)}, error {error}"
    return Value(f"{one.contender.algorithm}, {text}", sort, hint)
