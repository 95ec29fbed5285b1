#!/usr/bin/env python
"""What stored baselines would have said with other yardsticks: `python scripts/yardsticks.py SELFTEST…`.

The samples are those of selftests (folders of `convbench selftest`), taken together. By each yardstick alone, without
each of them, and by all: how often something unchanged raises an alarm against a run that was stored ten minutes and
more before, in one run and confirmed by the next one, and how often something slower does.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console

from convbench import selftest
from convbench.analysis.detection import Decision, drift
from convbench.analysis.stored_baseline import NONE
from convbench.report.listings import print_table
from convbench.report.selftest import slowdown


def with_only(decisions: Sequence[Decision], names: Collection[str]) -> list[Decision]:
    """The decisions, as if no other yardsticks had been measured."""

    def kept(passes: Sequence[dict[str, float]]) -> tuple[dict[str, float], ...]:
        return tuple({name: one[name] for name in one if name in (NONE, *names)} for one in passes)

    return [one.model_copy(update={"stored": kept(one.stored), "new": kept(one.new)}) for one in decisions]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("selftest", type=Path, nargs="+")
    decisions = [one for folder in parser.parse_args().selftest for one in selftest.read(folder)]
    known = sorted({name for one in decisions for made in one.stored for name in made} - {NONE})
    tried = {", ".join(names): names for names in (*([name] for name in known), *_without_one(known), known)}
    print_table(
        Console(highlight=False),
        ("yardsticks", "threads", "slowdown", "a run stored … before", "alarms"),
        [
            (title, str(one.threads), slowdown(one.share), one.apart, str(one.gate))
            for title, names in tried.items()
            for one in drift(with_only(decisions, names))
        ],
    )


def _without_one(names: Sequence[str]) -> list[list[str]]:
    return [[name for name in names if name != left_out] for left_out in names]


if __name__ == "__main__":
    main()
