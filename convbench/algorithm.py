"""The one interface of every convolution algorithm: plan, prepare, execute.

    supports(spec)          may it run, and if not, why
    plan(spec, resources)   everything that depends on the shape: tiles, FFT plans, JIT compilation
    prepare(w)              everything that depends on the filter: spectra, G g Gᵀ, the rank-1 test
    execute(x, y)           the timed call

FFTW, cuDNN and oneDNN make the same split: a filter that serves many images is transformed once.

Which arrays these are depends on `spec.direction`:

    forward            prepare(w [K,C/groups,R,S])   execute(x  [N,C,H,W], y  [N,K,P,Q])
    backward_data      prepare(w [K,C/groups,R,S])   execute(dy [N,K,P,Q], dx [N,C,H,W])
    backward_weights   prepare(dy [N,K,P,Q])         execute(x  [N,C,H,W], dw [K,C/groups,R,S])

In backward_weights both operands change from call to call, so there `prepare` only *binds* dy:
`execute` must read the values that dy holds when it is called, and so pays for all work on them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, final, get_args

import numpy as np
import numpy.typing as npt

from convbench.errors import WorkspaceTooLargeError
from convbench.spec import ConvSpec

Array = npt.NDArray[Any]
Device = Literal["cpu", "cuda"]
Devices = Literal["cpu", "cuda", "both"]
"""What the contenders of a suite run on."""
Precision = Literal["strict", "emulated", "tf32", "half", "approximate"]
Norm = Literal["componentwise", "normwise"]

MiB: Final = 2**20


@dataclass(frozen=True)
class Unsupported:
    """Why an algorithm cannot run a spec, in words that are shown to people."""

    reason: str


@dataclass(frozen=True)
class ErrorModel:
    """What "agrees" means for an algorithm: an error norm, its bound, and where the bound comes from.

    With e = y − y_ref and the scale s = |w| ⋆ |x| (the sum of absolute products, computed in float64):

        componentwise   max_i |e_i| / s_i      direct sums: each output has its own backward error
        normwise        ‖e‖₂ / ‖s‖₂            transforms: round-off spreads over the whole output
    """

    norm: Norm
    bound: float
    source: str

    def __post_init__(self) -> None:
        if self.norm not in get_args(Norm):
            raise ValueError(f"the norm {self.norm!r} is unknown; valid: {', '.join(get_args(Norm))}")
        if not self.bound >= 0:
            raise ValueError(f"{self.bound!r} bounds nothing")


@dataclass(frozen=True)
class Resources:
    """What a plan may use.

    `memory_limit_bytes` is the hard limit for workspace (None: no limit); `tile_limit_bytes` is what
    a tiled algorithm should bound its workspace by, whatever the image's size.
    """

    threads: int = 1
    memory_limit_bytes: int | None = None
    tile_limit_bytes: int = 64 * MiB

    def reserve(self, workspace_bytes: int) -> int:
        """The given size back if it fits; called before anything large is allocated.

        Raises `WorkspaceTooLargeError` where it does not fit.
        """
        limit = self.memory_limit_bytes
        if limit is not None and workspace_bytes > limit:
            raise WorkspaceTooLargeError(
                f"needs {workspace_bytes / MiB:,.0f} MiB of workspace, but only {limit / MiB:,.0f} MiB are left"
            )
        return workspace_bytes


class Accelerator(ABC):
    """A device with memory and a clock of its own, as the harness uses it; algorithms of `device` "cuda" give one."""

    name: str
    highest_hz: float
    """Of its clock."""
    loaded: int = 0
    """Kernels that were compiled for it, or found compiled, and loaded."""
    loading_s: float = 0.0
    """What that took; it is part of a plan's time, or of prepare's."""

    @abstractmethod
    def upload(self, host: Array) -> Any:
        """A copy of a host's array there."""

    @abstractmethod
    def download(self, array: Any) -> Array:
        """A copy of its array here; waits until all work is done."""

    @abstractmethod
    def synchronise(self) -> None:
        """Wait until all work is done."""

    @abstractmethod
    def free_bytes(self) -> int:
        """Of its memory."""

    @abstractmethod
    def used_bytes(self) -> int:
        """Of its memory, by this process."""

    @abstractmethod
    def batch(self, call: Callable[..., Any], arguments: tuple[Any, ...], calls: int) -> tuple[float, Any]:
        """The seconds that `calls` calls take there, one after the other without gaps, and what the last returned."""

    @abstractmethod
    def cool(self) -> None:
        """Empty its caches."""

    @abstractmethod
    def clock_hz(self) -> float:
        """Its clock now."""


class PreparedConv(ABC):
    """An algorithm bound to a shape and a filter."""

    operations: int | None = None
    """Additions and multiplications of one call, each as one, as it really does them; None where it does not count.

    What vectors waste at their edges is not counted.
    """

    @abstractmethod
    def execute(self, x: Array, y: Array) -> None:
        """Convolve x into y: every element of y is overwritten, nothing is allocated, x is left alone.

        Both are C-contiguous, of `spec.input_shape`, `spec.output_shape` and `spec.dtype`; where the algorithm has an
        accelerator, they are its arrays, and work that was begun there need not have ended.
        Not re-entrant: it may use the plan's workspace.
        """


