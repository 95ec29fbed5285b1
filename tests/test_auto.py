"""`algorithm="auto"`: predictions, a race where they are close, and convolutions that are kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import cycle
from typing import Any, final

import numpy as np
import pytest
from scipy import signal

import convbench as cb
from convbench import api, auto, dispatching, kept
from convbench.algorithm import (
    Array,
    ConvAlgorithm,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
)
from convbench.analysis.cost_model import Measured
from convbench.analysis.dispatch import SCHEMA_VERSION, Dispatcher, DispatchTable, fit
from convbench.errors import UnsupportedError
from convbench.spec import ConvSpec

RNG = np.random.default_rng(11)
SPEC = ConvSpec(h=40, w=40, r=5, s=5, padding=2)


class Timed(ConvAlgorithm):
    """Convolves by another algorithm, and takes as many rounds for it as it says."""

    rounds = 1
    planned = 0

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        return None

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        type(self).planned += 1
        return _TimedPlan(cb.algorithms()["shift_gemm"].plan(spec, resources), self)


@final
class _TimedPlan(ConvPlan):
    workspace_bytes = 1000

    def __init__(self, inner: ConvPlan, algorithm: Timed) -> None:
        self.inner = inner
        self.algorithm = algorithm

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        if self.algorithm.name == "refuses":
            return Unsupported("not this filter")
        inner = self.inner.prepare(w)
        assert isinstance(inner, PreparedConv)
        return _TimedConv(inner, self.algorithm.rounds)


@final
class _TimedConv(PreparedConv):
    def __init__(self, inner: PreparedConv, rounds: int) -> None:
        self.inner = inner
        self.own = rounds

    @property
    def rounds(self) -> int:
        return self.own

    def execute(self, x: Array, y: Array) -> None:
        for _ in range(self.rounds):
            self.inner.execute(x, y)


def algorithm(name: str, rounds: int) -> Timed:
    return type("Named", (Timed,), {"name": name, "rounds": rounds, "planned": 0})()  # type: ignore[no-any-return]


def expects(monkeypatch: pytest.MonkeyPatch, **seconds: float | tuple[float, ...]) -> None:
    """A table that expects these times, whatever the shape; several in turn are as good as a guess."""
    measured = tuple(
        Measured(spec=ConvSpec(h=extent, w=extent, r=3, s=3), threads=1, algorithm=name, seconds=taken)
        for name, times in seconds.items()
        for extent, taken in zip(range(20, 40), cycle(times if isinstance(times, tuple) else (times,)), strict=False)
    )
    table = DispatchTable(
        schema_version=SCHEMA_VERSION, machine={}, versions={}, measured_utc="", measured=measured, fitted=fit(measured)
    )
    known = dispatching.Known(Dispatcher(table), dispatching.SHIPPED, "")
    monkeypatch.setattr(dispatching, "known", lambda: known)


def chosen(known: dict[str, ConvAlgorithm], *, race: bool = True, spec: ConvSpec = SPEC) -> str:
    w = RNG.standard_normal(spec.w_shape).astype(np.float32)
    return auto.choose(known, spec, w, Resources(), race=race).algorithm.name


def test_those_that_are_close_race_and_the_quickest_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    expects(monkeypatch, slow=1.0e-4, quick=1.5e-4, far=1e-2)
    known: dict[str, ConvAlgorithm] = {"slow": algorithm("slow", 8), "quick": algorithm("quick", 1)}
    known["far"] = algorithm("far", 1)
    assert chosen(known) == "quick"
    assert type(known["far"]).planned == 0  # type: ignore[attr-defined]
    assert chosen(known, race=False) == "slow"


def test_whose_time_is_a_guess_races_too_if_it_may_be_the_least(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: a rarely measured contender was half as slow as the choice, and expected to be three times as slow."""
    expects(monkeypatch, sure=1e-4, unsure=(1e-5, 1e-3))
    known: dict[str, ConvAlgorithm] = {"sure": algorithm("sure", 8), "unsure": algorithm("unsure", 1)}
    assert auto.choices(known, SPEC, 1)[1].seconds > auto.CLOSE * 1e-4
    assert chosen(known) == "unsure"


def test_the_first_in_a_race_does_not_pay_for_what_wakes_up(monkeypatch: pytest.MonkeyPatch) -> None:
    expects(monkeypatch, first=1.0e-4, second=1.1e-4)
    known: dict[str, ConvAlgorithm] = {"first": algorithm("first", 1), "second": algorithm("second", 8)}
    cold = iter([100, 100])
    monkeypatch.setattr(_TimedConv, "rounds", property(lambda conv: next(cold, conv.own)), raising=False)
    assert chosen(known) == "first"


def test_who_refuses_the_filter_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    expects(monkeypatch, refuses=1e-5, other=1e-3)
    assert chosen({"refuses": algorithm("refuses", 1), "other": algorithm("other", 1)}) == "other"
    with pytest.raises(UnsupportedError, match="refuses: not this filter"):
        chosen({"refuses": algorithm("refuses", 1)})


