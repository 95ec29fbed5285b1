"""Two runs compared, on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from convbench.analysis.comparison import Comparison, Verdict, mean_text, ratio_text
from convbench.analysis.contenders import Contender
from convbench.analysis.quantities import seconds
from convbench.report.answers import Answers
from convbench.report.listings import print_table

STYLES = {Verdict.SLOWER: "red", Verdict.LOST: "red", Verdict.FASTER: "green", Verdict.GAINED: "green"}


def comparison(base: Answers, new: Answers) -> Comparison:
    """Of two runs' answers."""
    return Comparison(
        base.info, new.info, base.contenders, new.contenders, (tuple(base.crossovers), tuple(new.crossovers))
    )


def print_comparison(console: Console, found: Comparison) -> None:
    """What differs, the sentences, each contender in each cell, the crossovers, the means."""
    if found.differences:
        print_table(console, ("what differs", "before", "now"), found.differences)
        console.print()
    print_table(
        console,
        ("cell", "threads", "algorithm", "before", "now", "now / before (95 %)", ""),
        [
            (
                one.name,
                one.threads,
                one.base.algorithm,
                _time(one.base),
                _time(one.new),
                ratio_text(one),
                one.verdict.value,
            )
            for one in found.changes
        ],
    )
    for shift in found.shifts:
        mark = "[bold]moved[/]  " if shift.moved else ""
        console.print(f"{mark}{escape(shift.sentence())}", soft_wrap=True)
    if found.by_algorithm:
        console.print()
        lines = [(name, mean_text(mean)) for name, mean in found.by_algorithm.items()]
        print_table(console, ("algorithm", "now / before, geometric mean"), lines)
    console.print()
    for sentence in found.sentences():
        console.print(escape(sentence), soft_wrap=True)


def _time(one: Contender) -> str:
    return seconds(one.time.value) if one.time else one.status.replace("_", " ")
