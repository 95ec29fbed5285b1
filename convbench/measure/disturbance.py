"""A load that comes and goes, as another user of a shared machine makes it.

Busy for 0.05 to 2 s on a core that is drawn anew each time, then idle for as long.
    python -m convbench.measure.disturbance
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from convbench.machine import usable_cores
from convbench.measure.processes import die_with_parent

SHORTEST_S: Final = 0.05
LONGEST_S: Final = 2.0


def main() -> None:
    """Disturb until the parent ends."""
    die_with_parent()
    drawn = random.Random()  # noqa: S311
    cores = usable_cores()
    while True:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, [drawn.choice(cores)])
        end_s = time.monotonic() + drawn.uniform(SHORTEST_S, LONGEST_S)
        while time.monotonic() < end_s:
            sum(range(1000))
        time.sleep(drawn.uniform(SHORTEST_S, LONGEST_S))


@contextmanager
def disturbed(active: bool) -> Iterator[None]:
    """Within, the machine is disturbed, if `active`."""
    if not active:
        yield
        return
    process = subprocess.Popen([sys.executable, "-m", "convbench.measure.disturbance"], stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
