"""What each built-in algorithm must run, and where Hypothesis finds specs that it supports.

A test that skips what an algorithm does not support says nothing once it supports nothing; so each
has its list here, and must run all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest
from hypothesis import strategies as st

from convbench.algorithm import ConvAlgorithm
from convbench.catalog import builtin
from convbench.spec import ConvSpec
from convbench_algorithms.backward import backward_data_as_forward
from convbench_algorithms.cuda.device import using
from convbench_algorithms.short_sums import is_short
from convbench_algorithms.winograd_cost import choose_transforms
from gpu.shim import HAS_COMPILER
from gpu.shim_device import ShimDevice

STAND_IN = ShimDevice()
"""For the card: see `conftest.py`."""

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
# Large enough for a card's strips.
DOWN_THE_COLUMNS = ("h511w520r5s3+padding=2x1+boundary=reflect", "h4w65536r13s5+padding=6x2")
WINOGRAD_WEIGHTS = _each(
    "+direction=backward_weights",
    (
        "n2c3h7w9k4r3s3+padding=1.0x2.1",
        "c19h13w17k21r3s3+padding=1",
        "c3h66w131k2r3s3+padding=1",
        "n2c2h9w14k4r1s3+padding=0x2",
        "c2h9w8k3r3s3+padding=2+flip=true",
        "n2c6h9w8k4r3s3+padding=1+groups=2",
        "c2h6w7k2r3s3+padding=1+boundary=reflect",
    ),
)
UP_TO_4 = tuple(case for case in WINOGRAD if "s5" not in case)
LAYERS = (*GEOMETRY, "c16h13w17k32r3s3+padding=1", *STRIDED, *DILATED, *GROUPED, *FLIPPED)
# Each channel by itself, to its own extent.
PLANES = (
    "h67w131r7s5+padding=3x2",
    "n2c3h21w23k3r3s5+groups=3+padding=1x2",
    "h67w61r13s11+padding=6x5",
    "c2h9w8k2r5s5+groups=2+padding=2+flip=true",
    "h6w7r5s3+padding=2x1+boundary=reflect",
    "h6w7r5s3+padding=2x1+boundary=edge",
)
GAUSSIANS = tuple(
    f"n2c3h40w41k3r13s13+groups=3+padding=6+filter=gaussian:2+boundary={boundary}"
    for boundary in ("zero", "reflect", "edge", "wrap")
)


@dataclass(frozen=True)
class Cases:
    """What an algorithm must run, and the fields that keep a random spec within what it supports."""

    must_run: tuple[str, ...]
    random: dict[str, Any] = field(default_factory=dict)
    faults: str = "n2c4h12w14k6r3s3+padding=1.0x2.1"
    """The spec on which planted faults must show: nothing in it is symmetric."""
    dtypes: tuple[str, ...] = ("float32", "float64")
    """The first in every case, the others in some."""
    compiled_by_size: bool = False
    """Seconds for each size and dtype: the other dtypes are in its first case alone."""
    kernel: Callable[[ConvSpec], Hashable] | None = None
    """What a kernel is compiled anew for, beside each dtype: random specs are of the kernels of the list."""
    any_filter: bool = True
    """Whether it takes filters that sum over channels, in which every fault that is planted shows."""


LOW_RANKS = st.sampled_from(("rank:1", "gaussian:0.8", "box", "sobel"))
RESIZABLE = {"filter": st.sampled_from(("random", "box", "disk", "gaussian:0.8", "rank:2"))}  # of any r and s
PLAIN_STEPS = {"stride": 1, "dilation": 1}
FORWARD_OR_DATA = {"direction": st.sampled_from(("forward", "forward", "backward_data"))}


def _forward(spec: ConvSpec) -> ConvSpec:
    """What is computed, by kernels for the forward direction."""
    return backward_data_as_forward(spec) if spec.direction == "backward_data" else spec


def _passes(spec: ConvSpec) -> Hashable:
    """What the passes of a filter of low rank are compiled for."""
    forward = _forward(spec)
    if forward.stride == forward.dilation == (1, 1) and is_short(spec.r, spec.s):
        return spec.r, spec.s
    return "stride", forward.stride


def _tiles(spec: ConvSpec) -> Hashable:
    """What Winograd's stages are compiled for."""
    return spec.r, spec.s, *(one.m for one in choose_transforms(_forward(spec)))


