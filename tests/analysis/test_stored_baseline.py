"""A run against a stored one: the machine's drift is divided out by the yardstick that explains it."""

from __future__ import annotations

import numpy as np
import pytest

from convbench.analysis.outcomes import Result
from convbench.analysis.stored_baseline import ALL, NONE, Compared, compare, one_pass, outcome
from convbench.result import Agreement, Block, Cell, GateLimits, Status
from convbench.spec import ConvSpec

CELL = Cell(spec=ConvSpec(h=8, w=8, r=3, s=3))
LIMITS = GateLimits()


def run(
    rng: np.random.Generator, machine: float, slowdown: float = 1.0, bound_by: str = "compute", passes: int = 8
) -> list[Block]:
    """Blocks on a machine whose clock or memory is `machine` times slower, drifting by 3 % from pass to pass."""
    blocks = []
    for index in range(passes):
        drift = machine * np.exp(0.03 * rng.standard_normal())
        yardsticks = {name: 1e-3 * (drift if name == bound_by else 1.0) for name in ("compute", "memory")}
        noise = np.exp(0.005 * rng.standard_normal(5))
        blocks.append(
            Block(
                cell=CELL.key,
                algorithm="a",
                pass_index=index,
                status=Status.PASSED,
                samples_s=tuple(1e-3 * drift * slowdown * noise),
                agreement=Agreement(error=1e-7, bound=1e-5, norm="max", compared=9, outputs=9),
                workspace_bytes=0,
                yardsticks={name: (time_s,) * 3 for name, time_s in yardsticks.items()},
            )
        )
    return blocks


def compared(stored: list[Block], new: list[Block]) -> Compared | None:
    return compare([one_pass(block) for block in stored], [one_pass(block) for block in new])


@pytest.mark.parametrize("bound_by", ["compute", "memory"])
def test_the_yardstick_that_explains_the_drift_is_chosen(bound_by: str) -> None:
    rng = np.random.default_rng(0)
    found = compared(run(rng, 1.0, bound_by=bound_by), run(rng, 1.2, bound_by=bound_by))
    assert found is not None
    assert found.yardstick == bound_by
    assert abs(found.center) < 0.01


def test_where_none_stands_out_their_mean_is_taken() -> None:
    """Each is slowed by what slows the kernel, more or less, and is noisy: in a few passes, one fits by chance."""
    rng = np.random.default_rng(7)
    worst = {"mean": 0.0, "one": 0.0}
    for _ in range(50):
        sides = []
        for machine in (0.0, 0.2 * rng.standard_normal()):
            drifts = machine + 0.03 * rng.standard_normal(8)
            yardsticks = {
                name: share * drifts + 0.04 * rng.standard_normal(8)
                for name, share in (("compute", 0.9), ("memory", 1.1), ("product", 1.0))
            }
            sides.append([{NONE: log} | {k: log - v[i] for k, v in yardsticks.items()} for i, log in enumerate(drifts)])
        found = compare(*sides)
        assert found is not None
        assert found.yardstick == ALL
        alone = compare(*([{NONE: one[NONE], "memory": one["memory"]} for one in side] for side in sides))
        assert alone is not None
        worst = {"mean": max(worst["mean"], abs(found.center)), "one": max(worst["one"], abs(alone.center))}
    assert worst["mean"] < 0.05 < worst["one"]


def test_without_drift_no_yardstick_is_the_best_one() -> None:
    rng = np.random.default_rng(1)

    def steady(noisy: str) -> list[Block]:
        return [
            block.model_copy(
                update={
                    "samples_s": (1e-3,) * 5,
                    "yardsticks": {noisy: (1e-3 * np.exp(0.1 * rng.standard_normal()),)},
                }
            )
            for block in run(rng, 1.0)
        ]

    found = compared(steady("memory"), steady("memory"))
    assert found is not None
    assert found.yardstick == NONE


