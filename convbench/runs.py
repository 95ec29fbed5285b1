"""A suite becomes a run: its contenders are chosen, its folder made, and the coordinator sent off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from convbench import catalog, machine
from convbench.algorithm import ConvAlgorithm
from convbench.analysis.machines import fingerprint
from convbench.errors import RunFolderError, SuiteError
from convbench.measure.coordinator import Coordinator, Observer, Options
from convbench.measure.effort import QUICK, Effort
from convbench.measure.workers import Launch
from convbench.operands import load_image
from convbench.result import Quantity, Ratio, RunInfo
from convbench.spec import ConvSpec
from convbench.store import SCHEMA_VERSION, RunFolder
from convbench.suite import Suite, find_suite, load_suite, suite_from_spec

LOADER: Final = "convbench.catalog:chosen"
QUICK_PASSES: Final = 2
NEEDED: Final = (
    "passes", "budget_s", "timeout_s", "memory_limit_bytes", "quick", "verify_only", "input", "plugins",
)  # fmt: skip
"""Options that every run has had from the first version on, and cannot be resumed without."""
MEMORY_SHARE: Final = 0.8
SHORT_S: Final = 60.0
"""A budget below this has no seconds to spare for the machine's ceilings."""


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for, over what the suite says."""

    algorithms: tuple[str, ...] = ()
    threads: tuple[int | str, ...] = ()
    device: str | None = None
    plugins: tuple[Path, ...] = ()
    budget_s: float | None = None
    seed: int | None = None
    quick: bool = False
    verify_only: bool = False
    whole: bool = False
    """Every contender in every pass: the run is to be compared with another one."""
    shard: tuple[int, int] | None = None
    """Which of how many equal parts of the suite's cells; None for all of them."""


def suite_of(text: str, wishes: Wishes | None = None) -> Suite:
    """A suite's file, a shipped suite's bare name, or a spec's id. Raises `SuiteError`, `SpecError`."""
    if is_spec(text):
        wishes = Wishes() if wishes is None else wishes
        return suite_from_spec(ConvSpec.parse(text), wishes.threads or (1,), device=wishes.device or "cpu")
    return load_suite(find_suite(text))


def is_spec(text: str) -> bool:
    """Whether a word means a spec: it starts like one, and is no file."""
    return text[:1] in ("n", "c", "h") and text[1:2].isdigit() and not Path(text).exists()


def start(suite: Suite, out: Path, wishes: Wishes) -> RunFolder:
    """A new run's folder, with nothing measured in it yet. Raises `SuiteError`, `ConvbenchError`."""
    known = catalog.load(wishes.plugins)
    names = selected(suite, known, wishes)
    if wishes.device not in (None, suite.device):
        raise SuiteError(f"{suite.where('device')}: the suite is for device {suite.device}, not {wishes.device}")
    return RunFolder.create(out, run_info(suite, known, names, wishes))


def run_info(
    suite: Suite,
    known: Mapping[str, ConvAlgorithm],
    names: tuple[str, ...],
    wishes: Wishes,
    memory_share: float = MEMORY_SHARE,
) -> RunInfo:
    """What a run of these contenders would be; each gets `memory_share` of what is free, unless the suite says more."""
    cores = len(machine.usable_cores())
    number, count = wishes.shard or (1, 1)
    return RunInfo(
        schema_version=SCHEMA_VERSION,
        suite_name=suite.name,
        suite_description=suite.description,
        suite_text=suite.text,
        suite_sha256=suite.sha256,
        started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=suite.seed if wishes.seed is None else wishes.seed,
        options={
            "passes": min(suite.passes, QUICK_PASSES) if wishes.quick else suite.passes,
            "budget_s": suite.budget_s if wishes.budget_s is None else wishes.budget_s,
            "timeout_s": suite.timeout_s,
            "memory_limit_bytes": suite.memory_limit_bytes or free_bytes(memory_share),
            "quick": wishes.quick,
            "verify_only": wishes.verify_only,
            "input": suite.input,
            "cold": suite.cold,
            # A claim's figure and a network's totals need their contenders in every pass, whoever leads; a crossover
            # finds its own.
            "whole": wishes.whole
            or bool(suite.gate)
            or suite.network is not None
            or any("crossover" not in one for one in suite.claims),
            "compiling_counts": not suite.claims,  # a verdict is not to depend on what was on disk
            "plugins": [str(path.resolve()) for path in wishes.plugins],
            **({"shard": wishes.shard} if wishes.shard else {}),
        },
        machine=machine.describe(),
        versions=machine.versions(),
        git_commit=machine.git_commit(Path.cwd()),
        cells=suite.cells(cores, list(wishes.threads) or None)[number - 1 :: count],
        algorithms=names,
        precision={name: known[name].precision for name in names},
        tags={name: tuple(sorted(known[name].tags)) for name in names},
        versus=suite.sides(known, names, cores),
        claims=suite.claimed(names),
        crossings=tuple(c for c in suite.crossings if {c.start, c.to} <= set(names)),
        # A crossover's neighbours may lie in other shards, and none of them can tell where it is.
        reserve=() if wishes.shard else suite.reserve(cores, list(wishes.threads) or None),
    )