def test_who_was_never_measured_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    expects(monkeypatch, refuses=1e-5)
    assert chosen({"unknown": algorithm("unknown", 1), "refuses": algorithm("refuses", 1)}) == "unknown"


@pytest.mark.parametrize(("values", "family"), [("outer", "rank:1"), ("random", "random"), ("layer", "random")])
def test_a_filter_of_rank_one_is_recognised(values: str, family: str) -> None:
    spec = ConvSpec(h=30, w=30, r=7, s=5, c=2, k=2, groups=2)
    w = RNG.standard_normal(spec.w_shape)
    if values == "outer":
        w = RNG.standard_normal((2, 1, 7, 1)) * RNG.standard_normal((2, 1, 1, 5))
    if values == "layer":
        spec = ConvSpec(c=64, h=8, w=8, k=64, r=3, s=3)
        w = np.ones(spec.w_shape)
    assert auto.told_apart(spec, w.astype(np.float32)).filter == family


def test_the_shipped_table_is_of_contenders_that_there_are() -> None:
    shipped = dispatching.read(dispatching.SHIPPED)
    assert len(shipped.fitted) >= 10
    assert set(shipped.fitted) <= set(dispatching.contenders(cb.algorithms()))
    assert {one.threads for one in shipped.measured} == {1, 2}


@pytest.mark.parametrize(
    ("spec", "among"),
    [
        ("h1024w1024r3s3+padding=1", {"direct"}),
        ("h1024w1024r101s101+padding=50", {"fft_overlap_save", "fft_overlap_add", "fft"}),
        ("c128h56w56k128r3s3+padding=1", {"winograd", "winograd_f2", "winograd_f4", "winograd_f6"}),
        ("c256h28w28k512r1s1", {"gemm1x1", "shift_gemm", "im2col", "im2col_tiled"}),
        ("h2048w2048r31s31+padding=15+filter=gaussian:5", {"separable", "low_rank"}),
    ],
)
def test_the_shipped_table_says_what_everybody_knows(spec: str, among: set[str]) -> None:
    dispatcher = Dispatcher(dispatching.read(dispatching.SHIPPED))
    problem = ConvSpec.parse(spec)
    able = [n for n in dispatcher.models if cb.algorithms()[n].supports(problem) is None]
    assert dispatcher.choices(problem, 1, able)[0].algorithm in among


# --- convolutions that are kept ---------------------------------------------------------------------


@pytest.fixture
def empty() -> Iterator[None]:
    api._kept.clear()
    yield
    api._kept.clear()


def images(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.usefixtures("empty")
def test_a_second_call_plans_anew_for_a_race_and_a_third_one_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    races = []
    real = api.prepare

    def counted(*arguments: Any, **options: Any) -> Any:
        races.append(options["race"])
        return real(*arguments, **options)

    monkeypatch.setattr(api, "prepare", counted)
    x, w = images(40, 40), images(5, 5)
    results = [cb.conv2d(x, w, padding=[2, 2]) for _ in range(4)]  # type: ignore[arg-type]
    assert races == [False, True]
    assert all(np.allclose(results[0], other, atol=1e-5) for other in results)


@pytest.mark.usefixtures("empty")
def test_a_filter_that_was_changed_in_place_is_another_one() -> None:
    x, w = images(30, 30), images(3, 3)
    cb.conv2d(x, w)
    w[1, 1] += 1
    assert np.allclose(cb.conv2d(x, w), signal.correlate2d(x, w, mode="valid"), atol=1e-4)
    large = images(64, 64, 3, 3)  # only some of its elements are looked up first
    many = images(1, 64, 8, 8)
    before = cb.conv2d(many, large)
    large[0, 0, 0, 1] += 1
    assert not np.array_equal(cb.conv2d(many, large), before)


@pytest.mark.usefixtures("empty")
def test_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 3)
    for extent in range(10, 16):
        cb.conv2d(images(extent, extent), images(3, 3), algorithm="naive")
    assert len(api._kept._kept) == 3
    monkeypatch.setattr(kept, "MOST_BYTES", 1)
    cb.conv2d(images(20, 20), images(3, 3), algorithm="naive")
    assert len(api._kept._kept) == 1


@pytest.mark.usefixtures("empty")
def test_threads_that_share_what_is_kept_do_not_mix() -> None:
    x = images(24, 24)
    filters = [images(3, 3) for _ in range(6)]
    expected = [signal.correlate2d(x, w, mode="valid") for w in filters]
    wrong: list[int] = []

    def work(number: int) -> None:
        for turn in range(12):
            which = (number + turn) % len(filters)
            if not np.allclose(cb.conv2d(x, filters[which], algorithm="shift_gemm"), expected[which], atol=1e-4):
                wrong.append(which)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
