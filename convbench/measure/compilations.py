"""What Numba compiles in this process: a kernel that its cache on disk holds is not compiled, and not counted."""

from __future__ import annotations

from time import perf_counter
from typing import NamedTuple, final

from numba.core import event
from numba.core.registry import cpu_target


class Compiled(NamedTuple):
    """A number of kernels, and the wall time that compiling them took."""

    kernels: int = 0
    seconds: float = 0.0

    def since(self, before: Compiled) -> Compiled:
        """What was added after `before`."""
        return Compiled(self.kernels - before.kernels, self.seconds - before.seconds)


@final
class Compilations(event.Listener):
    """Counts from now on. Numba announces a compilation only where its disk cache had nothing to load.

    What a kernel calls is compiled within its own compilation, and belongs to it: only the outermost counts.
    """

    def __init__(self) -> None:
        self.total = Compiled()
        self._depth = 0
        self._start_s = 0.0
        event.register("numba:compile", self)  # type: ignore[no-untyped-call]

    def on_start(self, _event: event.Event) -> None:
        """A compilation begins."""
        if self._depth == 0:
            self._start_s = perf_counter()
        self._depth += 1

    def on_end(self, _event: event.Event) -> None:
        """A compilation ends, well or not."""
        self._depth -= 1
        if self._depth == 0:
            self.total = Compiled(self.total.kernels + 1, self.total.seconds + perf_counter() - self._start_s)


def load_registries() -> None:
    """What Numba does before a process's first kernel, done ahead of forks: 0.2 s, once for all of them."""
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
