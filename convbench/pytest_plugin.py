"""For projects that live in pytest: `pytest --convbench SUITE` gates a suite, a test a contender in a cell.

    pytest --convbench suites/ci.yaml --convbench-against origin/main --convbench-plugin kernels.py

and, in a test of one's own, the fixture `convbench_gate(suite, against="HEAD~1", …)`, which fails the test where
something became slower, less accurate, larger or broken, and returns the `GateReport`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pytest

from convbench.errors import ConvbenchError

if TYPE_CHECKING:
    from convbench.analysis.outcomes import Outcome
    from convbench.gating import GateReport


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, in a group of their own."""
    group = parser.getgroup("convbench", "gating the speed of convolution kernels")
    group.addoption("--convbench", metavar="SUITE", help="gate this suite, a test a contender in a cell")
    group.addoption("--convbench-against", metavar="REV", default="HEAD~1", help="the commit to compare with (HEAD~1)")
    group.addoption("--convbench-plugin", metavar="FILE.py", action="append", default=[], help="algorithms of yours")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the suite's contenders behind the tests."""
    suite = config.getoption("--convbench")
    if not suite:
        return
    if hasattr(config, "workerinput"):
        raise pytest.UsageError("--convbench measures: it cannot share the cores with other tests; add -n 0")
    try:
        gate = Gate(suite, config.getoption("--convbench-against"), config.getoption("--convbench-plugin"))
        for cell, algorithm in gate.contenders:
            name = f"convbench[{cell}-{algorithm}]"
            items.append(GateItem.from_parent(session, name=name, gate=gate, cell=cell, algorithm=algorithm))
    except ConvbenchError as error:
        raise pytest.UsageError(str(error)) from error


@final
class Gate:
    """One gate, made when the first of its tests runs."""

    def __init__(self, suite: str, against: str, plugins: list[str]) -> None:
        self.suite = suite
        self.against = against
        self.plugins = tuple(Path(path) for path in plugins)

    @cached_property
    def contenders(self) -> list[tuple[str, str]]:
        """Cell and algorithm of everything that the suite would measure."""
        from convbench import catalog, machine, runs

        wishes = runs.Wishes(plugins=self.plugins)
        suite = runs.suite_of(self.suite, wishes)
        known = catalog.load(self.plugins)
        names = runs.selected(suite, known, wishes)
        cells = suite.cells(len(machine.usable_cores()))
        return [(cell.key, name) for cell in cells for name in names if known[name].supports(cell.spec) is None]

    @cached_property
    def report(self) -> GateReport:
        """The verdicts."""
        return run_gate(self.suite, self.against, plugins=self.plugins)


@final
class GateItem(pytest.Item):
    """One contender in one cell."""

    def __init__(self, *, gate: Gate, cell: str, algorithm: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.gate = gate
        self.cell = cell
        self.algorithm = algorithm

    def runtest(self) -> None:
        """Fail by the verdict; skip what could not be compared or decided."""
        found = [one for one in self.gate.report.outcomes if (one.cell, one.algorithm) == (self.cell, self.algorithm)]
        if not found:
            pytest.skip(f"not from this repository: {', '.join(self.gate.report.excluded)}")
        _judge(found[0])

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """The verdict, without a traceback into convbench."""
        del style
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the test stands: in the suite."""
        return Path(self.gate.suite), None, self.name


@pytest.fixture
def convbench_gate(tmp_path: Path) -> Callable[..., GateReport]:
    """`convbench_gate("suites/ci.yaml", "origin/main")`, with the arguments of `run_gate`."""

    def gate(suite: str, against: str = "HEAD~1", **wishes: Any) -> GateReport:
        report = run_gate(suite, against, **{"out": tmp_path, **wishes})
        for outcome in report.outcomes:
            _judge(outcome, skip=lambda _reason: None)
        return report

    return gate


def run_gate(
    suite: str,
    against: str,
    *,
    plugins: tuple[Path, ...] = (),
    algorithms: tuple[str, ...] = (),
    budget_s: float | None = None,
    out: Path = Path("runs"),
) -> GateReport:
    """`convbench gate` of a suite (a file, a shipped one's name, a spec), without a word on the terminal."""
    from convbench import gating, runs

    wishes = runs.Wishes(plugins=plugins, algorithms=algorithms, budget_s=budget_s)
    return gating.gate(runs.suite_of(suite, wishes), against, out, wishes, lambda _progress: None)


def _judge(outcome: Outcome, skip: Callable[[str], object] = pytest.skip) -> None:
    from convbench.analysis.outcomes import EXIT_CODES, Result
    from convbench.report.gate import changed

    told = f"{outcome.algorithm} {outcome.result}: {changed(outcome)} {outcome.detail} ({outcome.cell})"
    if outcome.result is Result.INCONCLUSIVE or outcome.result in (Result.NEW, Result.MENDED, Result.NOT_MEASURED):
        skip(told)
    elif outcome.result in EXIT_CODES:
        raise AssertionError(told)
