"""A fresh process that imports the numeric libraries once, and forks a worker for each contender that asks.

Fresh processes are what makes passes independent, but an import of NumPy, SciPy and Numba costs a second:
paid once a pass and thread count here, not once a contender.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import mmap
import os
import random
import signal
import socket
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import NoReturn, final

from convbench.algorithm import ConvAlgorithm
from convbench.measure.compilations import load_registries
from convbench.measure.processes import die_with_parent, kill_group, lead_group
from convbench.measure.worker import serve


def main() -> None:
    """Serve fork requests on the control socket until the coordinator hangs up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--control", type=int, required=True, help="file descriptor of the control socket")
    parser.add_argument("--loader", required=True, help="module:function that gives the algorithms")
    parser.add_argument("--plugin", type=Path, action="append", default=[])
    parser.add_argument("--algorithm", action="append", default=[], help="one that will be asked for")
    options = parser.parse_args()

    family = Family()
    signal.signal(signal.SIGTERM, family.end)
    die_with_parent(signal.SIGTERM)  # not SIGKILL: there may be processes that only this one knows of
    control = socket.socket(fileno=options.control)
    module, _, function = options.loader.partition(":")
    try:
        algorithms = getattr(importlib.import_module(module), function)(options.plugin, options.algorithm)
    except Exception as error:
        control.send(json.dumps({"failed": f"{type(error).__name__}: {error}"[:2000]}).encode())
        return
    load_registries()
    gc.freeze()  # the libraries' own objects: no collection in a worker need look at them again
    control.send(json.dumps({"ready": sorted(algorithms)}).encode())
    _serve_forks(control, algorithms, family)


@final
class Family:
    """The workers that have not been reaped."""

    def __init__(self) -> None:
        self.pids: set[int] = set()

    def end(self, _number: int = 0, _frame: FrameType | None = None) -> NoReturn:
        """End them, whatever they have started, and this process. Fit to be a signal's handler."""
        for pid in self.pids:
            kill_group(pid)
        os._exit(0)


def _serve_forks(control: socket.socket, algorithms: Mapping[str, ConvAlgorithm], family: Family) -> None:
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 65536, 1)
        if not message:
            family.end()
        request = json.loads(message)
        if request["do"] == "fork":
            pid = _fork(control, descriptors[0], algorithms[request["algorithm"]])
            family.pids.add(pid)
            os.close(descriptors[0])
            reply = {"pid": pid}
        else:
            _, status = os.waitpid(request["pid"], 0)
            family.pids.discard(request["pid"])
            reply = {"exit": os.waitstatus_to_exitcode(status)}
        control.send(json.dumps(reply).encode())


def _fork(control: socket.socket, descriptor: int, algorithm: ConvAlgorithm) -> int:
    with warnings.catch_warnings():
        # BLAS has threads already, and its own fork handlers restart them in the child.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        lead_group(pid)  # here as well as there: whoever kills the group next must find it
        return pid
    try:
        lead_group()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        die_with_parent()
        control.close()
        moved = _move_memory()
        serve(socket.socket(fileno=descriptor), algorithm)
        del moved
    finally:
        os._exit(0)


def _move_memory() -> tuple[mmap.mmap, bytearray]:
    """Take random amounts of heap and of mapped memory, so that what follows lies elsewhere in each fork.

    Forks inherit the layout that their parent's address randomisation has drawn; a kernel that is lucky in
    one of them would be lucky in all (Curtsinger & Berger, Stabilizer, ASPLOS 2013).
    """
    drawn = random.SystemRandom()
    return mmap.mmap(-1, drawn.randrange(1, 1 << 12) * mmap.PAGESIZE), bytearray(drawn.randrange(1, 1 << 16))


if __name__ == "__main__":
    main()
