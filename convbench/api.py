"""The Python API: `prepare`, `conv2d`, `algorithms`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import final

import numba
import numpy as np
from threadpoolctl import ThreadpoolController

from convbench import catalog
from convbench.algorithm import Accelerator, Array, ConvAlgorithm, PreparedConv, Resources, Unsupported
from convbench.errors import OperandError, UnsupportedError
from convbench.operands import check_operand
from convbench.spec import ConvSpec, Padding, Pair


@cache
def algorithms() -> Mapping[str, ConvAlgorithm]:
    """The registry: name -> algorithm, the built-in ones and installed entry points."""
    return catalog.load()


@final
class Convolution:
    """A convolution that is bound to a shape, a filter and an algorithm; call it with x.

    Calls from several threads at once are served one after the other. x and y are the host's: an algorithm whose
    arrays live on a device has them carried there and back in each call.
    """

    def __init__(
        self,
        spec: ConvSpec,
        w: Array,
        prepared: PreparedConv,
        algorithm: str,
        threads: int,
        check_finite: bool,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.spec = spec
        self.w = w
        self.algorithm = algorithm
        self.threads = threads
        self.check_finite = check_finite
        self._prepared = prepared
        self._accelerator = accelerator
        self._pools = ThreadpoolController()
        self._lock = threading.Lock()

    def __call__(self, x: Array) -> Array:
        """The output, newly allocated, of shape `spec.output_shape`."""
        y = np.empty(self.spec.output_shape, self.spec.dtype)
        self.execute(x, y)
        return y

    def execute(self, x: Array, y: Array) -> None:
        """Convolve x [N,C,H,W] into y [N,K,P,Q], or the arrays of `spec.direction`; allocates no output.

        Raises `OperandError` for a wrong shape, dtype or layout, and for NaN or Inf in x unless
        `check_finite` is off.
        """
        check_operand("x", x, self.spec.input_shape, self.spec.dtype, finite=self.check_finite)
        check_operand("y", y, self.spec.output_shape, self.spec.dtype, finite=False)
        if not y.flags.writeable:
            raise OperandError("y is read-only")
        if np.may_share_memory(x, y):
            raise OperandError("x and y overlap in memory: give execute an output of its own")
        with self._lock, _thread_count(self._pools, self.threads):
            if self._accelerator is None:
                self._prepared.execute(x, y)
            else:
                there = self._accelerator.upload(y)
                self._prepared.execute(self._accelerator.upload(x), there)
                np.copyto(y, self._accelerator.download(there))


def prepare(
    spec: ConvSpec,
    w: Array,
    *,
    algorithm: str = "auto",
    threads: int | None = None,
    check_finite: bool = True,
    memory_limit_bytes: int | None = None,
) -> Convolution:
    """Plan `spec` and prepare the filter w [K,C/groups,R,S] (dy for backward_weights).

    `threads` defaults to all usable cores; set OMP_WAIT_POLICY=PASSIVE and GOMP_SPINCOUNT=5000 before Python
    starts, as convbench's own runs do, or the idle threads of one library spin on the cores that another needs.

    Raises `UnknownAlgorithmError`, `UnsupportedError` with the algorithm's reason, `OperandError` for a
    filter that does not fit, `WorkspaceTooLargeError`.
    """
    most = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]  # set at numba's own import
    count = most if threads is None else threads
    if not 1 <= count <= most:
        raise OperandError(f"threads={count} is out of range: 1 … {most}")
    check_operand("w", w, spec.prepared_shape, spec.dtype, finite=check_finite)
    resources = Resources(threads=count, memory_limit_bytes=memory_limit_bytes)
    reasons = []
    for name in _candidates(spec) if algorithm == "auto" else [algorithm]:
        found = catalog.find(algorithms(), name)
        prepared = _prepared(found, spec, w, resources)
        if isinstance(prepared, PreparedConv):
            return Convolution(spec, w, prepared, name, count, check_finite, found.accelerator())
        reasons.append(f"{name}: {prepared.reason}")
    raise UnsupportedError("; ".join(reasons))


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

    Cross-correlation, as in deep learning; `flip=True` for signal processing's convolution. Raises as
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
    n, c, height, width = x.shape
    k, channels, r, s = w.shape
    if channels * groups != c:
        raise OperandError(f"x has C={c} channels and w has C/groups={channels} with groups={groups}")
    spec = ConvSpec(
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
    y = prepare(spec, w, algorithm=algorithm, threads=threads)(x)
    return y[0, 0] if planar else y


def _prepared(algorithm: ConvAlgorithm, spec: ConvSpec, w: Array, resources: Resources) -> PreparedConv | Unsupported:
    unsupported = algorithm.supports(spec)
    if unsupported is not None:
        return unsupported
    with _thread_count(ThreadpoolController(), resources.threads):
        return algorithm.plan(spec, resources).prepare(w)


def _candidates(spec: ConvSpec) -> Iterator[str]:
    """What "auto" tries, in order, where no measured table says better: each method on its own ground.

    A matrix product for 1×1, two passes for a filter of rank 1, F(4,3) for 3×3 layers whose products
    outweigh its transforms, tiles of FFT for large filters, a matrix product for other layers, and
    direct sums for the rest.
    """
    taps, depth = spec.r * spec.s, spec.c // spec.groups
    if taps == 1:
        yield "gemm1x1"
    if depth == 1 and taps >= 9:
        yield "separable"
    if (spec.r, spec.s) == (3, 3) and depth >= 16 and spec.k // spec.groups >= 16:
        yield "winograd_f4"
    if taps >= 200 and spec.stride == (1, 1):
        yield "fft_overlap_save"
    if depth >= 8:
        yield "im2col_tiled"
    yield from ("direct", "naive")


@contextmanager
def _thread_count(pools: ThreadpoolController, threads: int) -> Iterator[None]:
    """Numba's and BLAS's thread counts set to `threads` for a while."""
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        with pools.limit(limits=threads, user_api="blas"):
            yield
    finally:
        numba.set_num_threads(before)