FLOAT_LAYER = Cases(LAYERS, {"boundary": "zero", "direction": "forward", "dtype": "float32"}, dtypes=("float32",))
ONE_PLANE = {"c": 1, "k": 1, "groups": 1, "padding": "same", "direction": "forward"} | PLAIN_STEPS
ONE_CHANNEL_BOUNDARIES = tuple(case.replace("c2", "").replace("k2", "") for case in BOUNDARIES)
COMPILED = FORWARD_OR_DATA | RESIZABLE | {"k": st.sampled_from((1, 2)), "dtype": "float32"}
"""Of kernels that are compiled for each filter: seconds for a new one, so that the others stand in the list."""
LOW_RANKS_OF_ANY_SIZE = st.sampled_from(("rank:1", "gaussian:0.8", "box"))
OF_A_CARD = ("float32", "float16", "float64")
DEPTHWISE = "n2c4h12w14k4r3s3+groups=4+padding=1"
GAUSSIAN_RADIUS = {"r": 7, "s": 7, "h": st.integers(4, 30), "w": st.integers(4, 30), "filter": "gaussian:1"}

CASES: dict[str, Cases] = {
    "naive": Cases(EVERY_DIRECTION),
    "direct": Cases(EVERY_DIRECTION),
    "im2col": Cases(EVERY_DIRECTION),
    "im2col_tiled": Cases((*GENERAL, *BACKWARD_DATA), FORWARD_OR_DATA),
    "shift_gemm": Cases((*GENERAL, *BACKWARD_DATA), FORWARD_OR_DATA),
    "gemm1x1": Cases(
        POINTWISE,
        {"r": 1, "s": 1} | RESIZABLE | FORWARD_OR_DATA,
        faults="n2c4h12w14k6r1s1+padding=1.0x2.1",
    ),
    "fft": Cases((*GENERAL, *BACKWARD_DATA), FORWARD_OR_DATA),
    "fft_overlap_add": Cases((*GENERAL, *BACKWARD_DATA), FORWARD_OR_DATA),
    "fft_overlap_save": Cases(
        (
            *GENERAL,
            *BACKWARD_DATA,
            *_each("+direction=backward_weights", GENERAL),
            "n2c3h90w40k5r5s3+padding=2+direction=backward_weights",
            "c4h70w300k3r3s9+stride=2x1+padding=1x4+direction=backward_weights",
        ),
    ),
    "dask_overlap": Cases((*GENERAL, *BACKWARD_DATA[::3], "h67w131r11s9+padding=10x8+boundary=wrap"), FORWARD_OR_DATA),
    "separable": Cases(
        RANK_ONE,
        {"filter": LOW_RANKS} | FORWARD_OR_DATA,
        kernel=_passes,
        faults="n2c4h12w14k6r3s3+padding=1.0x2.1+filter=rank:1",
    ),
    "low_rank": Cases(
        (
            *RANK_ONE[::3],  # of which `separable`, whose passes it takes, runs all
            "n2c3h20w30k2r5s7+padding=2+filter=rank:2",
            "h20w30r7s7+padding=3+filter=laplacian",
            "c3h20w18k2r9s8+padding=3.4x2.5+filter=rank:4+direction=backward_data",
        ),
        {"filter": LOW_RANKS} | FORWARD_OR_DATA,
        kernel=_passes,
        faults="n2c4h12w14k6r5s5+padding=1.0x2.1+filter=rank:2",
    ),
    "recursive_gaussian": Cases(
        (
            *GAUSSIANS,
            "h70w45r19s19+padding=9+filter=gaussian:3+boundary=symmetric",
            "h30w33r9s9+filter=gaussian:1.25",
            "c2h19w40k2r9s9+groups=2+padding=1.0x2.13+filter=gaussian:1+boundary=reflect",
            "c2h19w40k2r13s13+groups=2+padding=1.0x12.5+filter=gaussian:2+direction=backward_data",
        ),
        {"c": 1, "k": 1, "groups": 1} | PLAIN_STEPS | GAUSSIAN_RADIUS | FORWARD_OR_DATA,
        faults="n2c4h12w14k4r7s7+groups=4+padding=3+filter=gaussian:1",
        any_filter=False,
    ),
    "box": Cases(
        (*_each("+filter=box", (*GENERAL, *BACKWARD_DATA)), "h61w530r31s15+padding=15x7+filter=box"),
        {"filter": "box"} | FORWARD_OR_DATA,
        faults="n2c4h12w14k6r3s3+padding=1.0x2.1+filter=box",
        any_filter=False,
    ),
    "integral_image": Cases(
        (
            *_each("+filter=box", (*GEOMETRY, *GROUPED, *BOUNDARIES, *BACKWARD_DATA[::3])),
            "n2c4h13w11k6r3s3+stride=2x3+padding=1+groups=2+filter=box",
            "h61w530r31s15+padding=15x7+filter=box",
        ),
        {"filter": "box", "dilation": 1, "stride": st.sampled_from((1, 1, 2))} | FORWARD_OR_DATA,
        faults="n2c4h12w14k6r3s3+padding=1.0x2.1+filter=box",
        any_filter=False,
    ),
    **{
        # Each size of filter is compiled for itself, which takes seconds: the others stand in the list.
        name: Cases(
            (
                # Its first case, which is in every dtype, has the tiles that the planted faults are tried on.
                *(
                    (WINOGRAD[4], *WINOGRAD[::3])
                    if name == "winograd"
                    else UP_TO_4
                    if name == "winograd_f6"
                    else WINOGRAD
                ),
                *(WINOGRAD_WEIGHTS if name == "winograd_f4" else WINOGRAD_WEIGHTS[:1]),
            ),
            {"r": 3, "s": 3, "dtype": "float32"}
            | RESIZABLE
            | PLAIN_STEPS
            # It chooses among tiles for the layer: each direction of each would be compiled.
            | (FORWARD_OR_DATA if name == "winograd" else {}),
            compiled_by_size=True,
            kernel=_tiles if name == "winograd" else None,
        )
        for name in ("winograd", "winograd_f2", "winograd_f4", "winograd_f6")
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
    "scikit_image": Cases(
        (*GAUSSIANS, "h9w31r9s9+padding=4+filter=gaussian:1.5+boundary=symmetric"),
        ONE_PLANE | GAUSSIAN_RADIUS,
        faults=f"{DEPTHWISE}+filter=gaussian:0.8",
        any_filter=False,
    ),
    "opencv": Cases(
        (
            *PLANES,
            *(case for case in GAUSSIANS if not case.endswith("wrap")),
            "h1w1r1s1",
            "n2c3h7w9k3r3s2+groups=3+padding=0.2x1.0",
            "c2h9w8k2r4s5+groups=2+padding=3.0x0.4+flip=true",
            "h30w31r9s5+padding=4x2+filter=rank:1",
            "h30w31r9s5+padding=4x2+filter=disk+boundary=symmetric",
        ),
        ONE_PLANE,
        faults=DEPTHWISE,
        any_filter=False,
    ),
    "diplib": Cases(
        (*PLANES, *GAUSSIANS, "h9w31r7s9+padding=3x4+boundary=wrap"),
        ONE_PLANE | RESIZABLE | {"r": st.sampled_from((3, 5)), "s": st.sampled_from((3, 5))},
        faults=DEPTHWISE,
        any_filter=False,
    ),
    "diplib_iir": Cases(
        GAUSSIANS,
        ONE_PLANE | GAUSSIAN_RADIUS,
        faults="n2c4h12w14k4r7s7+groups=4+padding=3+filter=gaussian:1",
        any_filter=False,
    ),
    "torch": Cases(
        (
            *LAYERS,
            *(case for case in BOUNDARIES if not case.endswith("symmetric")),
            *BACKWARD_DATA,
            *(f"{case}+direction=backward_weights" for case in (*LAYERS, BOUNDARIES[0], BOUNDARIES[3])),
        )
    ),
    "torch_fft": Cases(
        (*GEOMETRY, *GROUPED, *FLIPPED, *(case for case in BOUNDARIES if not case.endswith("symmetric"))),
        PLAIN_STEPS | {"direction": "forward"},
    ),
    "cuda_direct": Cases(
        (
            *GENERAL,
            *BACKWARD_DATA,
            "h20w64r3s3+padding=1",
            "c2h9w132k8r5s5+padding=2",
            "h20w33r13s9+padding=6x4",
            *DOWN_THE_COLUMNS,
        ),
        COMPILED | {"r": 3, "s": 5, "stride": st.sampled_from((1, 2)), "dilation": st.sampled_from((1, (1, 2)))},
        dtypes=OF_A_CARD,
    ),
    "cuda_separable": Cases(
        (
            "h1w1r1s1",
            "h67w131r7s5+padding=3x2+filter=rank:1",
            *_each("+filter=rank:1", (*GROUPED[:1], *ONE_CHANNEL_BOUNDARIES)),
            "n2c5h8w9k5r3s3+padding=1+groups=5+filter=box+direction=backward_data",
            "h40w300r15s15+padding=7+boundary=reflect+filter=gaussian:2.5",
            "c2h70w41k4r3s13+groups=2+padding=1x6+filter=rank:1+flip=true",
        ),
        COMPILED | {"groups": 1, "c": 1, "r": 3, "s": 5, "filter": LOW_RANKS_OF_ANY_SIZE} | PLAIN_STEPS,
        faults="n2c4h12w14k4r3s3+padding=1.0x2.1+groups=4+filter=rank:1",
        dtypes=OF_A_CARD,
        any_filter=False,
    ),
    "cuda_recursive_gaussian": Cases(
        (
            *GAUSSIANS,
            "h70w45r19s19+padding=9+filter=gaussian:3+boundary=symmetric",
            "h150w33r13s13+padding=6+filter=gaussian:2",
        ),
        ONE_PLANE | GAUSSIAN_RADIUS,
        faults="n2c4h12w14k4r7s7+groups=4+padding=3+filter=gaussian:1",
        any_filter=False,
    ),
    **{
        name: Cases(WINOGRAD, COMPILED | {"r": 3, "s": st.sampled_from((3, 1))} | PLAIN_STEPS, dtypes=OF_A_CARD)
        for name in ("cuda_winograd_f2", "cuda_winograd_f4")
    },
    **{
        name: Cases(
            (*GENERAL, *BACKWARD_DATA), FORWARD_OR_DATA | {"dtype": st.sampled_from(OF_A_CARD)}, dtypes=OF_A_CARD
        )
        for name in ("cuda_im2col", "cuda_implicit_gemm", "cuda_fft", "cuda_fft_overlap_save")
    },
    "cuda_fft_fused": Cases(
        (
            *PLANES,
            "h1w1r1s1",
            "n2c3h40w131k3r3s2+groups=3+padding=0.2x1.0",
            "n2c2h13w11k6r3s3+stride=2x3+padding=1+groups=2",
            "h60w50r5s3+dilation=3x2",
            "h140w150r31s29+padding=15+boundary=reflect",
            "n2c5h8w9k5r3s3+padding=1+groups=5+stride=2+direction=backward_data",
        ),
        ONE_PLANE | {"dtype": st.sampled_from(OF_A_CARD)},
        faults="n2c4h12w14k4r3s3+padding=1.0x2.1+groups=4",
        dtypes=OF_A_CARD,
        any_filter=False,
    ),
    "cuda_fft_fused_from_host": Cases(
        PLANES,
        ONE_PLANE,
        faults="n2c4h12w14k4r3s3+padding=1.0x2.1+groups=4",
        dtypes=("float32",),
        any_filter=False,
    ),
    **{
        f"{name}_from_host": Cases((*GEOMETRY, *BOUNDARIES[:1], *BACKWARD_DATA[:2]), random, dtypes=("float32",))
        for name, random in (
            ("cuda_direct", COMPILED | {"r": 3, "s": 5} | PLAIN_STEPS),
            ("cuda_implicit_gemm", FORWARD_OR_DATA),
        )
    },
    **{
        name: Cases((*LAYERS, *BOUNDARIES, *BACKWARD_DATA), FORWARD_OR_DATA | {"dtype": "float32"}, dtypes=("float32",))
        for name in (
            "cuda_im2col_tf32",
            "cuda_im2col_3xtf32",
            "cuda_implicit_gemm_tf32",
            "cuda_implicit_gemm_3xtf32",
        )
    },
    "cuda_implicit_gemm_half": Cases(
        (*GENERAL, *BACKWARD_DATA), FORWARD_OR_DATA | {"dtype": "float16"}, dtypes=("float16",)
    ),
    "cuda_gemm1x1": Cases(
        tuple(case for case in POINTWISE if "padding" not in case and "stride" not in case),
        {"r": 1, "s": 1, "padding": 0} | RESIZABLE | PLAIN_STEPS | FORWARD_OR_DATA,
        faults="n2c4h12w14k6r1s1",
        dtypes=OF_A_CARD,
    ),
    **{
        name: Cases((*PLANES, *(case for case in GAUSSIANS)), ONE_PLANE, faults=DEPTHWISE, any_filter=False)
        for name in ("cupyx_convolve2d", "cupyx_fftconvolve", "cupyx_oaconvolve", "cupyx_ndimage")
    },
    "cupyx_gaussian_filter": Cases(
        (*GAUSSIANS, "h9w31r9s9+padding=4+filter=gaussian:1.5+boundary=symmetric"),
        ONE_PLANE | GAUSSIAN_RADIUS,
        faults=f"{DEPTHWISE}+filter=gaussian:0.8",
        any_filter=False,
    ),
    **{
        name: Cases(
            (*LAYERS, *(case for case in BOUNDARIES if not case.endswith("symmetric"))),
            {"direction": "forward", "dtype": "float32"},
            dtypes=("float32",),
        )
        for name in ("cudnn", "cudnn_tf32")
    },
    "onnxruntime": FLOAT_LAYER,
    "openvino": FLOAT_LAYER,
    "ncnn": FLOAT_LAYER,
}

ALGORITHMS: dict[str, ConvAlgorithm] = builtin()


def case(name: str, *values: object, id: str | None = None) -> Any:
    """A pytest parameter whose test is skipped, with the reason, where the algorithm's library is missing."""
    return pytest.param(name, *values, id=id or name, marks=[pytest.mark.skip(reason=why) for why in _missing(name)])


@cache
def _missing(name: str) -> tuple[str, ...]:
    with using(STAND_IN):
        unsupported = ALGORITHMS[name].supports(must_run(name)[0]) if name in CASES else None
    missing = [unsupported.reason] if unsupported and "pip install" in unsupported.reason else []
    if ALGORITHMS[name].device == "cuda" and not HAS_COMPILER:
        missing.append("needs g++")
    return tuple(missing)


@cache
def must_run(name: str) -> tuple[ConvSpec, ...]:
    """The specs of an algorithm's list, in its first dtype; empty for one that has none, which another test tells."""
    if name not in CASES:
        return ()
    dtype = CASES[name].dtypes[0]
    return tuple(replace(ConvSpec.parse(text), dtype=dtype) for text in CASES[name].must_run)
