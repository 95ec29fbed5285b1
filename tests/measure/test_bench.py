"""Samples that were disturbed are taken again, and none is lost."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convbench.measure.bench import Bench, Limits
from convbench.measure.effort import Effort
from convbench.measure.pairs import FEWEST_TURNS, PAIR, take_turns
from convbench.measure.worker import moved
from convbench.result import Cell, Status
from convbench.spec import ConvSpec


class Scripted:
    """A worker whose samples come from a list of (seconds, lost time slices)."""

    def __init__(self, samples: list[tuple[float, int]]) -> None:
        self.samples = samples
        self.asked: list[str] = []

    def ask(self, action: str, _timeout_s: float, _most_bytes: int, **_arguments: object) -> dict[str, Any]:
        self.asked.append(action)
        common = {"spent_s": 0.0, "compiled": 0, "compile_s": 0.0}
        if action == "measure_yardsticks":
            return {"yardsticks": {"compute": 1e-3, "memory": 2e-3}, **common}
        batch_s, switches = self.samples.pop(0)
        return {"batch_s": batch_s, "switches": switches, "faults": 1, **common}


def bench(samples: list[tuple[float, int]], call_s: float = 1e-3, wanted: int = 1) -> Bench:
    made = Bench(
        Cell(spec=ConvSpec(h=9, w=9, r=3, s=3)),
        "a",
        0,
        Scripted(samples),  # type: ignore[arg-type]
        Limits(lambda: 1.0, 2**30),
        None,
        status=Status.PASSED,
        warmup_s=[call_s],
    )
    made.wanted = wanted
    return made


@pytest.mark.parametrize(
    ("samples", "kept", "retaken"),
    [
        ([(1.0, 0)], 1.0, ()),
        ([(9.0, 1), (1.0, 0)], 1.0, (9.0,)),
        ([(9.0, 1), (8.0, 2), (1.0, 0)], 1.0, (9.0, 8.0)),
        ([(9.0, 1), (8.0, 1), (7.0, 1), (6.0, 1), (5.0, 1)], 5.0, (9.0, 8.0, 7.0, 6.0)),
    ],
)
def test_a_disturbed_sample_is_taken_again_and_kept(
    samples: list[tuple[float, int]], kept: float, retaken: tuple[float, ...]
) -> None:
    lost, taken = sum(switches for _, switches in samples), len(samples)
    made = bench(samples)
    made.sample(PAIR)
    block = made.block()
    assert (block.samples_s, block.retaken_s) == ((kept,), retaken)
    assert (block.switches, block.faults) == (lost, taken)


def test_a_long_sample_stands_however_disturbed() -> None:
    made = bench([(0.5, 3)], call_s=0.5)
    made.sample(PAIR)
    assert made.block().samples_s == (0.5,)
    assert made.block().retaken_s == ()


def test_yardsticks_are_measured_at_the_start_the_middle_and_the_end() -> None:
    made = bench([(1.0, 0)] * 7, wanted=7)
    while made.wants_more:
        made.sample(Effort())
    assert made.block().yardsticks == {"compute": (1e-3,) * 3, "memory": (2e-3,) * 3}
    worker = made.worker
    assert isinstance(worker, Scripted)
    assert [place for place, action in enumerate(worker.asked) if action == "measure_yardsticks"] == [1, 5, 9]


def taking_turns(first: list[float], second: list[float], call_s: float = 1e-3) -> tuple[Bench, Bench]:
    """What two sides' samples make of a pair's turns, after a first call of `call_s`."""
    sides = tuple(bench([(one, 0) for one in samples], call_s) for samples in (first, second))
    take_turns((sides[0], sides[1]), random.Random(0), replace(PAIR, warm_up_s=0.0, samples_a_place=None))
    return sides[0], sides[1]


def test_turns_end_when_the_pair_is_known_well_enough() -> None:
    steady, _ = taking_turns([1e-3] * 99, [1.1e-3] * 99)
    assert len(steady.samples_s) == FEWEST_TURNS
    rng = random.Random(1)
    noisy, other = taking_turns(*([1e-3 * rng.uniform(1, 1.5) for _ in range(99)] for _ in range(2)))
    assert len(noisy.samples_s) == len(other.samples_s) == PAIR.max_samples


def test_a_cold_first_call_does_not_say_how_many_turns_there_are() -> None:
    """Once, calls of 12 ms that first took 60 had five turns, and two threads' pairs spread by 6 % instead of 3."""
    rng = random.Random(2)
    noisy, _ = taking_turns(*([12e-3 * rng.uniform(1, 1.5) for _ in range(99)] for _ in range(2)), call_s=60e-3)
    assert len(noisy.samples_s) > 15


def test_arrays_are_moved_with_what_they_hold() -> None:
    array = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    places = set()
    for _ in range(50):
        copy = moved(array)
        np.testing.assert_array_equal(copy, array)
        assert copy.flags.c_contiguous
        assert copy.ctypes.data % 16 == 0
        places.add(copy.ctypes.data % 4096)
    assert len(places) > 20
