"""What each built-in algorithm must run, and where Hypothesis finds specs that it supports.

A test that skips what an algorithm does not support says nothing once it supports nothing; so each
has its list here, and must run all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from convbench.algorithm import ConvAlgorithm
from convbench.catalog import builtin
from convbench.spec import ConvSpec

GEOMETRY = (
    "h1w1r1s1",
    "n2c3h7w9k4r3s2+padding=1.0x2.1",
    "c19h13w17k21r3s3+padding=1",
    "h67w131r7s5+padding=3x2",
    "h2w3r5s7+padding=4x6",
)
STRIDED = ("n2c4h13w11k6r3s3+stride=2x3+padding=1+groups=2", "h9w9r2s2+stride=3")
DILATED = ("c2h15w14k3r3s2+dilation=2x3+padding=2.1x0.3", "c2h21w20k2r3s3+stride=2x1+padding=4+dilation=3")
GROUPED = ("c5h8w9k5r3s3+padding=1+groups=5", "n2c6h9w8k4r3s3+padding=1+groups=2")
FLIPPED = ("c2h9w8k3r4s5+padding=3.1x0.4+flip=true",)
BOUNDARIES = tuple(
    f"c2h6w7k2r5s4+padding=2.3x4.1+boundary={boundary}" for boundary in ("reflect", "symmetric", "edge", "wrap")
)
GENERAL = (*GEOMETRY, *STRIDED, *DILATED, *GROUPED, *FLIPPED, *BOUNDARIES)
BACKWARD_DATA = tuple(f"{case}+direction=backward_data" for case in (*GEOMETRY, *STRIDED, *DILATED, *GROUPED, *FLIPPED))
EVERY_DIRECTION = (
    *GENERAL,
    *BACKWARD_DATA,
    *(f"{case}+direction=backward_data" for case in BOUNDARIES),
    *(f"{case}+direction=backward_weights" for case in GENERAL),
)


def _each(suffix: str, cases: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(case + suffix for case in cases)


RANK_ONE = (
    *_each("+filter=rank:1", (*GENERAL, *BACKWARD_DATA)),
    "h40w50r15s15+padding=7+boundary=reflect+filter=gaussian:2.5",
    "h20w30r5s5+padding=2+filter=sobel",
    "h20w30r4s6+filter=box",
)
POINTWISE = (
    "h1w1r1s1",
    "n3c19h13w17k21r1s1",
    "c64h14w14k48r1s1+direction=backward_data",
    "n2c6h9w8k4r1s1+groups=2",
    "n2c3h13w17k4r1s1+stride=2x3",
    "c3h7w6k4r1s1+padding=1.0x2.1",
    "c3h7w6k4r1s1+padding=1.2x2.1+boundary=reflect",
    "n2c3h13w17k4r1s1+stride=2x3+direction=backward_data",
)
# A stride, a dilation and groups of 1.
PEER = (*GEOMETRY, *FLIPPED, *BOUNDARIES, *_each("+direction=backward_data", GEOMETRY))
SAME = (
    "h1w1r1s1",
    "n2c3h7w9k4r3s2+padding=0.2x1.0",
    "c19h13w17k21r3s3+padding=1",
    "h67w131r7s5+padding=3x2",
    "c2h9w8k3r4s5+padding=3.0x0.4+flip=true",
    *(f"c2h6w7k2r5s4+padding=2.2x3.0+boundary={boundary}" for boundary in ("reflect", "symmetric", "edge", "wrap")),
    "c2h9w8k3r3s4+padding=1.1x1.2+direction=backward_data",
)
WINOGRAD = (
    "h3w3r3s3",
    "n2c3h9w14k4r5s5+padding=2.0x1.3",
    "c2h9w14k4r1s5+padding=0x2",
    "c2h9w14k4r2s4+padding=1.0x0.1",
    "n2c3h7w9k4r3s3+padding=1.0x2.1",
    "c19h13w17k21r3s3+padding=1",
    "c3h66w131k2r3s3+padding=1",
    "c2h9w8k3r3s3+padding=2+flip=true",
    "n2c6h9w8k4r3s3+padding=1+groups=2",
    "c2h9w8k3r3s3+padding=1+direction=backward_data",
    "c2h6w7k2r3s3+padding=1+boundary=reflect",
)


@dataclass(frozen=True)
class Cases:
    """What an algorithm must run, and the fields that keep a random spec within what it supports."""

    must_run: tuple[str, ...]
    random: dict[str, Any] = field(default_factory=dict)
    faults: str = "n2c4h12w14k6r3s3+padding=1.0x2.1"
    """The spec on which planted faults must show: nothing in it is symmetric."""


LOW_RANKS = st.sampled_from(("rank:1", "gaussian:0.8", "box", "sobel"))
THREE_MOSTLY = st.sampled_from((3, 3, 3, 1, 2, 4, 5))
RESIZABLE = {"filter": st.sampled_from(("random", "box", "disk", "gaussian:0.8", "rank:2"))}  # of any r and s
PLAIN_STEPS = {"stride": 1, "dilation": 1}
FORWARD_OR_DATA = {"direction": st.sampled_from(("forward", "forward", "backward_data"))}

CASES: dict[str, Cases] = {
    "naive": Cases(EVERY_DIRECTION),
    "direct": Cases(EVERY_DIRECTION),
    "im2col": Cases(EVERY_DIRECTION),
    "im2col_tiled": Cases((*GENERAL, *BACKWARD_DATA), FORWARD_OR_DATA),
    "gemm1x1": Cases(
        POINTWISE,
        {"r": 1, "s": 1} | RESIZABLE | FORWARD_OR_DATA,
        faults="n2c4h12w14k6r1s1+padding=1.0x2.1",
    ),
    "fft": Cases((*GENERAL, *BACKWARD_DATA), FORWARD_OR_DATA),
    "fft_overlap_add": Cases((*GENERAL, *BACKWARD_DATA), FORWARD_OR_DATA),
    "fft_overlap_save": Cases((*GENERAL, *BACKWARD_DATA), FORWARD_OR_DATA),
    "separable": Cases(
        RANK_ONE, {"filter": LOW_RANKS} | FORWARD_OR_DATA, faults="n2c4h12w14k6r3s3+padding=1.0x2.1+filter=rank:1"
    ),
    "low_rank": Cases(
        (
            *RANK_ONE,
            "n2c3h20w30k2r5s7+padding=2+filter=rank:2",
            "h20w30r7s7+padding=3+filter=laplacian",
            "c3h20w18k2r9s8+padding=3.4x2.5+filter=rank:4+direction=backward_data",
        ),
        {"filter": LOW_RANKS} | FORWARD_OR_DATA,
        faults="n2c4h12w14k6r5s5+padding=1.0x2.1+filter=rank:2",
    ),
    **{
        f"winograd_f{m}": Cases(
            WINOGRAD, {"r": THREE_MOSTLY, "s": THREE_MOSTLY} | RESIZABLE | PLAIN_STEPS | FORWARD_OR_DATA
        )
        for m in (2, 4, 6)
    },
    "scipy_direct": Cases(
        tuple(case for case in PEER if not case.endswith(("reflect", "edge"))),
        {"groups": 1} | PLAIN_STEPS | FORWARD_OR_DATA,
    ),
    "scipy_fft": Cases(PEER, {"groups": 1} | PLAIN_STEPS | FORWARD_OR_DATA),
    "scipy_overlap_add": Cases(PEER, {"groups": 1} | PLAIN_STEPS | FORWARD_OR_DATA),
    "scipy_ndimage": Cases(
        SAME,
        {"groups": 1, "padding": "same"} | PLAIN_STEPS | FORWARD_OR_DATA,
        faults="n2c4h12w14k6r3s3+padding=2.0x0.2",
    ),
}

ALGORITHMS: dict[str, ConvAlgorithm] = {
    name: algorithm for name, algorithm in builtin().items() if algorithm.device == "cpu"
}


def must_run(name: str) -> tuple[ConvSpec, ...]:
    """The specs of an algorithm's list; empty for one that has none, which a test of its own tells."""
    return tuple(ConvSpec.parse(text) for text in CASES[name].must_run) if name in CASES else ()
