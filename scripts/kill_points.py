"""Kills convbench at random moments, and looks whether anything is lost.

    python scripts/kill_points.py --count 1000

One kill in ten ends a whole run of a tiny suite, by SIGKILL, SIGTERM or SIGHUP: no process of it may be left, and
`--resume` has to complete it without losing what was in its journal. The others end a process that does nothing but
append to a journal and replace `run.json`: both must open, with every block whose append had been reported. Where one
is lost, the exit code is 1, and the folders stay.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from convbench.errors import ConvbenchError
from convbench.result import Block, Cell, RunInfo, Status
from convbench.spec import ConvSpec
from convbench.store import SCHEMA_VERSION, RunFolder

SUITE: Final = """\
name: tiny
defaults: {padding: same, threads: [1]}
sweep: {image: 32, kernel: [3, 5]}
algorithms: [naive, direct]
passes: 2
"""
ENDINGS: Final = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
LONGEST_APPENDING_S: Final = 0.03
GONE_WITHIN_S: Final = 10.0
TOLD_EVERY: Final = 5
CELL: Final = Cell(spec=ConvSpec(h=8, w=8, r=3, s=3), threads=1)


def main() -> int:
    """Make the kills; the number of those that lost something."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="kills in all")
    parser.add_argument("--whole", type=int, help="of them, of whole runs; default: a tenth")
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    whole = options.count // 10 if options.whole is None else options.whole
    chance = random.Random(options.seed)
    complaints: list[str] = []
    place = Path(tempfile.mkdtemp(prefix="kill-points-"))
    blocks = 0
    for index in range(options.count - whole):
        kept, complaint = kill_an_append(place / f"append-{index}", chance)
        blocks += kept
        complaints += complaint
    tell(f"{options.count - whole} kills while appending, after {blocks} reported blocks: {len(complaints)} complaints")
    if whole:
        complaints += kill_whole_runs(place, whole, chance)
    for text in complaints:
        tell(text)
    tell(f"{options.count} kills, {len(complaints)} complaints")
    if not complaints:
        shutil.rmtree(place)
    return bool(complaints)


def tell(text: str) -> None:
    """Say how far it has come."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


# --- appending ----------------------------------------------------------------------------------------


def kill_an_append(path: Path, chance: random.Random) -> tuple[int, list[str]]:
    """How many blocks a process had reported when it was killed, and what is wrong with the folder it leaves."""
    folder = RunFolder.begin(path, an_info())
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        append_for_ever(folder, writing, chance.randrange(1, 8))
    os.close(writing)
    time.sleep(chance.uniform(0, LONGEST_APPENDING_S))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as reports:
        reported = len(reports.read())
    try:
        found = RunFolder.open(path)
    except ConvbenchError as error:
        return reported, [f"{path}: {error}"]
    passes = [block.pass_index for block in found.blocks]
    if passes != list(range(len(passes))) or len(passes) < reported:
        return reported, [f"{path}: {reported} blocks were reported, and these are there: {passes}"]
    found.mend()
    found.append([a_block(len(passes))])
    if len(RunFolder.open(path).blocks) != len(passes) + 1:
        return reported, [f"{path}: a block that was appended after the kill is not there"]
    shutil.rmtree(path)
    return reported, []


def append_for_ever(folder: RunFolder, reports: int, together: int) -> None:
    """Append blocks, some together, and report each with a byte; now and then replace `run.json`."""
    try:
        index = 0
        while True:
            folder.append(a_block(index + offset) for offset in range(together))
            os.write(reports, b"." * together)
            index += together
            folder.update(folder.info)
    finally:
        os._exit(1)


def a_block(index: int) -> Block:
    """A block that its pass tells from others, of some kilobytes."""
    samples = tuple(1e-3 / (index + sample + 1) for sample in range(100))
    return Block(cell=CELL.key, algorithm="naive", pass_index=index, status=Status.PASSED, samples_s=samples, batch=1)


def an_info() -> RunInfo:
    """Of a run of a single cell."""
    return RunInfo(
        schema_version=SCHEMA_VERSION,
        suite_name="killed",
        started_utc="2026-01-01T00:00:00+00:00",
        seed=0,
        cells=(CELL,),
        algorithms=("naive",),
    )


# --- whole runs ---------------------------------------------------------------------------------------


def kill_whole_runs(place: Path, count: int, chance: random.Random) -> list[str]:
    """Kill runs at moments that are even over the length of one; what is wrong afterwards."""
    suite = place / "tiny.yaml"
    suite.write_text(SUITE, encoding="utf-8")
    begun = time.monotonic()
    with running(suite, place / "whole") as process:
        process.wait()
    length_s = time.monotonic() - begun
    expected = rows(next((place / "whole").iterdir()))
    complaints: list[str] = []
    unbegun = 0
    for index in range(count):
        out = place / f"run-{index}"
        ending = chance.choice(ENDINGS)
        with running(suite, out) as process:
            time.sleep(chance.uniform(0.2, 1.0) * length_s)
            family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.send_signal(ending)
            process.wait()
        _, alive = psutil.wait_procs(family, timeout=GONE_WITHIN_S)
        left = [one.pid for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        if left:
            complaints.append(f"{out}: processes {left} outlive {ending.name}")
        path = next(out.iterdir(), None) if out.exists() else None
        if path is None or not (path / "run.json").exists():
            unbegun += 1
            continue
        complaints += resumed(path, expected)
        if (index + 1) % TOLD_EVERY == 0:
            tell(f"{index + 1} kills of whole runs: {len(complaints)} complaints")
    tell(f"{count} kills of whole runs, {unbegun} of them before there was a run; {len(complaints)} complaints")
    return complaints


def resumed(path: Path, expected: set[tuple[str, str]]) -> list[str]:
    """What is wrong with a killed run once it has been gone on with."""
    before = {(b.pass_index, b.cell, b.algorithm): b for b in RunFolder.open(path).blocks}
    done = subprocess.run(command("--resume", str(path)), capture_output=True, text=True, check=False)
    if done.returncode or "Traceback" in done.stderr:
        return [f"{path}: --resume ended with {done.returncode}: {done.stderr}"]
    after = {(b.pass_index, b.cell, b.algorithm): b for b in RunFolder.open(path).blocks}
    if rows(path) != expected or not (path / "results.csv").exists():
        return [f"{path}: resumed, it is not whole"]
    lost = [key for key, block in before.items() if after.get(key) != block]
    return [f"{path}: resumed, it has lost {lost}"] if lost else []


def rows(path: Path) -> set[tuple[str, str]]:
    """The cells and contenders that have passed in the first pass."""
    blocks = RunFolder.open(path).blocks
    return {(b.cell, b.algorithm) for b in blocks if b.pass_index == 0 and b.status is Status.PASSED}


def command(*words: str) -> list[str]:
    """`convbench run …`, without a report."""
    return [sys.executable, "-m", "convbench", "run", *words, "--no-report"]


@contextmanager
def running(suite: Path, out: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that has just been started."""
    words = command(str(suite), "--quick", "--out", str(out))
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        yield process


if __name__ == "__main__":
    sys.exit(main())
