"""Rates with their intervals, and the table of a selftest; other tools' rules on samples that are known."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from convbench.analysis.detection import APART_S, Decision, Rate, coverage, drift, false_gates, smallest_seen, table
from convbench.analysis.outcomes import Result
from convbench.analysis.rival_rules import asv, pyperf, pytest_benchmark
from convbench.analysis.statistics import DRIFT
from convbench.analysis.stored_baseline import NONE

YARDSTICKS = Path(__file__).parents[2] / "scripts" / "yardsticks.py"


@pytest.mark.parametrize(("count", "tries"), [(0, 1000), (3, 1000), (297, 300), (300, 300)])
def test_rates_have_exact_intervals(count: int, tries: int) -> None:
    rate = Rate.of(count, tries)
    exact = stats.binomtest(count, tries).proportion_ci(0.95, method="exact")
    assert (rate.low, rate.high) == pytest.approx((exact.low, exact.high))
    assert str(rate).startswith(f"{count} of {tries}, ")


def decision(share: float, result: Result, threads: int = 1) -> Decision:
    return Decision(
        gate="one",
        workload="w",
        threads=threads,
        share=share,
        result=result,
        pairs=6,
        spent_s=2.0,
        logs=(0.0,) * 6,
        base_s=(1.0,) * 6,
        rivals={"pyperf": True},
        at_s=0.0,
        stored=(),
        new=(),
    )


def test_a_false_alarm_is_one_in_either_direction() -> None:
    decisions = [decision(0.0, result) for result in (Result.SAME, Result.SLOWER, Result.FASTER, Result.INCONCLUSIVE)]
    (line,) = table(decisions)
    assert (line.found.count, line.found.tries, line.undecided.count) == (2, 4, 1)
    assert line.rivals["pyperf"].value == 1.0
    assert line.most_seconds == 2.0


def test_a_gate_is_wrong_once_however_many_alarms_it_raises() -> None:
    def of(gate: str, result: Result, share: float = 0.0) -> Decision:
        return decision(share, result).model_copy(update={"gate": gate})

    wrong = [of("a", Result.SLOWER), of("a", Result.FASTER), of("b", Result.SAME), of("b", Result.SLOWER, 0.1)]
    assert (false_gates(wrong).count, false_gates(wrong).tries) == (1, 2)


def test_only_slower_finds_a_slowdown_and_the_smallest_is_told() -> None:
    decisions = [decision(0.02, Result.SAME)] * 9 + [decision(0.05, Result.SLOWER)] * 9 + [decision(0.1, Result.FASTER)]
    lines = table(decisions)
    assert [(line.share, line.found.count) for line in lines] == [(0.02, 0), (0.05, 9), (0.1, 0)]
    assert smallest_seen(lines, 1) == 0.05
    assert smallest_seen(lines, 2) is None


def test_other_tools_rules_on_samples_that_are_known() -> None:
    rng = np.random.default_rng(0)
    base = [list(1 + 0.001 * rng.standard_normal(20)) for _ in range(20)]
    slower = [[1.2 * value for value in block] for block in base]
    for rule in (pytest_benchmark, pyperf, asv):
        assert rule(base, slower)
        assert not rule(slower, base)
        assert not rule(base, base)


def test_pyperf_takes_processes_that_differ_for_a_change() -> None:
    """What the gate's pairs are there for: each process has its own speed, and 3 values of it are not 3 proofs."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        sides = [[[level] * 3 for level in 1 + 0.02 * rng.standard_normal(20)] for _ in range(2)]
        alarms += pyperf(*sides)
    assert alarms > 20  # five times 2.5 %, and it is two-sided in truth


def test_intervals_over_five_passes_hold_the_truth_in_nineteen_of_twenty_while_the_machine_drifts_no_further() -> None:
    rng = np.random.default_rng(2)
    decisions = []
    for gate in range(200):
        machine = 0.05 * rng.standard_normal()  # another one in each gate
        for _ in range(10):
            moment = machine + DRIFT * rng.standard_normal()  # and another one in each minute
            update = {
                "gate": str(gate),
                "logs": tuple(0.01 * rng.standard_normal(6)),
                "base_s": tuple(np.exp(moment + 0.02 * rng.standard_normal(6))),
            }
            decisions.append(decision(0.0, Result.SAME).model_copy(update=update))
    (found,) = coverage(decisions)
    assert 0.93 < found.ratios.value < 0.97
    assert 0.93 < found.times.value < 0.97
    assert found.drifted.value < 0.7
    (apart,) = coverage([one.model_copy(update={"machine": one.gate}) for one in decisions])
    assert apart.drifted == found.times


def drifting() -> list[Decision]:
    """Of a machine that drifts by a tenth, a yardstick that shows it and one that does not; a gate every 15 minutes."""
    rng = np.random.default_rng(3)

    def passes(machine: float, slowdown: float) -> tuple[dict[str, float], ...]:
        noise = slowdown + 0.01 * rng.standard_normal(5)
        drift = machine + 0.05 * rng.standard_normal(5)
        return tuple({NONE: a + b, "compute": b, "memory": a + b} for a, b in zip(drift, noise, strict=True))

    decisions = []
    for at in range(20):
        machine = 0.1 * rng.standard_normal()
        for share, twin in ((0.0, 0), (0.0, 1), (0.1, 0), (0.1, 1)):
            update = {
                "gate": str(at),
                "at_s": at * 900.0 + twin,
                "stored": passes(machine, 0.0),
                "new": passes(machine, np.log1p(share)),
            }
            decisions.append(decision(share, Result.SAME).model_copy(update=update))
    return decisions


def test_stored_runs_are_judged_by_yardsticks_and_only_by_later_ones() -> None:
    decisions = drifting()
    same, same_longer, slower, slower_longer = drift(decisions)
    assert [one.share for one in (same, same_longer, slower, slower_longer)] == [0.0, 0.0, 0.1, 0.1]
    assert [one.apart for one in (same, same_longer)] == list(APART_S)
    assert same.raw.tries == 16 * 4 + 3 + 2 + 1  # an hour holds four of them
    assert same.raw.tries + same_longer.raw.tries == sum(range(20))
    assert same.gate.tries == 16 * 3 + 2 + 1
    for unchanged in (same, same_longer):
        assert unchanged.raw.value > 0.1
        assert unchanged.gate.count == 0
    for slow in (slower, slower_longer):
        assert slow.gate.value > 0.9
    assert drift([one.model_copy(update={"at_s": 0.0}) for one in decisions]) == []
    assert drift([one.model_copy(update={"machine": one.gate}) for one in decisions]) == []


def test_a_script_tells_what_other_yardsticks_would_have_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "decisions.jsonl").write_text("".join(f"{one.model_dump_json()}\n" for one in drifting()))
    monkeypatch.setattr(sys, "argv", [str(YARDSTICKS), str(tmp_path)])
    runpy.run_path(str(YARDSTICKS), run_name="__main__")
    _, *rows = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert [row[0] for row in rows] == ["compute"] * 4 + ["memory"] * 4 + ["compute, memory"] * 4
    alarms = {(row[0], row[2]): int(row[4].split()[0]) for row in rows if row[3] == next(iter(APART_S))}
    assert alarms["compute", "none"] == 0 < alarms["memory", "none"]
    assert alarms["memory", "10 %"] < alarms["compute", "10 %"]