class ForeignConv(PreparedConv):
    """A library's convolution, which reads and returns arrays of its own, in layouts of its own.

    Its users keep their arrays that way from one call to the next. So of the three steps only `compute` is
    timed: it is all that they pay for. `accept` and `deliver` carry our arrays in and out.
    """

    @abstractmethod
    def accept(self, x: Array) -> Any:
        """x as the library holds it; may share memory with x."""

    @abstractmethod
    def compute(self, x: Any) -> Any:
        """The convolution of what `accept` gave, in an array that the library returns; x is left alone."""

    @abstractmethod
    def deliver(self, result: Any, y: Array) -> None:
        """Write what `compute` returned into y, every element."""

    @final
    def execute(self, x: Array, y: Array) -> None:
        """See `PreparedConv`, but that the library allocates."""
        self.deliver(self.compute(self.accept(x)), y)


class ConvPlan(ABC):
    """An algorithm bound to a shape."""

    workspace_bytes: int
    """Memory that plan and prepared convolution hold beside the operands."""

    @abstractmethod
    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        """Bind the filter; `Unsupported` where its *values* do not suit (a filter that is not of rank 1)."""


class ConvAlgorithm(ABC):
    """A way to compute a convolution. Stateless; a concrete class is final."""

    name: ClassVar[str]
    """What suites and tables call it: "winograd_f4"."""

    device: ClassVar[Device] = "cpu"
    precision: ClassVar[Precision] = "strict"
    tags: ClassVar[frozenset[str]] = frozenset()
    """Words by which suites select groups of algorithms; "peer" marks a library's own convolution."""

    @abstractmethod
    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """None if it can run `spec`, else the reason."""

    @abstractmethod
    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """The bound that a correct implementation keeps on `spec`."""

    @abstractmethod
    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """Bind the shape. Raises `WorkspaceTooLargeError` where `resources` do not suffice."""

    def accelerator(self) -> Accelerator | None:
        """Where x and y are to live, and what times the calls; None for the host. Not asked before a process forks."""
        return None


def unsupported_dtype(spec: ConvSpec) -> Unsupported | None:
    """The reason of every algorithm that computes in float32 or float64 only."""
    return Unsupported("float16 is for cards") if spec.dtype == "float16" else None


def computing_dtype(dtype: str) -> str:
    """What sums are carried in: float16 is for storing numbers, and none of the contenders sums in it."""
    return "float32" if dtype == "float16" else dtype


def once_stored(model: ErrorModel, dtype: str) -> ErrorModel:
    """The model of a result that was computed in `computing_dtype(dtype)`, after its rounding to `dtype`."""
    if computing_dtype(dtype) == dtype:
        return model
    bound = model.bound + (1 + model.bound) * unit_roundoff(dtype)
    return ErrorModel(model.norm, bound, f"{model.source}; rounded to {dtype}")


def unit_roundoff(dtype: str) -> float:
    """u, half the distance from 1 to the next number."""
    return float(np.finfo(dtype).eps) / 2


def summation_error(spec: ConvSpec) -> ErrorModel:
    """The bound for any algorithm that sums products directly, in whatever order.

    Higham & Mary, "A New Approach to Probabilistic Rounding Error Analysis" (SISC 41, 2019), theorem 3.1:
    |e_i| ≤ γ̃_n(λ)·(|w|·|x|)_i with γ̃_n(λ) = exp(λ·√n·u + n·u²/(1−u)) − 1, for an inner product of n terms,
    with probability at least 1 − 2n·exp(−λ²(1−u)²/2). λ = 10 leaves 4e-22·n.
    """
    u = unit_roundoff(computing_dtype(spec.dtype))
    terms = inner_product_length(spec)
    bound = float(np.expm1(10 * np.sqrt(terms) * u + terms * u**2 / (1 - u)))
    return once_stored(ErrorModel("componentwise", bound, "Higham & Mary 2019, theorem 3.1, λ = 10"), spec.dtype)


def inner_product_length(spec: ConvSpec) -> int:
    """How many products each output sums, at most: C/groups·R·S forward, N·P·Q for dw.

    K/groups·R·S for dx, times the copies that the padding makes of one element of x: each gathers gradients.
    """
    if spec.direction == "backward_data":
        return spec.k // spec.groups * spec.r * spec.s * _copies(spec, 0) * _copies(spec, 1)
    if spec.direction == "backward_weights":
        return spec.n * spec.p * spec.q
    return spec.c // spec.groups * spec.r * spec.s


def _copies(spec: ConvSpec, axis: int) -> int:
    """How often one element of x stands in the padded x along H (axis 0) or W (axis 1), at most."""
    extent, padding = (spec.h, spec.w)[axis], spec.padding[axis]
    padded = extent + sum(padding)
    if spec.boundary == "zero":
        return 1
    if extent == 1:
        return padded
    if spec.boundary == "edge":
        return 1 + max(padding)
    if spec.boundary == "wrap":
        return -(-padded // extent)
    # Mirrored, an element comes twice in a period; reflect leaves out both edges.
    period = 2 * extent - 2 * (spec.boundary == "reflect")
    return min(2 * -(-padded // period), padded)
