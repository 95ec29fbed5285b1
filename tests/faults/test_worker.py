"""What a worker looks after in itself: x of any size, the memory beside y, the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convbench.measure import worker
from convbench.measure.bench import trespass
from convbench.measure.guarded import GUARD_BYTES, Guarded
from convbench.measure.worker import Contender
from faults.faulty import Mutates, MutatesLater
from runs.faulty import Right, Shifted

CHANGED = "execute changed its input x"
HOUR_NS = 3600 * 10**9


def planned(folder: Path, algorithm: Shifted, extent: int) -> Contender:
    """A contender with a cell's plan and filter; its x lies in the folder."""
    np.save(folder / "x.npy", np.ones((1, 1, extent, extent), np.float32))
    np.save(folder / "w.npy", np.ones((1, 1, 5, 5), np.float32))
    made = Contender(algorithm)
    made.plan(f"n1c1h{extent}w{extent}k1r5s5", threads=1, memory_limit_bytes=2**34)
    made.prepare(str(folder / "w.npy"))
    return made


@pytest.mark.parametrize("extent", [8, 600])  # 600: 1.4 MiB
@pytest.mark.parametrize(
    ("algorithm", "at_first", "when_timed"), [(Mutates, CHANGED, CHANGED), (MutatesLater, "", CHANGED), (Right, "", "")]
)
def test_a_change_of_x_is_found_out(
    tmp_path: Path, algorithm: Callable[[], Shifted], at_first: str, when_timed: str, extent: int
) -> None:
    contender = planned(tmp_path, algorithm(), extent)
    assert trespass(contender.verify(str(tmp_path / "x.npy"), None)) == at_first
    contender.sample(batch=3, rewarm=False)
    assert trespass(contender.last(str(tmp_path / "y.npy"))) == when_timed


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("offset", [-GUARD_BYTES, -1, 0, GUARD_BYTES - 1])
def test_a_byte_written_beside_an_array_is_found_out(dtype: Any, offset: int) -> None:
    guarded = Guarded((2, 3), dtype)
    guarded.array[...] = 7
    assert guarded.intact
    memory = guarded.array.base
    while memory.base is not None:
        memory = memory.base
    memory[GUARD_BYTES + (guarded.array.nbytes if offset >= 0 else 0) + offset] += 1
    assert not guarded.intact
    assert (guarded.array == 7).all()


def test_a_batch_during_which_the_clock_steps_back_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contender = planned(tmp_path, Right(), 8)
    contender.verify(str(tmp_path / "x.npy"), None)
    looks = iter([HOUR_NS, 1])  # once, and never again
    monkeypatch.setattr(worker, "perf_counter_ns", lambda: next(looks, None) or time.perf_counter_ns())
    assert 0 < contender.sample(batch=1, rewarm=False)["batch_s"] < HOUR_NS * 1e-9
