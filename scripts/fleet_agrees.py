#!/usr/bin/env python
"""Runs of a suite on two hosts of a cluster beside runs of each host by itself: do their times agree?

    python scripts/fleet_agrees.py [--rounds 2] [--passes 10] [--folder DIR]

Both hosts are workers of one Dask scheduler on this machine, each on a core of its own, so that they have one
fingerprint and the fleet's run has one time for each contender. Single runs are made at the same time, one on each
host's core: all runs have the same neighbours. Runs take turns; a change is one by `convbench compare`'s rule. What
single runs differ by among themselves is the machine's own. Whoever was three times behind in the first pass of
either has no interval in it, and is left out.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from convbench.analysis.machines import only_machine
from convbench.machine import usable_cores
from convbench.report.answers import Answers
from convbench.report.compare import comparison
from convbench.store import RunFolder

SUITE: Final = """\
name: two_hosts
defaults: {padding: same, threads: [1]}
sweep: {image: [128, 256], kernel: [3, 7, 15]}
algorithms: [direct, im2col, fft_overlap_save]
"""


def main() -> None:
    """Make the runs and print what they differ by."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--passes", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=None, help="where the runs are kept; default: nowhere")
    options = parser.parse_args()
    cores = list(usable_cores())[:2]
    if len(cores) < 2:
        raise SystemExit("two hosts take two cores")
    with tempfile.TemporaryDirectory() as temporary:
        place = (options.folder or Path(temporary)).resolve()
        place.mkdir(parents=True, exist_ok=True)
        suite = place / "two_hosts.yaml"
        suite.write_text(f"{SUITE}passes: {options.passes}\n")
        fleets, singles = [], []
        for index in range(options.rounds):
            with hosts(cores) as scheduler:
                (fleet,) = finish([start(suite, place / f"fleet-{index}", cores, "--cluster", scheduler)])
            fleets.append(fleet)
            singles += finish([start(suite, place / f"core-{core}-{index}", [core]) for core in cores])
        tell("single runs against each other", itertools.combinations(singles, 2))
        tell("the fleet's runs against single ones", itertools.product(singles, fleets))


@contextmanager
def hosts(cores: list[int]) -> Iterator[str]:
    """The address of a scheduler with a host on each core."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50) as cluster:
        words = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address, "--nthreads", "1"]
        words += ["--no-nanny", "--no-dashboard", "--resources", "convbench=1"]
        workers = []
        for core in cores:
            workers.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            psutil.Process(workers[-1].pid).cpu_affinity([core])
        try:
            yield cluster.scheduler_address
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()


def start(suite: Path, out: Path, cores: list[int], *more: str) -> tuple[subprocess.Popen[bytes], Path]:
    """A run on these cores, and where its folder will be."""
    words = [sys.executable, "-m", "convbench", "run", str(suite), "--no-report", "--out", str(out), *more]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    psutil.Process(process.pid).cpu_affinity(cores)
    return process, out


def finish(running: list[tuple[subprocess.Popen[bytes], Path]]) -> list[Answers]:
    """What each run has found."""
    for process, out in running:
        if process.wait():
            raise SystemExit(f"{out}: the run failed")
    parts = []
    for _, out in running:
        (path,) = out.iterdir()
        run = RunFolder.open(path)
        parts.append(only_machine(run.info, run.blocks, str(path)))
    return [Answers(part.info, part.blocks) for part in parts]


def tell(title: str, pairs: Iterable[tuple[Answers, Answers]]) -> None:
    """How many contenders are the same in both of a pair, and by how much they differ."""
    verdicts: Counter[Any] = Counter()
    ratios = []
    for base, new in pairs:
        for change in comparison(base, new).changes:
            if change.ratio is not None and change.ratio.has_interval:
                verdicts[change.verdict.value] += 1
                ratios.append(change.ratio.value)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
    low, *_, high = statistics.quantiles(ratios, n=20)
    text = f"{title}: {counts}; new ÷ base: median {statistics.median(ratios):.3f}, nine in ten {low:.3f} to {high:.3f}"
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
