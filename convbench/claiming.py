"""Claims of several suites together: which are run, for how long each, and which are read from runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from convbench import catalog, runs
from convbench.errors import ConvbenchError
from convbench.runs import Wishes
from convbench.store import RunFolder
from convbench.suite import Suite, shipped_suites

SHIPPED: Final = "claims/"
UNSAID_S: Final = 60.0
"""Of a suite that says no budget."""


def shipped() -> list[str]:
    """The names of the suites that answer what people say."""
    return [name for name in shipped_suites() if name.startswith(SHIPPED)]


def sources(words: Sequence[str], wishes: Wishes) -> list[RunFolder | Suite]:
    """Runs to read and suites to run, in order; all of them checked before the first is run.

    Raises `RunFolderError` for a folder that is no run's, `SuiteError` for what is wrong with a suite, and
    `ConvbenchError` for what claims nothing.
    """
    known = catalog.load(wishes.plugins)
    found: list[RunFolder | Suite] = []
    for word in words:
        source = RunFolder.open(Path(word)) if Path(word).is_dir() else runs.suite_of(word, wishes)
        if isinstance(source, Suite):
            runs.selected(source, known, wishes)
        if not (source.claims if isinstance(source, Suite) else source.info.claims):
            raise ConvbenchError(f"{word}: it claims nothing; valid: {', '.join(shipped())}, or a suite with claims:")
        found.append(source)
    return found


def share(suite: Suite, among: Sequence[RunFolder | Suite], wishes: Wishes) -> Wishes:
    """The wishes for one suite: of a budget for all it has as much as its own is among theirs."""
    if wishes.budget_s is None:
        return wishes
    budgets = [one.budget_s or UNSAID_S for one in among if isinstance(one, Suite)]
    return replace(wishes, budget_s=wishes.budget_s * (suite.budget_s or UNSAID_S) / sum(budgets))
