"""A Hypothesis strategy for specs: small extents, everything else varied."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from convbench.errors import SpecError
from convbench.spec import BOUNDARIES, DIRECTIONS, ConvSpec

CPU_DTYPES = ("float32", "float64")
FAMILIES = ("random", "box", "disk", "gaussian:0.8", "rank:2", "sobel", "laplacian")


@st.composite
def specs(draw: st.DrawFn, **fixed: Any) -> ConvSpec:
    """Any spec; each name in `fixed` is a value, or a strategy, that replaces what would be drawn."""

    def choose(name: str, strategy: st.SearchStrategy[Any]) -> Any:
        given_instead = fixed.get(name, strategy)
        return draw(given_instead) if isinstance(given_instead, st.SearchStrategy) else given_instead

    small, pad = st.integers(1, 3), st.integers(0, 4)
    groups = choose("groups", st.sampled_from((1, 1, 1, 2, 3)))
    family = choose("filter", st.sampled_from(FAMILIES))
    taps = st.sampled_from((3, 5)) if family in ("sobel", "laplacian") else st.integers(1, 5)
    r = choose("r", taps)
    stride = choose("stride", st.one_of(st.just(1), st.tuples(small, small)))
    dilation = choose("dilation", st.one_of(st.just(1), st.tuples(small, small)))
    values: dict[str, Any] = {
        "n": choose("n", small),
        "c": groups * choose("c", small),
        "k": groups * choose("k", small),
        "h": choose("h", st.integers(1, 12)),
        "w": choose("w", st.integers(1, 12)),
        "r": r,
        "s": choose("s", st.just(r) if family in ("sobel", "laplacian") else taps),
        "stride": stride,
        "dilation": dilation,
        "padding": choose("padding", st.one_of(st.just("same"), st.tuples(st.tuples(pad, pad), st.tuples(pad, pad)))),
        "groups": groups,
        "dtype": choose("dtype", st.sampled_from(CPU_DTYPES)),
        "boundary": choose("boundary", st.one_of(st.just("zero"), st.sampled_from(BOUNDARIES))),
        "filter": family,
        "direction": choose("direction", st.sampled_from(DIRECTIONS)),
        "flip": choose("flip", st.booleans()),
    }
    try:
        return ConvSpec(**values)
    except SpecError:  # the filter does not fit: a padding of its own extent always makes room
        return ConvSpec(**(values | {"padding": "full"}))
