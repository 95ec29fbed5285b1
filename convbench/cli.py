"""The command line: parses, calls, prints. Each command imports what it needs, so that `--help` is quick."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from convbench.errors import ConvbenchError, ExitCode

if TYPE_CHECKING:
    from convbench.fleet import Cluster
    from convbench.runs import Wishes
    from convbench.store import RunFolder

EVALUATED = 1000
"""Seeds from here on are for shapes that a table is tried on."""

app = typer.Typer(
    name="convbench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console(highlight=False)
complaints = Console(stderr=True, highlight=False, soft_wrap=True)

Suites = Annotated[
    list[str] | None, typer.Argument(metavar="SUITE…", help="a suite's file or shipped name, or a spec id")
]
Algorithms = Annotated[str | None, typer.Option(metavar="A,B", help="these algorithms instead of the suite's")]
Threads = Annotated[str | None, typer.Option(metavar="1,all", help="thread counts instead of the suite's")]
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", metavar="FILE.py", help="algorithms in a file of yours")
]
Device = Annotated[str | None, typer.Option(metavar="cpu|cuda", help="the device that the suite must be for")]


def main() -> None:
    """Run the command line; mistakes become one line and an exit code, never a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt_once)
    try:
        code = app(standalone_mode=False)
    except ConvbenchError as error:
        complaints.print(f"convbench: {' '.join(str(error).split())}", markup=False)
        code = ExitCode.BAD_INPUT
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except typer.Exit as leave:
        code = leave.exit_code
    except OSError as error:
        complaints.print(f"convbench: {_place(error)}{error.strerror or error}", markup=False)
        code = ExitCode.BAD_INPUT
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own usage errors have one
            raise
        complaints.print(f"convbench: {error.format_message()}", markup=False)
        code = ExitCode.BAD_INPUT
    sys.exit(int(code or 0))


