"""`algorithm="auto"`: whom the dispatch table expects to be quickest; where that is close, a race tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Final, NamedTuple

import numpy as np

from convbench import dispatching
from convbench.algorithm import Array, ConvAlgorithm, ConvPlan, PreparedConv, Resources, Unsupported, unit_roundoff
from convbench.analysis.dispatch import Choice
from convbench.errors import UnsupportedError
from convbench.spec import ConvSpec

CLOSE: Final = 2.5
"""Times the quickest that is expected: whoever is nearer races, and so does whoever may well be the quickest."""
RACERS: Final = 5
TURNS: Final = 7
TURN_S: Final = 1e-3
"""Of short calls there are as many in a turn as this takes."""
LOST: Final = 1.5
"""Times the quickest so far: whoever is further behind is out."""
LONGEST_S: Final = 2.0
"""A call that is expected to take longer is not worth a race."""
LEAST_TAPS: Final = 3
MOST_SLICES: Final = 1024
"""Filters of a w whose rank is looked at: a layer's many have none to speak of."""
PATTERN: Final = 4096
"""Random numbers that fill the image of a race, over and over."""


class Ready(NamedTuple):
    """An algorithm with its plan and the filter prepared."""

    algorithm: ConvAlgorithm
    plan: ConvPlan
    prepared: PreparedConv


def choices(known: Mapping[str, ConvAlgorithm], spec: ConvSpec, threads: int) -> list[Choice]:
    """All that are expected to run `spec`, the quickest first."""
    able = [name for name in dispatching.contenders(known) if known[name].supports(spec) is None]
    return dispatching.known().dispatcher.choices(spec, threads, able)


def choose(
    known: Mapping[str, ConvAlgorithm], spec: ConvSpec, w: Array, resources: Resources, *, race: bool = True
) -> Ready:
    """The quickest, planned and prepared. Raises `UnsupportedError` where nobody can, with all reasons."""
    spec = told_apart(spec, w)
    expected = choices(known, spec, resources.threads)
    wanted = 1
    if race and expected and expected[0].seconds <= LONGEST_S:
        least_s = expected[0].seconds
        close = [choice for choice in expected if choice.seconds <= CLOSE * least_s or choice.low_s <= least_s]
        expected = [*close, *(choice for choice in expected if choice not in close)]
        wanted = min(len(close), RACERS)
    names = [choice.algorithm for choice in expected]
    racing: list[Ready] = []
    reasons = []
    for name in [*names, *(name for name in dispatching.contenders(known) if name not in names)]:
        one = ready(known[name], spec, w, resources)
        if isinstance(one, Unsupported):
            reasons.append(f"{name}: {one.reason}")
            wanted -= 1
        else:
            racing.append(one)
        if racing and len(racing) >= wanted:
            return racing[0] if len(racing) == 1 else _fastest(racing, spec)
    raise UnsupportedError("; ".join(reasons))


def ready(algorithm: ConvAlgorithm, spec: ConvSpec, w: Array, resources: Resources) -> Ready | Unsupported:
    """Plan and prepare it. Raises `WorkspaceTooLargeError`."""
    if unsupported := algorithm.supports(spec):
        return unsupported
    plan = algorithm.plan(spec, resources)
    prepared = plan.prepare(w)
    return prepared if isinstance(prepared, Unsupported) else Ready(algorithm, plan, prepared)


def told_apart(spec: ConvSpec, w: Array) -> ConvSpec:
    """The spec with the rank of w's slices as its filter's family, where that is 1 and nothing else is said of it."""
    if spec.filter != "random" or spec.direction == "backward_weights" or min(spec.r, spec.s) < LEAST_TAPS:
        return spec
    slices = w.reshape(-1, spec.r, spec.s)
    if len(slices) > MOST_SLICES:
        return spec
    sigma = np.linalg.svd(slices.astype(np.float64), compute_uv=False)
    rest = np.sqrt(np.square(sigma[:, 1:]).sum(axis=1))
    return replace(spec, filter="rank:1") if (rest <= unit_roundoff(spec.dtype) * sigma[:, 0]).all() else spec


def _fastest(racing: Sequence[Ready], spec: ConvSpec) -> Ready:
    """By the least of some calls, taken in turns."""
    pattern = np.random.default_rng(0).standard_normal(PATTERN).astype(spec.dtype)
    x, y = np.resize(pattern, spec.input_shape), np.empty(spec.output_shape, spec.dtype)
    left = list(racing)
    best: dict[str, float] = {}
    for turn in range(TURNS):
        for one in left:
            name = one.algorithm.name
            if not turn:  # the first call of all is cold, and of short ones the second, too: threads have to wake up
                best[name] = min(_call_s(one, x, y, 1) for _ in range(2))
            if turn or best[name] <= TURN_S:
                best[name] = min(best[name], _call_s(one, x, y, max(1, int(TURN_S / best[name]))))
        least_s = min(best.values())
        left = [one for one in left if best[one.algorithm.name] <= LOST * least_s]
        if len(left) == 1:
            break
    return min(left, key=lambda one: best[one.algorithm.name])


def _call_s(one: Ready, x: Array, y: Array, calls: int) -> float:
    start_s = perf_counter()
    for _ in range(calls):
        one.prepared.execute(x, y)
    return (perf_counter() - start_s) / calls
