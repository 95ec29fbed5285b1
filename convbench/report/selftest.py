"""What a selftest has found: rates with their intervals, the gate's beside other tools'."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from convbench.analysis.detection import Decision, Rate, coverage, drift, false_gates, smallest_seen, table
from convbench.analysis.quantities import percent, plural
from convbench.report.listings import print_table


def print_rates(console: Console, decisions: Sequence[Decision]) -> None:
    """A line for each share of extra work, then what can be relied on."""
    lines = table(decisions)
    rivals = list(dict.fromkeys(name for line in lines for name in line.rivals))
    head = ("threads", "slowdown", "alarms", "undecided", "time (95 %)", *(f"{name}'s rule" for name in rivals))
    print_table(
        console,
        head,
        [
            (
                str(line.threads),
                slowdown(line.share),
                str(line.found),
                str(line.undecided.count),
                f"{line.seconds:.1f} s ({line.most_seconds:.0f})",
                *(_short(line.rivals.get(name)) for name in rivals),
            )
            for line in lines
        ],
    )
    if any(not line.share for line in lines):
        console.print(
            f"gates that raised an alarm about something unchanged: {false_gates(decisions)}", highlight=False
        )
    for threads in dict.fromkeys(line.threads for line in lines):
        smallest = smallest_seen(lines, threads)
        said = "none of these was" if smallest is None else f"the smallest of these that was is {percent(smallest)}"
        console.print(f"{plural(threads, 'thread')}: found in 95 % of the tries, {said}", highlight=False)
    for one in coverage(decisions):
        console.print(
            f"{plural(one.threads, 'thread')}: 95 % intervals over five passes held the true ratio in {one.ratios}; the"
            f" time by all other processes of the same gate in {one.times}, by those of all gates in {one.drifted}",
            highlight=False,
            soft_wrap=True,
        )
    stored = [
        (str(one.threads), slowdown(one.share), one.apart, str(one.raw), str(one.gate)) for one in drift(decisions)
    ]
    if stored:
        head = ("threads", "slowdown", "a run stored … before", "alarms by > 5 %", "by yardsticks, confirmed")
        print_table(console, head, stored)


def slowdown(share: float) -> str:
    """What a contender does more of, as a cell of a table."""
    return percent(share) if share else "none"


def _short(rate: Rate | None) -> str:
    return "–" if rate is None else f"{100 * rate.value:.0f} %"