def _interrupt_once(_number: int, _frame: FrameType | None) -> NoReturn:
    """The first Ctrl-C ends the run; a second one must not cut short what saves the results."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _place(error: OSError) -> str:
    return f"{error.filename}: " if error.filename else ""


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        console.print(f"convbench {version('convbench')}")
        raise typer.Exit


@app.callback()
def convbench(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="say which one this is, and leave")
    ] = False,
) -> None:
    """Which convolution algorithm is fastest here, is it right, and did my last commit slow it down?"""


@app.command()
def run(
    suites: Suites = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="where the run's folder goes")] = Path("runs"),
    budget: Annotated[str | None, typer.Option(metavar="60s", help="wall time for the whole run")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="a first look: two short passes")] = False,
    algorithms: Algorithms = None,
    threads: Threads = None,
    device: Device = None,
    plugin: Plugins = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="go on with an interrupted run")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="for operands and sampling order")] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="measure only; `convbench report` can follow")] = False,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="the I-th of N parts of the cells; `convbench merge` joins them")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="on the hosts of a Dask cluster: tcp://…, local:2, or FILE.yaml for SLURM"
        ),
    ] = None,
) -> int:
    """Measure suites: every contender verified, timed in interleaved rounds, and reported."""
    from convbench import runs

    wishes = _wishes(algorithms, threads, device, plugin, budget, seed, quick)
    wishes = replace(wishes, shard=None if shard is None else _shard(shard))
    if resume is not None and suites:
        raise ConvbenchError("--resume goes on with a run's own suite; name no other beside it")
    if resume is None and not suites:
        raise ConvbenchError("name a suite, for example: convbench run fft_vs_direct")
    with ExitStack() as opened:
        hosts = None if cluster is None else opened.enter_context(_cluster(cluster))
        if resume is not None:
            return _measure(runs.reopen(resume, here=hosts is None), report=not no_report, hosts=hosts)
        loaded = [runs.suite_of(text, wishes) for text in suites or ()]
        if wishes.budget_s is not None:
            wishes = replace(wishes, budget_s=wishes.budget_s / len(loaded))
        return max(_measure(runs.start(suite, out, wishes), report=not no_report, hosts=hosts) for suite in loaded)


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN…", help="folders of runs of one suite, or its shards")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="where the run's folder goes")] = Path("runs"),
    pool: Annotated[
        bool, typer.Option("--pool", help="take samples of machines that differ for one machine's; the run says so")
    ] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="merge only; `convbench report` can follow")] = False,
) -> int:
    """Runs of one suite as one run: shards, passes made elsewhere, machines side by side."""
    from convbench.merging import merge as merged
    from convbench.store import RunFolder

    folder = merged([RunFolder.open(path) for path in folders], out, pool=pool)
    return _finish(folder, report=not no_report)


@app.command()
def claims(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN|SUITE…]", help="folders of runs, or suites to run; default: all shipped claims"),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="the page, in Markdown")] = Path("claims.md"),
    runs_in: Annotated[Path, typer.Option("--runs", metavar="DIR", help="where the runs' folders go")] = Path("runs"),
    budget: Annotated[
        str | None, typer.Option(metavar="12m", help="wall time for all; default: the suites' own")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="a first look: two short passes")] = False,
    plugin: Plugins = None,
) -> int:
    """What people say about convolutions: measured here, or read from runs, with a verdict on each claim."""
    from convbench import claiming, runs
    from convbench.report.folder import write_claims
    from convbench.store import RunFolder

    wishes = _wishes(None, None, None, plugin, budget, quick=quick)
    sources = claiming.sources(what or claiming.shipped(), wishes)
    folders, codes = [], [int(ExitCode.FINE)]
    for source in sources:
        if isinstance(source, RunFolder):
            folders.append(source)
            continue
        folders.append(runs.start(source, runs_in, claiming.share(source, sources, wishes)))
        codes.append(_measure(folders[-1], report=False))
        if codes[-1] == ExitCode.INTERRUPTED:
            return ExitCode.INTERRUPTED
    write_claims(out, [(folder.path, folder.info, folder.blocks) for folder in folders])
    console.print(f"claims: {out}", soft_wrap=True)
    return max(codes)


@app.command()
def gate(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="a suite's file or shipped name, or a spec id")],
    against: Annotated[
        str, typer.Option(metavar="REV|RUN", help="a commit, live; or a stored run's folder, by yardsticks")
    ],
    max_slowdown: Annotated[
        str | None, typer.Option(metavar="5%", help="the slowdown that must be found; default: the suite's, or 5%")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="5m", help="wall time for the whole gate; default: 60 s a contender"),
    ] = None,
    allow_no_base: Annotated[
        bool,
        typer.Option("--allow-no-base", help="pass where REV means nothing yet; a first commit's parent may always"),
    ] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="verdicts as JUnit XML")] = None,
    summary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Markdown, appended: $GITHUB_STEP_SUMMARY, a comment")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="where all samples and verdicts are kept")] = Path("runs"),
    algorithms: Algorithms = None,
    threads: Threads = None,
    plugin: Plugins = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="for operands and sampling order")] = None,
) -> int:
    """Did it become slower, less accurate, larger or broken? Live pairs of processes of both commits decide."""
    from convbench import gating, runs
    from convbench.analysis.outcomes import exit_code
    from convbench.errors import NoAncestorError, OtherMachineError, UnknownRevisionError
    from convbench.report import gate as told
    from convbench.report.progress import GateView, ProgressView

    wishes = _wishes(algorithms, threads, None, plugin, budget, seed)
    limit = None if max_slowdown is None else _share(max_slowdown)
    loaded = runs.suite_of(suite, wishes)
    try:
        if gating.is_run(against):
            with ProgressView(console) as run_view:
                found = gating.gate_stored(loaded, Path(against), out, wishes, run_view, limit)
        else:
            with GateView(console) as view:
                found = gating.gate(loaded, against, out, wishes, view.progress, limit)
    except UnknownRevisionError as error:
        if not allow_no_base and not isinstance(error, NoAncestorError):
            raise
        text = f"no base yet, so nothing is compared, and this passes: {error}"
        console.print(text, markup=False, soft_wrap=True)
        if junit is not None:
            told.write_junit(junit, loaded.name, (), 0.0)
        if summary is not None:
            told.write_summary(summary, f"### convbench gate `{loaded.name}`: {text}\n")
        return ExitCode.FINE
    except OtherMachineError as error:
        complaints.print(f"convbench: {error}", markup=False)
        return ExitCode.INCONCLUSIVE
    code = exit_code(found.outcomes)
    changed = f" with {found.changed_files} uncommitted files" if found.changed_files else ""
    console.print(
        f"[bold]{found.suite_name}[/]  working tree{changed} against {against} ({found.base_commit[:12]}),"
        f" {found.wall_s:.0f} s  → {found.folder}",
        soft_wrap=True,
    )
    if found.excluded:
        console.print(f"not from this repository, and left out: {', '.join(found.excluded)}", soft_wrap=True)
    told.print_gate(console, found.outcomes, code)
    told.print_annotations(console, found.outcomes)
    if junit is not None:
        told.write_junit(junit, found.suite_name, found.outcomes, found.wall_s)
    text = told.summary(found.suite_name, against, found.outcomes, code, found.wall_s)
    told.write_summary(Path(found.folder) / "summary.md", text)
    if summary is not None:
        told.write_summary(summary, text)
    return code


@app.command()
def selftest(
    trials: Annotated[int, typer.Option(min=1, metavar="N", help="gates over all workloads and shares")] = 1000,
    budget: Annotated[str, typer.Option(metavar="10m", help="wall time for all of it")] = "10m",
    slowdowns: Annotated[
        str, typer.Option(metavar="0,5,10", help="of these percent, and 0 for none, each in every gate")
    ] = "0,2,3,5,10,20",
    disturb: Annotated[
        bool, typer.Option("--disturb", help="under a load that comes and goes, as other users of a machine make it")
    ] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="where all samples and verdicts are kept")] = Path("runs"),
    show: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="only the table of earlier selftests, taken together")
    ] = None,
) -> int:
    """How often the gate is wrong on this machine, and which slowdowns it finds, next to other tools' rules."""
    from convbench import selftest as testing
    from convbench.report.progress import GateView
    from convbench.report.selftest import print_rates

    if show:
        print_rates(console, [one for folder in show for one in testing.read(folder)])
        return ExitCode.FINE
    with GateView(console) as view:
        decisions = testing.selftest(out, trials, _seconds(budget), _shares(slowdowns), disturb, view.trial)
    print_rates(console, decisions)
    return ExitCode.FINE


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN…", help="folders of runs; several are compared")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="the HTML file; default: in the run's folder")
    ] = None,
) -> int:
    """One self-contained HTML report of a run, or of several side by side."""
    from convbench.report.folder import write_comparison, write_report
    from convbench.store import RunFolder

    opened = [RunFolder.open(folder) for folder in folders]
    if len(opened) == 1 and out is None:
        write_report(opened[0].path, opened[0].info, opened[0].blocks)
        out = opened[0].path / "report.html"
    else:
        out = out or Path("report.html")
        write_comparison(out, [(folder.path.name, folder.info, folder.blocks) for folder in opened])
    console.print(f"{out}", soft_wrap=True)
    return ExitCode.FINE


