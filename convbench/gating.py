"""Did my last commit make it slower? The working tree against a commit of the same repository, live."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Final

from convbench import catalog, machine, runs, worktree
from convbench.algorithm import ConvAlgorithm
from convbench.analysis import stored_baseline
from convbench.analysis.contenders import contenders
from convbench.analysis.machines import Part, only_machine
from convbench.analysis.outcomes import Outcome, Result
from convbench.errors import ConvbenchError, OtherMachineError
from convbench.measure.case import Cases
from convbench.measure.coordinator import Observer
from convbench.measure.pairs import Build, Item, PairOptions, Pairs
from convbench.measure.trial import Told, Trial
from convbench.measure.workers import Launch
from convbench.operands import load_image
from convbench.result import GateLimits, Record
from convbench.runs import LOADER, Wishes, selected
from convbench.store import INFO, RunFolder, new_folder
from convbench.suite import Suite

BASE: Final = "base"
CANDIDATE: Final = "candidate"


class GateReport(Record):
    """`gate.json`: what was compared, and what came of it."""

    suite_name: str
    against: str
    base_commit: str
    candidate_commit: str
    changed_files: int
    """In the working tree, uncommitted: they are part of the candidate."""
    limits: GateLimits
    outcomes: tuple[Outcome, ...]
    excluded: tuple[str, ...] = ()
    """Algorithms of the suite that do not come from this repository, and so cannot have changed with it."""
    wall_s: float
    folder: str


def gate(
    suite: Suite, against: str, out: Path, wishes: Wishes, told: Told, max_slowdown: float | None = None
) -> GateReport:
    """Compare the working tree around the current folder with the commit that `against` names.

    Raises `RevisionError` for a commit that cannot be had, `SuiteError`, `ConvbenchError`.
    """
    start_s = monotonic()
    root = worktree.repository(Path.cwd())
    commit = worktree.resolve(root, against)
    known = catalog.load(wishes.plugins)
    ours, excluded = _from_here(root, known, selected(suite, known, wishes))
    limits = _limits(suite, known, max_slowdown)
    with worktree.checked_out(root, commit) as base:
        _same_package(root, base.root, commit)
        launches = {
            BASE: _launch(base.root, root, wishes.plugins, base.kernels),
            CANDIDATE: _launch(root, root, wishes.plugins),
        }
        info = runs.run_info(suite, known, ours, wishes, memory_share=0.4)  # two of each are alive
        folder = new_folder(out, f"gate-{suite.name}")
        builds = {
            name: Build(
                name if name == CANDIDATE else f"base {against}",
                launches[name],
                RunFolder.begin(folder / name, info.model_copy(update={"git_commit": which})),
            )
            for name, which in ((BASE, commit), (CANDIDATE, machine.git_commit(root)))
        }
        image = load_image(suite.input) if suite.input else None
        with Cases(info.seed, image) as cases:
            options = PairOptions(
                timeout_s=suite.timeout_s, memory_limit_bytes=info.options["memory_limit_bytes"], image=image
            )
            pairs = Pairs(builds[BASE], builds[CANDIDATE], options, cases)
            trial = Trial(pairs, limits, [Item(cell, name) for cell in info.cells for name in ours], told)
            try:
                trial.run(info.options["budget_s"])
            finally:
                report = GateReport(
                    suite_name=suite.name,
                    against=against,
                    base_commit=commit,
                    candidate_commit=builds[CANDIDATE].folder.info.git_commit,
                    changed_files=len(worktree.changes(root)),
                    limits=limits,
                    outcomes=tuple(trial.outcomes()),
                    excluded=excluded,
                    wall_s=monotonic() - start_s,
                    folder=str(folder),
                )
                (folder / "gate.json").write_text(report.model_dump_json(indent=1), encoding="utf-8")
    return report


def is_run(against: str) -> bool:
    """Whether `--against` names a stored run rather than a commit."""
    return (Path(against) / INFO).is_file()


def gate_stored(
    suite: Suite, against: Path, out: Path, wishes: Wishes, observer: Observer, max_slowdown: float | None = None
) -> GateReport:
    """Measure the suite, and compare with a run that was stored on this machine; what is suspected is measured again.

    Raises `OtherMachineError` where the machines' fingerprints differ, `RunFolderError`, `SuiteError`.
    """
    start_s = monotonic()
    opened = RunFolder.open(against)
    stored = only_machine(opened.info, opened.blocks, str(against))
    theirs, ours = stored.fingerprint, machine.fingerprint()
    if theirs != ours:
        raise OtherMachineError(f"--against {against}: was measured on another machine ({theirs}, this is {ours})")
    limits = _limits(suite, catalog.load(wishes.plugins), max_slowdown)
    wishes = replace(wishes, whole=True)
    folder = runs.start(suite, out, wishes)
    runs.measure(folder, observer)
    outcomes = _against_stored(stored, folder, limits)
    suspects = tuple(dict.fromkeys(one.algorithm for one in outcomes if one.result is Result.SLOWER))
    if suspects:
        again = runs.start(suite, out, replace(wishes, algorithms=suspects))
        runs.measure(again, observer)
        confirmed = {
            (one.cell, one.algorithm) for one in _against_stored(stored, again, limits) if one.result is Result.SLOWER
        }
        outcomes = [
            one
            if one.result is not Result.SLOWER or (one.cell, one.algorithm) in confirmed
            else one.model_copy(update={"result": Result.SAME, "detail": "slower, but not when measured again"})
            for one in outcomes
        ]
    report = GateReport(
        suite_name=suite.name,
        against=str(against),
        base_commit=stored.info.git_commit,
        candidate_commit=folder.info.git_commit,
        changed_files=0,
        limits=limits,
        outcomes=tuple(outcomes),
        wall_s=monotonic() - start_s,
        folder=str(folder.path),
    )
    (folder.path / "gate.json").write_text(report.model_dump_json(indent=1), encoding="utf-8")
    return report


def _limits(suite: Suite, known: Mapping[str, ConvAlgorithm], max_slowdown: float | None) -> GateLimits:
    limits = suite.gate_limits(known)
    return limits if max_slowdown is None else limits.model_copy(update={"max_slowdown": max_slowdown})


def _against_stored(stored: Part, new: RunFolder, limits: GateLimits) -> list[Outcome]:
    before, after = contenders(stored.info, stored.blocks), contenders(new.info, new.blocks)
    found = [
        stored_baseline.outcome(one.cell, name, before[key, name].blocks, one.blocks, limits)
        for (key, name), one in after.items()
        if (key, name) in before
    ]
    return [one for one in found if one is not None]


def _from_here(
    root: Path, known: Mapping[str, ConvAlgorithm], names: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The algorithms whose code lies in the repository, and those that come from elsewhere."""
    here = tuple(name for name in names if _is_from(root, known[name]))
    if not here:
        raise ConvbenchError(
            f"nothing to compare: none of the suite's algorithms comes from {root}; bring yours with --plugin FILE.py"
        )
    return here, tuple(name for name in names if name not in here)


