"""A device that times its own calls goes through the whole harness: here the stand-in, by its host's clock."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import convbench as cb
from conftest import Cli
from convbench.errors import ConvbenchError
from convbench.measure.bench import Bench, Limits
from convbench.measure.effort import QUICK
from convbench.measure.worker import Contender
from convbench.result import Cell, Status
from convbench.spec import ConvSpec
from convbench_algorithms.cuda.ceilings import Sizes, measure_card_ceilings
from convbench_algorithms.cuda.device import absence, current, using
from convbench_algorithms.cuda.direct import CudaDirect
from gpu.shim import needs_compiler
from gpu.shim_device import ShimDevice

PLUGIN = Path(__file__).parent / "stand_in_plugin.py"
SPEC = "c2h9w12k2r3s3+padding=1"

without_a_card = pytest.mark.skipif(not absence(), reason="there is a card here")


@needs_compiler
def test_a_run_on_a_device_has_transfers_and_the_devices_clock(cli: Cli, tmp_path: Path) -> None:
    done = cli(
        "run", f"n1{SPEC}", "--device", "cuda", "--plugin", PLUGIN, "--algorithms", "stand_in", "--out", tmp_path
    )
    assert done.returncode == 0, done.stderr
    (table,) = tmp_path.glob("*/results.csv")
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert (row["algorithm"], row["device"], row["status"]) == ("stand_in", "cuda", "passed")
    assert 0 < float(row["upload_s"]) < float(row["latency_s"])
    assert "as the host sees it" in table.with_name("report.html").read_text()
    assert float(row["median_s"]) > 0
    assert float(row["compile_s"]) > 0  # in plan_s, and told apart
    assert float(row["error"]) <= float(row["error_bound"])


@dataclass
class Cooling(ShimDevice):
    """Its clock is down for a while."""

    clocks: list[float] = field(default_factory=lambda: [0.5e9, 0.6e9, 1e9])

    def clock_hz(self) -> float:
        return self.clocks.pop(0) if len(self.clocks) > 1 else self.clocks[0]


class InProcess:
    """A worker without a process."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender

    def ask(self, action: str, _timeout_s: float, _most_bytes: int, **arguments: object) -> dict[str, object]:
        found = getattr(self.contender, action)(**arguments)
        return {"spent_s": 0.0, "compiled": 0, "compile_s": 0.0, **found}


@needs_compiler
def test_a_sample_with_the_clock_down_is_taken_again(tmp_path: Path) -> None:
    spec = ConvSpec.parse(SPEC)
    rng = np.random.default_rng(0)
    paths = tmp_path / "w.npy", tmp_path / "x.npy"
    for path, shape in zip(paths, (spec.w_shape, spec.x_shape), strict=True):
        np.save(path, rng.standard_normal(shape).astype(spec.dtype))
    with using(Cooling()):
        worker = InProcess(Contender(CudaDirect()))
        bench = Bench(Cell(spec=spec), "cuda_direct", 0, worker, Limits(lambda: 1.0, 2**30), None)  # type: ignore[arg-type]
        worker.contender.plan(spec.id, 1, 2**30)
        worker.contender.prepare(str(paths[0]))
        worker.contender.verify(str(paths[1]), str(tmp_path / "y.npy"))
        bench.warmup_s = [1e-4]  # of long calls a disturbed sample stands
        bench.status, bench.accelerated, bench.wanted = Status.PASSED, True, 1
        bench.sample(QUICK)
    block = bench.block()
    assert (len(block.samples_s), len(block.retaken_s)) == (1, 2)
    assert block.clock_hz == pytest.approx(0.6e9)  # the median of three


@needs_compiler
def test_the_python_api_carries_arrays_there_and_back() -> None:
    rng = np.random.default_rng(1)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((9, 12), (3, 3)))
    with using(ShimDevice()):
        found = cb.conv2d(x, w, padding=1, algorithm="cuda_direct")
    np.testing.assert_allclose(found, cb.conv2d(x, w, padding=1, algorithm="naive"), atol=1e-5)


@needs_compiler
def test_a_cards_ceilings_are_measured_like_the_machines() -> None:
    sizes = Sizes(blocks=2, rounds=10, copied_bytes=2**12, matrix=32)
    rates = measure_card_ceilings(ShimDevice(), sizes)
    assert all(rate > 0 for rate in rates)


@without_a_card
def test_without_a_card_it_says_so(cli: Cli) -> None:
    listed = cli("list")
    assert "no CUDA device: the system shows no NVIDIA card" in " ".join(listed.stdout.split())
    answer = CudaDirect().supports(ConvSpec.parse(SPEC))
    assert answer is not None
    assert answer.reason.startswith("no CUDA device: ")
    with pytest.raises(ConvbenchError, match="no CUDA device"):
        current()


@without_a_card
def test_a_run_for_a_card_that_is_not_there_names_it(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", f"n1{SPEC}", "--device", "cuda", "--algorithms", "cuda_direct", "--out", tmp_path)
    assert done.returncode == 5
    assert "no CUDA device" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