@app.command()
def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="a run's folder")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="another run's folder")],
) -> int:
    """Two stored runs: what differs between them, what became slower or faster, which crossovers moved."""
    from convbench.analysis.machines import only_machine
    from convbench.report.answers import Answers
    from convbench.report.compare import comparison, print_comparison
    from convbench.store import RunFolder

    parts = [only_machine(run.info, run.blocks, str(run.path)) for run in map(RunFolder.open, (base, new))]
    before, after = (Answers(part.info, part.blocks) for part in parts)
    found = comparison(before, after)
    print_comparison(console, found)
    return ExitCode.FINE if found.changes else ExitCode.NOTHING_MEASURED


@app.command()
def history(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="runs anywhere under it, of one machine or several")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg|png", help="a figure of what changed most; default: DIR/history.svg"),
    ] = None,
) -> int:
    """A trend over many runs: whose time changed for good, when, and at which commit."""
    from convbench.analysis.history import trends
    from convbench.analysis.machines import by_machine
    from convbench.report.history import print_history, write_figure
    from convbench.store import INFO, RunFolder

    paths = sorted(path.parent for path in folder.rglob(INFO))
    if len(paths) < 2:
        raise ConvbenchError(f"{folder}: a history takes two runs or more, and there are {len(paths)}")
    opened = [(path.name, RunFolder.open(path)) for path in paths]
    parts = [(name, part) for name, run in opened for part in by_machine(run.info, run.blocks)]
    found = trends([(name, part.info, part.blocks) for name, part in parts])
    print_history(console, found)
    if not found:
        return ExitCode.NOTHING_MEASURED
    path = out or folder / "history.svg"
    write_figure(path, found)
    console.print(f"figure: {path}", soft_wrap=True)
    return ExitCode.FINE


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="a run's folder")],
    format: Annotated[str, typer.Option(metavar="csv|parquet|json", help="the form of the table")] = "csv",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="default: standard output")] = None,
) -> int:
    """A run's table of results, one row a cell and contender."""
    from convbench.analysis.table import rows_of_all
    from convbench.report.tabular import export as export_rows
    from convbench.store import RunFolder

    opened = RunFolder.open(folder)
    export_rows(rows_of_all(opened.info, opened.blocks), out, format)
    return ExitCode.FINE


