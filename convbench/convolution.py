"""A convolution that is ready to be called, and the thread counts of the libraries under it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import final

import numba
import numpy as np
from threadpoolctl import ThreadpoolController

from convbench.algorithm import Accelerator, Array, PreparedConv
from convbench.errors import OperandError
from convbench.operands import check_operand
from convbench.spec import ConvSpec


@final
class Pools:
    """Numba's and BLAS's threads."""

    def __init__(self) -> None:
        self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers

    def limit(self, threads: int) -> Callable[[], None] | None:
        """As many of either from now on, and what undoes that; None where it was so already.

        To set them takes longer than to look.
        """
        before = numba.get_num_threads()
        others = [(library, count) for library in self._libraries if (count := library.num_threads) != threads]
        if before == threads and not others:
            return None
        numba.set_num_threads(threads)
        for library, _ in others:
            library.set_num_threads(threads)

        def undo() -> None:
            numba.set_num_threads(before)
            for library, count in others:
                library.set_num_threads(count)

        return undo

    @contextmanager
    def limited(self, threads: int) -> Iterator[None]:
        """As many of either for a while."""
        undo = self.limit(threads)
        try:
            yield
        finally:
            if undo is not None:
                undo()


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
        workspace_bytes: int,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.spec = spec
        self.w = w
        self.algorithm = algorithm
        self.threads = threads
        self.check_finite = check_finite
        self.workspace_bytes = workspace_bytes
        self.prepared = prepared
        self._accelerator = accelerator
        self._pools = Pools()
        self._lock = threading.Lock()
        self._dtype = np.dtype(spec.dtype)
        self._input_shape, self._output_shape = spec.input_shape, spec.output_shape

    def __call__(self, x: Array) -> Array:
        """The output, newly allocated, of shape `spec.output_shape`."""
        check_operand("x", x, self._input_shape, self._dtype, finite=self.check_finite)
        y = np.empty(self._output_shape, self._dtype)
        self._run(x, y)
        return y

    def execute(self, x: Array, y: Array) -> None:
        """Convolve x [N,C,H,W] into y [N,K,P,Q], or the arrays of `spec.direction`; allocates no output.

        Raises `OperandError` for a wrong shape, dtype or layout, and for NaN or Inf in x unless
        `check_finite` is off.
        """
        check_operand("x", x, self._input_shape, self._dtype, finite=self.check_finite)
        check_operand("y", y, self._output_shape, self._dtype, finite=False)
        if not y.flags.writeable:
            raise OperandError("y is read-only")
        if np.may_share_memory(x, y):
            raise OperandError("x and y overlap in memory: give execute an output of its own")
        self._run(x, y)

    def _run(self, x: Array, y: Array) -> None:
        with self._lock:
            undo = self._pools.limit(self.threads)
            try:
                if self._accelerator is None:
                    self.prepared.execute(x, y)
                else:
                    there = self._accelerator.upload(y)
                    self.prepared.execute(self._accelerator.upload(x), there)
                    np.copyto(y, self._accelerator.download(there))
            finally:
                if undo is not None:
                    undo()
