"""Who tells stages apart computes the same as in one go, and tells what can be."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep

import numpy as np
import pytest

from contract.cases import ALGORITHMS, CASES, must_run
from contract.harness import BrokenContractError, changed, check_stages, known, planned, prepared, thread_count
from convbench.algorithm import Array
from convbench.operands import operands
from convbench.spec import ConvSpec
from convbench.staged import StagedConv, Stages, Stopwatch
from convbench_algorithms import winograd

WINOGRAD = ["input transform", "product", "output transform"]
FFT = ["gather tiles", "forward transform", "product", "inverse transform", "scatter tiles"]
PASSES = ["fill lines", "horizontal pass", "vertical pass"]
PEERS_AND_CARDS = {name for name, one in ALGORITHMS.items() if "peer" in one.tags or one.device == "cuda"}
LAYER = "n2c6h26w21k10r3s3+padding=1"
BACKWARD = f"{LAYER}+direction=backward_data"
STRIDED = "n2c6h26w21k10r3s3+padding=1+stride=2+direction=backward_data"
EXPECTED = [
    *((name, LAYER, 2**26, WINOGRAD) for name in ("winograd", "winograd_f2", "winograd_f4", "winograd_f6")),
    *((name, BACKWARD, 2**26, WINOGRAD) for name in ("winograd", "winograd_f4")),
    ("winograd_f4", "c16h26w21k160r3s3+padding=1", 2**14, ["filter transform", *WINOGRAD]),
    ("fft", LAYER, 2**26, FFT),
    ("fft", STRIDED, 2**26, ["spread", *FFT]),
    ("fft_overlap_add", LAYER, 4096, ["clear output", *FFT]),
    ("fft_overlap_save", LAYER, 2**26, ["forward transform", "product", "inverse transform"]),
    ("im2col", LAYER, 2**26, ["gather columns", "product"]),
    ("im2col", BACKWARD, 2**26, ["product", "scatter columns"]),
    ("im2col", f"{LAYER}+direction=backward_weights", 2**26, ["gather columns", "product"]),
    ("im2col_tiled", LAYER, 4096, ["gather columns", "product"]),
    ("shift_gemm", LAYER, 4096, ["fill tiles", "product"]),
    ("gemm1x1", "c6h9w8k5r1s1+stride=2", 2**26, ["fill tiles", "product"]),
    ("separable", "h80w90r15s15+padding=7+filter=gaussian:3", 2**26, PASSES),
    ("low_rank", "h80w90r15s15+padding=7+filter=rank:2", 2**26, PASSES),
    ("naive", STRIDED, 2**26, None),
    ("gemm1x1", "c6h9w9k5r1s1", 2**26, None),
    ("fft_overlap_save", "h80w90r15s15", 2**26, None),
    ("separable", "h80w90r3s3+filter=gaussian:1", 2**26, None),
]


@pytest.mark.parametrize(("name", "text", "tile_limit_bytes", "stages"), EXPECTED)
@pytest.mark.parametrize("threads", [1, 2])
def test_the_stages_are_those_of_the_algorithm(
    name: str, text: str, tile_limit_bytes: int, stages: list[str] | None, threads: int
) -> None:
    spec = ConvSpec.parse(text)
    made = operands(spec, 3)
    with thread_count(threads):
        conv = prepared(planned(ALGORITHMS[name], spec, threads, tile_limit_bytes=tile_limit_bytes), made.prepared)
        assert isinstance(conv, StagedConv) is (stages is not None)
        if isinstance(conv, StagedConv):
            assert list(check_stages(conv, spec, made.input)) == stages


@pytest.mark.parametrize("name", sorted(CASES.keys() - PEERS_AND_CARDS))
def test_whoever_has_stages_tells_them_in_every_case(name: str) -> None:
    offered = 0
    for index, spec in enumerate(must_run(name)):
        made, threads = known(spec)[0], 1 + index % 2
        for limit in (2**26, 4096):
            with thread_count(threads):
                conv = prepared(planned(ALGORITHMS[name], spec, threads, tile_limit_bytes=limit), made.prepared)
                if isinstance(conv, StagedConv):
                    check_stages(conv, spec, made.input)
                    offered += 1
    assert offered or name not in {one for one, _, _, stages in EXPECTED if stages}


def test_a_spread_gradient_is_a_stage_of_its_own_whoever_takes_it() -> None:
    spec = ConvSpec.parse(STRIDED)
    made = operands(spec, 3)
    for name, rest in (("direct", None), ("winograd_f4", WINOGRAD)):
        conv = prepared(planned(ALGORITHMS[name], spec), made.prepared)
        assert isinstance(conv, StagedConv)
        stages = list(check_stages(conv, spec, made.input))
        assert stages[0] == "spread"
        assert rest is None or stages[1:] == rest


# --- that the check can fail --------------------------------------------------------------------------


class _Doubled(StagedConv):
    """y = 2·x in two stages, with something done to y and to what is told."""

    def __init__(self, y: Callable[[Array], object], told: Callable[[Stages], Stages]) -> None:
        self.change = y
        self.told = told

    def execute(self, x: Array, y: Array) -> None:
        np.multiply(x, 2, out=y)

    def execute_staged(self, x: Array, y: Array) -> Stages:
        watch = Stopwatch()
        np.copyto(y, x)
        watch.lap("copy")
        np.multiply(y, 2, out=y)
        self.change(y)
        watch.lap("double")
        return self.told(watch.stages)


def _check(y: Callable[[Array], object] = lambda y: None, told: Callable[[Stages], Stages] = lambda told: told) -> None:
    spec = changed(ConvSpec.parse("h9w8r1s1"))
    check_stages(_Doubled(y, told), spec, known(spec)[0].input.copy())


def test_without_a_fault_it_passes() -> None:
    _check()


@pytest.mark.parametrize(
    "fault",
    [
        lambda: _check(y=lambda y: y.__setitem__((0, 0, -1, -1), np.nan)),
        lambda: _check(y=lambda y: np.nextafter(y, 9, out=y, dtype=y.dtype)),
        lambda: _check(y=lambda y: y.base.__setitem__(-1, 0)),
        lambda: _check(told=lambda told: {}),
        lambda: _check(told=lambda told: {"double": told["double"]}),
        lambda: _check(told=lambda told: {"": told["copy"], "double": told["double"]}),
        lambda: _check(told=lambda told: {**told, "copy": -told["copy"]}),
        lambda: _check(told=lambda told: {**told, "copy": 1.0}),
        lambda: _check(told=lambda told: dict.fromkeys(told, 0.0)),
    ],
    ids=["unwritten", "other", "beyond y", "no stages", "one", "no name", "negative", "too long", "no time"],
)
def test_faults_are_caught(fault: Callable[[], None]) -> None:
    with pytest.raises(BrokenContractError):
        fault()


def test_a_kernel_that_lost_its_clock_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ConvSpec.parse(LAYER)
    made = operands(spec, 3)
    conv = prepared(planned(ALGORITHMS["winograd_f4"], spec), made.prepared)
    assert isinstance(conv, StagedConv)
    check_stages(conv, spec, made.input)
    monkeypatch.setattr(winograd, "CLOCK", 0)
    with pytest.raises(BrokenContractError, match="cannot have taken"):
        check_stages(conv, spec, made.input)


def test_a_stopwatch_adds_up_by_name_in_the_order_of_first_laps() -> None:
    watch = Stopwatch()
    for _ in range(2):
        sleep(0.002)
        watch.lap("a")
        watch.lap("b")
    sleep(0.002)
    watch.count({"c": 5.0, "b": 1.0})
    watch.lap("b")
    assert list(watch.stages) == ["a", "b", "c"]
    assert watch.stages["a"] >= 0.004
    assert 1.0 <= watch.stages["b"] < 1.001
    assert watch.stages["c"] == 5.0
