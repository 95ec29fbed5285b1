"""What the harness itself costs, in time and memory: `python scripts/harness_cost.py [plan] [report] [crash]`.

plan     a suite of 100,000 cells: loaded, expanded, begun, its first pass's work listed, described
report   a journal of a million samples: its report, and its table exported
crash    two contenders beside a third that crashes in every cell, and without it

Each step runs in a process of its own, whose peak memory the system tells; beside the seconds that passed stand those
of the processor, which other users of a machine do not stretch. The journal is made up, by `RunFolder.append`.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "algorithms")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
CONTENDERS = (
    "direct",
    "fft",
    "fft_overlap_add",
    "im2col",
    "naive",
    "opencv",
    "scipy_fft",
    "separable",
    "winograd_f2",
    "winograd_f4",
)
PASSES, SAMPLES = 5, 10
BIG_SUITE = """\
name: big
sweep:
  image: {from: 101, to: 600, step: 1}
  kernel: {from: 1, to: 100, step: 1}
  threads: [1, 2]
algorithms: [naive, direct, fft]
crossovers: {axis: kernel, from: direct, to: fft}
"""
RUN_SUITE = """\
name: run
sweep:
  image: {from: 100, to: 2050, step: 50}
  kernel: {from: 1, to: 99, step: 2}
"""
SMALL_SUITE = """\
name: small
sweep: {image: [64, 96, 128, 160], kernel: [3, 5, 7]}
defaults: {padding: same}
algorithms: [naive, direct]
passes: 3
gate: {}
"""
CRASHER = """\
import os, signal
from convbench.algorithm import ConvAlgorithm, Unsupported, summation_error

class Crasher(ConvAlgorithm):
    name = "crasher"
    def supports(self, spec): return None
    def error_model(self, spec): return summation_error(spec)
    def plan(self, spec, resources): os.kill(os.getpid(), signal.SIGSEGV)