def _is_from(root: Path, algorithm: ConvAlgorithm) -> bool:
    """Whether processes of a side would import it from the repository: an environment may lie in there too."""
    module = type(algorithm).__module__.partition(".")[0]
    if module.startswith(catalog.PLUGIN_PREFIX):
        return Path(inspect.getfile(type(algorithm))).resolve().is_relative_to(root)
    return any((place / module).is_dir() or (place / f"{module}.py").is_file() for place in _import_places(root, root))


def _import_places(root: Path, side: Path) -> tuple[Path, ...]:
    """Where a side's modules are: beside the package in convbench's own repository, else at its top or in src."""
    places = (side / "algorithms",) if _is_convbench(root) else (side / "src", side)
    return tuple(place for place in places if place.is_dir())


def _same_package(root: Path, base: Path, commit: str) -> None:
    """Without this, a base that lacks convbench would be measured with the candidate's code, and be called the same."""
    if _is_convbench(root) and not (base / "algorithms" / "convbench_algorithms" / "__init__.py").is_file():
        raise ConvbenchError(f"--against {commit[:12]}: there is no convbench in that commit; take a later one")


def _is_convbench(root: Path) -> bool:
    return (root / "algorithms" / "convbench_algorithms" / "__init__.py").is_file()


def _launch(side: Path, root: Path, plugins: Sequence[Path], kernels: Path | None = None) -> Launch:
    """How to start processes that take a side's algorithms, and the harness of this process.

    The harness is the same on both sides: what is compared is what it measures. Plug-ins that the base
    does not have are left out there.
    """
    own = [path.resolve() for path in plugins]
    moved = [side / path.relative_to(root) if path.is_relative_to(root) else path for path in own]
    environment = {} if kernels is None else {"NUMBA_CACHE_DIR": str(kernels)}
    return Launch(
        LOADER,
        plugins=tuple(path for path in moved if path.is_file()),
        import_first=_import_places(root, side),
        environment=tuple(environment.items()),
    )