def reopen(path: Path, *, here: bool = True) -> RunFolder:
    """An interrupted run, ready to go on, `here` on this machine. Raises `RunFolderError` where that is another one."""
    folder = RunFolder.open(path)
    if missing := [name for name in NEEDED if name not in folder.info.options]:
        raise RunFolderError(f"{path}: its options lack {', '.join(missing)}, without which it cannot go on")
    if not here:
        return folder
    if folder.info.machines:
        raise RunFolderError(f"{path}: was measured by {len(folder.info.machines) + 1} machines; go on with --cluster")
    theirs, ours = fingerprint(folder.info), machine.fingerprint()
    if theirs != ours:
        raise RunFolderError(f"{path}: was measured on another machine ({theirs}, this is {ours}); start a run anew")
    return folder


def measure(folder: RunFolder, observer: Observer) -> None:
    """Measure what the run still lacks. When interrupted, all that was measured is in the journal.

    Raises `RunFolderError` where another process is measuring it, or the journal cannot be written.
    """
    with folder.locked():
        folder.mend()
        _measure(folder, observer)


def _measure(folder: RunFolder, observer: Observer) -> None:
    options = folder.info.options
    coordinator = coordinator_of(folder, observer, options["budget_s"], options["memory_limit_bytes"])
    try:
        find_ceilings(folder)
        coordinator.run()
    finally:
        spent = coordinator.spent
        folder.spend(spent.wall_s, spent.useful_s, spent.overhead_s)


def coordinator_of(
    folder: RunFolder, observer: Observer, budget_s: float | None, memory_limit_bytes: int
) -> Coordinator:
    """What measures a run as its options say, within a budget and a limit that are this machine's."""
    options = folder.info.options
    return Coordinator(
        folder,
        Launch(LOADER, tuple(Path(path) for path in options["plugins"])),
        Options(
            effort=QUICK if options["quick"] else Effort(),
            passes=passes_of(folder.info),
            budget_s=budget_s,
            timeout_s=options["timeout_s"],
            memory_limit_bytes=memory_limit_bytes,
            image=load_image(options["input"]) if options["input"] else None,
            verify_only=options["verify_only"],
            cold=options.get("cold", False),
            whole=options.get("whole", False),
            compiling_counts=options.get("compiling_counts", True),
        ),
        observer,
    )


def passes_of(info: RunInfo) -> int:
    """How many passes a run makes at most."""
    return 1 if info.options["verify_only"] else int(info.options["passes"])


def free_bytes(share: float = MEMORY_SHARE) -> int:
    """What a contender may have of this machine's free memory."""
    return int(share * psutil.virtual_memory().available)


def _is_short(budget_s: float | None) -> bool:
    return budget_s is not None and budget_s < SHORT_S


def _claims_ceilings(info: RunInfo) -> bool:
    """Whether a claim is about what the machine can do at most."""
    ratios = [claim.about for claim in info.claims if isinstance(claim.about, Ratio)]
    return any(Quantity.MATRIX_PRODUCT in side.quantities for ratio in ratios for side in ratio.sides)


def find_ceilings(folder: RunFolder) -> None:
    """What no algorithm can pass here, measured in the run that it is compared with; a second a thread count.

    Not in a run that is too short for it, unless a claim asks.
    """
    info = folder.info
    in_haste = info.options["quick"] or _is_short(info.options["budget_s"])
    if info.options["verify_only"] or (in_haste and not _claims_ceilings(info)):
        return
    counts = dict.fromkeys(cell.threads for cell in info.cells if cell.device != "cuda")
    if "ceilings" in info.machine or any(count > len(machine.usable_cores()) for count in counts):
        return
    found = [catalog.ceilings(count) for count in counts]
    if any(cell.device != "cpu" for cell in info.cells) and (card := catalog.card_ceilings()):
        found.append(card)
    folder.revise(machine={**info.machine, "ceilings": [asdict(one) for one in found]})


def selected(suite: Suite, known: catalog.Registry, wishes: Wishes) -> tuple[str, ...]:
    """The contenders: the suite's and those of plug-ins, or those that were wished for. Raises `SuiteError`.

    Whoever brings a plug-in wants to see it beside the suite's own contenders.
    """
    names = suite.select(known)
    if wishes.algorithms:
        for name in wishes.algorithms:
            device = catalog.find(known, name).device
            if suite.device not in ("both", device):
                raise SuiteError(f"{suite.where('device')}: {name} runs on {device}; the suite is for {suite.device}")
        names = tuple(dict.fromkeys(wishes.algorithms))
    else:
        names = (*names, *(name for name in known.brought if name not in names))
    return tuple(name for name in names if suite.device in ("both", known[name].device))