@app.command()
def verify(
    suite: Annotated[
        str, typer.Argument(metavar="SUITE", help="a suite's file or shipped name, or a spec id")
    ] = "smoke",
    algorithms: Algorithms = None,
    threads: Threads = None,
    device: Device = None,
    plugin: Plugins = None,
) -> int:
    """Numerical agreement with float64 only: no timing, nothing kept."""
    from convbench import runs
    from convbench.analysis.table import rows
    from convbench.report.listings import print_agreement
    from convbench.report.progress import ProgressView

    wishes = _wishes(algorithms, threads, device, plugin, verify_only=True)
    scratch = Path(tempfile.mkdtemp(prefix="convbench-verify-"))
    try:
        folder = runs.start(runs.suite_of(suite, wishes), scratch, wishes)
        with ProgressView(console) as view:
            runs.measure(folder, view)
        print_agreement(console, rows(folder.info, folder.blocks))
        return _exit_code(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@app.command()
def describe(
    what: Annotated[str, typer.Argument(metavar="SUITE|SPEC", help="a suite, a network, or a spec id")],
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE.svg|png", help="a picture of a network's cost, layer by layer")
    ] = None,
) -> int:
    """Shapes, parameters, FLOPs and memory of a problem, of a network's layers or of a suite's cells; no timing."""
    from convbench import describe as describing
    from convbench import runs
    from convbench.machine import usable_cores
    from convbench.report.listings import print_cells, print_table
    from convbench.report.network import print_network
    from convbench.spec import ConvSpec

    suite = None if runs.is_spec(what) else runs.suite_of(what)
    network = None if suite is None else suite.network
    if suite is None:
        print_table(console, ("what", "how much"), describing.describe_spec(ConvSpec.parse(what)))
    elif network is None:
        print_cells(console, describing.describe_cells(suite.cells(len(usable_cores()))))
    else:
        print_network(console, describing.describe_network(network), describing.network_totals(network))
    if figure is not None:
        if suite is None or network is None:
            raise ConvbenchError(f"--figure: a picture is of a network's layers, and {what} has none")
        from convbench.report.network_figure import write_figure

        write_figure(figure, suite.name, describing.describe_network(network))
        console.print(f"figure: {figure}", soft_wrap=True)
    return ExitCode.FINE


@app.command("list")
def list_algorithms(
    spec: Annotated[
        str | None, typer.Argument(metavar="[SPEC]", help="which can run this problem, and why not")
    ] = None,
    plugin: Plugins = None,
) -> int:
    """The algorithms, and what each can run here; for a spec, whether it can, and why not."""
    from convbench import catalog
    from convbench.report.listings import print_algorithms
    from convbench.spec import ConvSpec

    print_algorithms(console, catalog.load(plugin or ()), None if spec is None else ConvSpec.parse(spec))
    return ExitCode.FINE


@app.command()
def doctor() -> int:
    """What makes this machine noisy, what that does to results and how to change it; what it can do at most."""
    from convbench import catalog, findings, machine
    from convbench.report.listings import print_ceilings, print_findings

    print_findings(console, machine.describe(), machine.versions(), findings.findings())
    console.print()
    print_ceilings(console, [catalog.ceilings(threads) for threads in dict.fromkeys((1, len(machine.usable_cores())))])
    return ExitCode.FINE