@pytest.mark.parametrize(
    ("machine", "slowdown", "result"),
    [
        (1.0, 1.0, Result.SAME),
        (1.15, 1.0, Result.SAME),
        (1.0, 1.1, Result.SLOWER),
        (0.85, 1.1, Result.SLOWER),
        (1.15, 0.88, Result.FASTER),
    ],
)
def test_verdicts(machine: float, slowdown: float, result: Result) -> None:
    rng = np.random.default_rng(2)
    found = outcome(CELL, "a", run(rng, 1.0), run(rng, machine, slowdown), LIMITS)
    assert found is not None
    assert found.result is result
    assert found.yardstick == "compute"


def test_bursts_of_a_neighbour_are_no_slowdown() -> None:
    """Fault: more than half of the samples a fifth longer, and the yardsticks at other moments."""
    rng = np.random.default_rng(8)

    def disturbed(block: Block) -> Block:
        samples = [s * (1.2 if index < 6 else 1.0) for index, s in enumerate(block.samples_s * 2)]
        return block.model_copy(update={"samples_s": tuple(samples)})

    quiet, loud = run(rng, 1.0), [disturbed(block) for block in run(rng, 1.0)]
    found = outcome(CELL, "a", quiet, loud, LIMITS)
    assert found is not None
    assert found.result is Result.SAME


def test_an_interval_of_all_differences_holds_the_truth_whatever_the_outliers() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(500):
        sides = [[{NONE: log, "compute": log} for log in 0.02 * rng.standard_cauchy(7)] for _ in range(2)]
        found = compare(*sides)
        assert found is not None
        held += found.low <= 0 <= found.high
    assert held >= 485


@pytest.mark.parametrize(("slowdown", "result"), [(1.0, Result.INCONCLUSIVE), (1.12, Result.SLOWER)])
def test_a_machine_that_changes_between_the_runs_is_no_slowdown(slowdown: float, result: Result) -> None:
    """Fault: steady runs on a machine of two speeds, where no yardstick makes the passes of a run agree any better."""

    def steady(machine: float, slowdown: float) -> list[Block]:
        blocks = run(np.random.default_rng(6), 1.0, passes=10)
        times = [1e-3 * machine * slowdown * (1 + 1e-4 * index) for index in range(10)]
        return [
            block.model_copy(
                update={"samples_s": (time_s,) * 5, "yardsticks": {"compute": (1e-3 * machine * (1 - 2e-4 * index),)}}
            )
            for index, (block, time_s) in enumerate(zip(blocks, times, strict=True))
        ]

    machine = 1.1 if slowdown == 1.0 else 1.0
    found = outcome(CELL, "a", steady(1.0, 1.0), steady(machine, slowdown), LIMITS)
    assert found is not None
    assert found.yardstick == NONE
    assert found.result is result


def test_false_alarms_and_finds() -> None:
    rng = np.random.default_rng(3)
    for slowdown, least, most in ((1.0, 0, 2), (1.1, 190, 200)):
        slower = 0
        for _ in range(200):
            found = outcome(CELL, "a", run(rng, 1.0), run(rng, rng.uniform(0.8, 1.25), slowdown), LIMITS)
            assert found is not None
            slower += found.result is Result.SLOWER
        assert least <= slower <= most


def test_what_cannot_be_compared_is_said_so() -> None:
    rng = np.random.default_rng(4)
    few = outcome(CELL, "a", run(rng, 1.0, passes=4), run(rng, 1.0), LIMITS)
    bare = [block.model_copy(update={"yardsticks": {}}) for block in run(rng, 1.0)]
    old = outcome(CELL, "a", bare, run(rng, 1.0), LIMITS)
    assert few is not None
    assert old is not None
    assert (few.result, old.result) == (Result.NOT_MEASURED, Result.NOT_MEASURED)
    assert "five passes" in few.detail
    assert "no yardsticks" in old.detail
