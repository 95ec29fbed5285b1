"""The Python API: `prepare`, `conv2d`, `algorithms`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cache
from typing import Final

import numba
import numpy as np

from convbench import auto, catalog
from convbench.algorithm import Array, ConvAlgorithm, Resources, Unsupported
from convbench.convolution import Convolution, Pools
from convbench.errors import OperandError, UnsupportedError
from convbench.kept import KeptConvolutions
from convbench.operands import check_operand
from convbench.spec import ConvSpec, Padding, Pair

_kept: Final = KeptConvolutions()


@cache
def algorithms() -> Mapping[str, ConvAlgorithm]:
    """The registry: name -> algorithm, the built-in ones and installed entry points."""
    return catalog.load()


def prepare(
    spec: ConvSpec,
    w: Array,
    *,
    algorithm: str = "auto",
    threads: int | None = None,
    check_finite: bool = True,
    memory_limit_bytes: int | None = None,
    race: bool = True,
) -> Convolution:
    """Plan `spec` and prepare the filter w [K,C/groups,R,S] (dy for backward_weights).

    "auto" goes by what `convbench tune` has measured here, or else by what is shipped of another machine. Those that
    are expected to be close run a short race, some calls each, unless `race` is off.

    `threads` defaults to all usable cores; set OMP_WAIT_POLICY=PASSIVE and GOMP_SPINCOUNT=5000 before Python
    starts, as convbench's own runs do, or the idle threads of one library spin on the cores that another needs.

    Raises `UnknownAlgorithmError`, `UnsupportedError` with the algorithm's reason, `OperandError` for a
    filter that does not fit, `WorkspaceTooLargeError`.
    """
    count = thread_count(threads)
    check_operand("w", w, spec.prepared_shape, spec.dtype, finite=check_finite)
    resources = Resources(threads=count, memory_limit_bytes=memory_limit_bytes)
    with Pools().limited(count):
        chosen: auto.Ready | Unsupported
        if algorithm == "auto":
            chosen = auto.choose(algorithms(), spec, w, resources, race=race)
        else:
            chosen = auto.ready(catalog.find(algorithms(), algorithm), spec, w, resources)
    if isinstance(chosen, Unsupported):
        raise UnsupportedError(f"{algorithm}: {chosen.reason}")
    return Convolution(
        spec,
        w,
        chosen.prepared,
        chosen.algorithm.name,
        count,
        check_finite,
        chosen.plan.workspace_bytes,
        chosen.algorithm.accelerator(),
    )


def thread_count(threads: int | None) -> int:
    """As many, or all of them. Raises `OperandError` for what this process was not started with."""
    most = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]  # set at numba's own import
    count = most if threads is None else threads
    if not 1 <= count <= most:
        raise OperandError(f"threads={count} is out of range: 1 … {most}")
    return count


def conv2d(
    x: Array,
    w: Array,
    *,
    stride: int | Pair = 1,
    padding: int | Pair | Padding | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    boundary: str = "zero",
    flip: bool = False,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Array:
    """y [N,K,P,Q] of x [N,C,H,W] and w [K,C/groups,R,S]; or y [P,Q] of x [H,W] and w [R,S].

    Cross-correlation, as in deep learning; `flip=True` for signal processing's convolution. Plans and prepared filters
    are kept for the next calls (`convbench.kept`); "auto" holds its race in the second one of a problem. Raises as
    `prepare` and `Convolution.execute` do.
    """
    for name, array in (("x", x), ("w", w)):
        if not isinstance(array, np.ndarray):
            raise OperandError(f"{name} must be a numpy array, not {type(array).__name__}")
    if x.ndim != w.ndim or x.ndim not in (2, 4):
        raise OperandError(f"x and w must both be of 4 dimensions, or both of 2; not of {x.ndim} and {w.ndim}")
    planar = x.ndim == 2
    if planar:
        x, w = x[None, None], w[None, None]
    options = (stride, padding, dilation, groups, boundary, flip)

    def make(race: bool) -> Convolution:
        spec = _spec(x, w, *options)
        return prepare(spec, w, algorithm=algorithm, threads=threads, race=race)

    key: Hashable = (x.shape, w.shape, x.dtype, w.dtype, options, algorithm, threads)
    try:
        hash(key)
    except TypeError:
        key = _hashable(key)
    y = _kept.get(key, w, make)(x)
    return y[0, 0] if planar else y


def _spec(
    x: Array,
    w: Array,
    stride: int | Pair,
    padding: int | Pair | Padding | str,
    dilation: int | Pair,
    groups: int,
    boundary: str,
    flip: bool,
) -> ConvSpec:
    n, c, height, width = x.shape
    k, channels, r, s = w.shape
    if channels * groups != c:
        raise OperandError(f"x has C={c} channels and w has C/groups={channels} with groups={groups}")
    return ConvSpec(
        n=n,
        c=c,
        h=height,
        w=width,
        k=k,
        r=r,
        s=s,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        dtype=x.dtype.name,
        boundary=boundary,
        flip=flip,
    )


def _hashable(value: object) -> Hashable:
    """The same value, lists as tuples."""
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value