@app.command()
def tune(
    budget: Annotated[
        str, typer.Option(metavar="3m", help="time to measure; what has to be compiled comes on top, once")
    ] = "3m",
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="how good are the choices, on shapes that were never measured?")
    ] = False,
    algorithms: Annotated[
        str | None, typer.Option(metavar="A,B", help="choose among these; default: all of ours on the CPU")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1 - EVALUATED, help="for the shapes")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="the table; default: this machine's, in your data folder")
    ] = None,
) -> int:
    """Measure this machine for algorithm="auto": which is fastest on which shapes, for those never measured, too."""
    from convbench import dispatching, tuning
    from convbench.report.advice import print_overhead, print_regrets, source
    from convbench.report.progress import ProgressView

    scratch = Path(tempfile.mkdtemp(prefix="convbench-tune-"))
    try:
        if evaluate:
            from convbench.suite import shape_table_file

            table = shape_table_file("conv_shapes")
            known = dispatching.known()
            console.print(source(known.dispatcher.table, known.doubt), soft_wrap=True)
            with ProgressView(console, until_the_budget=True) as view:
                found = tuning.evaluate(
                    scratch / "run", _seconds(budget), EVALUATED + seed, table, view, _names(algorithms)
                )
            print_regrets(console, found.regrets)
            print_regrets(console, found.one_channel)
            print_overhead(console, found.overhead)
            return ExitCode.FINE
        with ProgressView(console, until_the_budget=True) as view:
            made = tuning.tune(scratch / "run", _seconds(budget), seed, view, _names(algorithms))
        path = out or dispatching.path_here()
        dispatching.save(made, path)
        console.print(f"{source(made, '')}: {len(made.measured)} times → {path}", soft_wrap=True)
        return ExitCode.FINE
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@app.command()
def recommend(
    spec: Annotated[str | None, typer.Argument(metavar="[SPEC]", help="a spec id, instead of the options")] = None,
    image: Annotated[str | None, typer.Option(metavar="HxW", help="the image's extent")] = None,
    kernel: Annotated[str | None, typer.Option(metavar="RxS", help="the filter's extent")] = None,
    channels: Annotated[int, typer.Option(min=1, help="of the image, C")] = 1,
    filters: Annotated[int, typer.Option(min=1, help="of the output, K")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="images, N")] = 1,
    groups: Annotated[int, typer.Option(min=1)] = 1,
    stride: Annotated[str, typer.Option(metavar="1 or UxV")] = "1",
    padding: Annotated[str, typer.Option(metavar="same|valid|full|1")] = "same",
    filter: Annotated[str, typer.Option(metavar="random|gaussian:2|box|…", help="the filter's family")] = "random",
    threads: Annotated[str, typer.Option(metavar="1|all")] = "all",
) -> int:
    """Which algorithm to take for a problem, how long it is expected to take, and what is next."""
    from convbench import auto, catalog, dispatching
    from convbench.machine import usable_cores
    from convbench.report.advice import print_advice, source
    from convbench.spec import ConvSpec

    if spec is None:
        if image is None or kernel is None:
            raise ConvbenchError("name a problem: convbench recommend --image 1024x1024 --kernel 31x31, or a spec's id")
        extents = [word if "x" in word else f"{word}x{word}" for word in (image, kernel)]
        (h, w), (r, s) = (word.split("x", 1) for word in extents)
        spec = f"n{batch}c{channels}h{h}w{w}k{filters}r{r}s{s}+stride={stride}+padding={padding}"
        spec += f"+groups={groups}+filter={filter}"
    problem = ConvSpec.parse(spec)
    word = _thread_count(threads)
    count = len(usable_cores()) if word == "all" else int(word)
    known = dispatching.known()
    choices = auto.choices(catalog.load(), problem, count)
    if not choices:
        raise ConvbenchError(f"{problem.id}: none of the measured algorithms can run it")
    nearest = known.dispatcher.models[choices[0].algorithm].nearest(problem, count)
    print_advice(console, count, choices, nearest, source(known.dispatcher.table, known.doubt))
    return ExitCode.FINE