"""


def main() -> None:
    """Run the steps that are asked for, all without a word."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("what", nargs="*", metavar="plan|report|crash")
    words.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    words.add_argument("--folder", type=Path, help="where files are kept; default: nowhere")
    asked = words.parse_args()
    if asked.step:
        STEPS[asked.step](asked.folder)
        return
    with tempfile.TemporaryDirectory(prefix="convbench-cost-") as scratch:
        folder = (asked.folder or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{'step':36}{'seconds':>9}{'cpu s':>9}{'peak MB':>9}  what came of it")
        for name in asked.what or list(GROUPS):
            for step in GROUPS[name]:
                told = subprocess.run(
                    [sys.executable, __file__, "--step", step, "--folder", str(folder)],
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                print(told.stdout, end="", flush=True)


class Lap:
    """Prints what a step took, and the most memory that its process has held so far."""

    def __init__(self) -> None:
        self.start_s, self.start_cpu_s = perf_counter(), process_time()

    def done(self, name: str, said: str = "") -> None:
        """One line."""
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        taken = f"{perf_counter() - self.start_s:9.2f}{process_time() - self.start_cpu_s:9.2f}"
        print(f"{name:36}{taken}{peak_mb:9.0f}  {said}", flush=True)
        self.start_s, self.start_cpu_s = perf_counter(), process_time()


# --- plan -------------------------------------------------------------------------------------------


def plan(folder: Path) -> None:
    """A suite of 100,000 cells up to the first pass."""
    from convbench import runs
    from convbench.measure.coordinator import Coordinator, Options
    from convbench.measure.workers import Launch
    from convbench.suite import load_suite

    path = folder / "big.yaml"
    path.write_text(BIG_SUITE)
    lap = Lap()
    suite = load_suite(path)
    lap.done("load and check the suite")
    lap.done("expand it to cells", f"{len(suite.cells(2)):,} cells")
    run = runs.start(suite, folder / "runs", runs.Wishes())
    lap.done("begin the run (run.json)", f"{(run.path / 'run.json').stat().st_size / 1e6:.0f} MB")
    work = Coordinator(run, Launch(runs.LOADER, ()), Options(), Silent())._work(0)
    lap.done("the first pass's work", f"{len(work):,} cells with {len(work[0][1])} contenders each")


def describe(folder: Path) -> None:
    """`convbench describe` of it."""
    lap = Lap()
    _command("describe", folder / "big.yaml", out=folder / "described.txt")
    lap.done("convbench describe", f"{(folder / 'described.txt').read_text().count(chr(10)):,} lines")


class Silent:
    """Watches a run and says nothing."""

    def progress(self, progress: object) -> None:
        """Nothing."""


# --- report -----------------------------------------------------------------------------------------


def journal(folder: Path) -> None:
    """A run of a million samples, made up."""
    from convbench import runs
    from convbench.result import Agreement, Block, Status
    from convbench.suite import load_suite

    path = folder / "run.yaml"
    path.write_text(
        RUN_SUITE + f"algorithms: [{', '.join(CONTENDERS)}]\ncrossovers: {{axis: kernel, from: direct, to: fft}}\n"
    )
    lap = Lap()
    run = runs.start(load_suite(path), folder / "made", runs.Wishes())
    (folder / "run.txt").write_text(str(run.path))
    luck = random.Random(0)
    verdict = Agreement(error=1e-7, bound=1e-6, norm="componentwise", compared=10, outputs=10)
    for index in range(PASSES):
        for cell in run.info.cells:
            blocks = []
            for rank, name in enumerate(CONTENDERS):
                call_s = cell.spec.direct_flops ** (0.4 + 0.06 * rank) * 1e-9 * luck.lognormvariate(0, 0.03)
                samples = tuple(call_s * luck.lognormvariate(0, 0.02) for _ in range(SAMPLES))
                blocks.append(
                    Block(
                        cell=cell.key, algorithm=name, pass_index=index, status=Status.PASSED, batch=1,
                        plan_s=1e-4, prepare_s=1e-5,
                        samples_s=samples, agreement=verdict, workspace_bytes=2**20 * (rank + 1), peak_rss_bytes=2**28,
                        worker_s=sum(samples),
                    )
                )  # fmt: skip
            run.append(blocks)
    size_mb = (run.path / "samples.jsonl").stat().st_size / 1e6
    lap.done(
        "(make the journal up)", f"{len(run.blocks):,} blocks, {len(run.blocks) * SAMPLES:,} samples, {size_mb:.0f} MB"
    )


def report(folder: Path) -> None:
    """`convbench report` of it: tables, summary, page and figures."""
    run = Path((folder / "run.txt").read_text())
    lap = Lap()
    _command("report", run)
    lap.done("convbench report", f"report.html {(run / 'report.html').stat().st_size / 1e6:.2f} MB")


def export(folder: Path) -> None:
    """`convbench export` of it."""
    lap = Lap()
    _command("export", Path((folder / "run.txt").read_text()), "--out", folder / "rows.csv")
    lap.done("convbench export", f"{(folder / 'rows.csv').read_text().count(chr(10)) - 1:,} rows")


# --- crash ------------------------------------------------------------------------------------------


def crash(folder: Path) -> None:
    """The same suite without and with a contender that crashes in every cell."""
    path, plugin = folder / "small.yaml", folder / "crasher.py"
    path.write_text(SMALL_SUITE)
    plugin.write_text(CRASHER)
    _run_small(folder, "warm", path)
    took = {}
    for name, more in (("without", ()), ("with", ("--plugin", plugin)), ("without again", ())):
        lap = Lap()
        took[name] = _run_small(folder, name, path, *more)
        lap.done(f"a run {name} the crasher")
    for contender in ("direct", "naive"):
        (count, seconds), (count_with, seconds_with) = (took[name][contender] for name in ("without", "with"))
        again = took["without again"][contender][1]
        print(
            f"    {contender}: {count} samples without, {count_with} with; geometric mean over cells of with / without "
            f"{_ratio(seconds_with, seconds):.3f}, of without again / without {_ratio(again, seconds):.3f}"
        )
    print(f"    crasher: {took['with']['crasher'][0]} samples, {took['with']['crashes']} crashes recorded")


def _run_small(folder: Path, name: str, *words: object) -> dict[str, tuple[int, dict[str, float]]]:
    """Contender → its samples, and its median in each cell."""
    from convbench.store import RunFolder

    out = folder / name.replace(" ", "-")
    _command("run", *words, "--no-report", "--threads", "1", "--out", out, out=folder / "said.txt")
    (path,) = out.iterdir()
    opened = RunFolder.open(path)
    found: dict[str, dict[str, list[float]]] = {name: {} for name in (*opened.info.algorithms, "crasher")}
    for block in opened.blocks:
        found[block.algorithm].setdefault(block.cell, []).extend(block.samples_s)
    crashes = sum(block.status == "crashed" for block in opened.blocks)
    told = {
        name: (sum(map(len, cells.values())), {cell: median(samples) for cell, samples in cells.items() if samples})
        for name, cells in found.items()
    }
    return told | {"crashes": crashes}


def _ratio(top: dict[str, float], bottom: dict[str, float]) -> float:
    from math import exp, log

    return exp(sum(log(top[cell] / bottom[cell]) for cell in top) / len(top))


def _command(*words: object, out: Path | None = None) -> None:
    """The command line, in this process, whose memory is measured; `out` takes what it prints."""
    from convbench import cli

    sys.argv = ["convbench", *map(str, words)]
    stdout = sys.stdout
    with (out or Path("/dev/null")).open("w") as stream:
        sys.stdout = stream
        try:
            cli.main()
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"{words} ended with {end.code}") from end
        finally:
            sys.stdout = stdout


STEPS: dict[str, Callable[[Path], None]] = {
    one.__name__: one for one in (plan, describe, journal, report, export, crash)
}
GROUPS = {"plan": ("plan", "describe"), "report": ("journal", "report", "export"), "crash": ("crash",)}

if __name__ == "__main__":
    main()