@app.command()
def schema() -> int:
    """The JSON Schema of suite files, for editors."""
    import json

    from convbench.suite import suite_schema

    sys.stdout.write(json.dumps(suite_schema(), indent=1, ensure_ascii=False) + "\n")
    return ExitCode.FINE


def _measure(folder: RunFolder, *, report: bool, hosts: Cluster | None = None) -> int:
    from convbench import runs
    from convbench.analysis.quantities import plural
    from convbench.report.folder import write_tables
    from convbench.report.progress import ProgressView

    info = folder.info
    size = f"{plural(len(info.cells), 'cell')} × {plural(len(info.algorithms), 'algorithm')}"
    console.print(f"[bold]{info.suite_name}[/]  {size}  → {folder.path}", soft_wrap=True)
    try:
        with ProgressView(console) as view:
            if hosts is None:
                runs.measure(folder, view)
            else:
                from convbench.fleet import Fleet

                Fleet(folder, hosts, view).run()
    except KeyboardInterrupt:
        write_tables(folder.path, folder.info, folder.blocks)
        complaints.print(
            f"interrupted; all that was measured is kept. Go on with: convbench run --resume {folder.path}"
        )
        return ExitCode.INTERRUPTED
    return _finish(folder, report=report)


def _cluster(address: str) -> Cluster:
    from convbench.fleet import Cluster

    return Cluster(address)


def _finish(folder: RunFolder, *, report: bool) -> int:
    from convbench.report.folder import print_summary, write_report, write_tables

    print_summary(console, folder.info, folder.blocks)
    if report:
        with console.status("writing the report …"):
            write_report(folder.path, folder.info, folder.blocks)
        console.print(f"\nreport: {folder.path / 'report.html'}", soft_wrap=True)
    else:
        write_tables(folder.path, folder.info, folder.blocks)
    return _exit_code(folder)


def _exit_code(folder: RunFolder) -> ExitCode:
    from convbench.result import Status

    statuses = {block.status for block in folder.blocks}
    if Status.DISAGREED in statuses:
        return ExitCode.DISAGREEMENT
    return ExitCode.FINE if Status.PASSED in statuses else ExitCode.NOTHING_MEASURED


def _wishes(
    algorithms: str | None,
    threads: str | None,
    device: str | None,
    plugins: Sequence[Path] | None,
    budget: str | None = None,
    seed: int | None = None,
    quick: bool = False,
    verify_only: bool = False,
) -> Wishes:
    from convbench import runs

    return runs.Wishes(
        algorithms=_names(algorithms),
        threads=tuple(_thread_count(word) for word in (threads or "").split(",") if word),
        device=device,
        plugins=tuple(plugins or ()),
        budget_s=None if budget is None else _seconds(budget),
        seed=seed,
        quick=quick,
        verify_only=verify_only,
    )


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name for name in (text or "").split(",") if name)


def _thread_count(word: str) -> int | str:
    if word == "all" or (word.isdigit() and 1 <= int(word) <= 1024):
        return word if word == "all" else int(word)
    raise ConvbenchError(f"--threads: '{word}' is not a thread count; valid: 1 … 1024, all")


def _shard(word: str) -> tuple[int, int]:
    number, _, count = word.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise ConvbenchError(f"--shard: '{word}' is no part; valid: 1/N … N/N, such as 2/4")
    return int(number), int(count)


def _seconds(text: str) -> float:
    from convbench.suite.values import seconds

    return _checked("--budget", seconds, text)


def _share(text: str) -> float:
    from convbench.suite.values import share

    return _checked("--max-slowdown", share, text)


def _shares(text: str) -> list[float]:
    from convbench.selftest import SHARES

    valid = {f"{100 * share:g}": share for share in SHARES}
    words = [word.strip().removesuffix("%") for word in text.split(",") if word.strip()]
    unknown = [word for word in words if word not in valid]
    if unknown or not words:
        raise ConvbenchError(f"--slowdowns: '{', '.join(unknown)}' is not among those prepared: {', '.join(valid)}")
    return [valid[word] for word in dict.fromkeys(words)]


def _checked(option: str, check: Callable[[object], float], text: str) -> float:
    from pydantic_core import PydanticCustomError

    try:
        return check(text)
    except PydanticCustomError as error:
        raise ConvbenchError(f"{option}: {error.message()}") from error
