"""What the gate can see on this machine, now: false alarms where nothing changed, finds where work was added."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, time
from typing import Final

import psutil

from convbench import catalog, machine
from convbench.algorithm import ConvAlgorithm
from convbench.analysis.detection import STORED, Decision
from convbench.analysis.rival_rules import RULES
from convbench.analysis.statistics import block_median
from convbench.analysis.stored_baseline import Pass, one_pass
from convbench.errors import ConvbenchError
from convbench.measure.case import Cases
from convbench.measure.disturbance import disturbed
from convbench.measure.extra_work import EXTRA, Workload, contender_name, contenders
from convbench.measure.pairs import Build, Item, PairOptions, Pairs
from convbench.measure.trial import GateProgress, Trial
from convbench.measure.workers import Launch
from convbench.result import Block, Cell, GateLimits, RunInfo
from convbench.spec import ConvSpec
from convbench.store import SCHEMA_VERSION, RunFolder, new_folder

SHARES: Final = (0.0, 0.02, 0.03, 0.05, 0.1, 0.2)
TWINS: Final = 3
"""Contenders without extra work, for each with some: false alarms are rare, and have to be counted."""

JUDGED: Final = 1
"""Pairs of each contender that are compared with float64, in the first gate: a contract suite has judged them all."""

Told = Callable[[int, GateProgress], None]


def workloads(cores: int) -> tuple[Workload, ...]:
    """Kernels of four kinds: tiny, bound by products, by transforms, by memory; at one thread, and some at all.

    They repeat so often that the shares are whole calls, or nearly so.
    """
    layer = ConvSpec(c=16, h=28, w=28, k=32, r=3, s=3, padding=1)
    wide = ConvSpec(c=64, h=28, w=28, k=64, r=3, s=3, padding=1)
    large = ConvSpec(h=2048, w=2048, r=3, s=3)
    found = [
        Workload("tiny direct sums", "direct", ConvSpec(h=64, w=64, r=5, s=5), 1, 50),
        Workload("im2col and BLAS", "im2col", layer, 1, 20),
        Workload("whole-image FFT", "fft", ConvSpec(h=64, w=64, r=9, s=9), 1, 100),
        Workload("sums over a large image", "direct", large, 1, 1),
    ]
    if cores > 1:
        found.append(Workload("im2col in tiles and BLAS", "im2col_tiled", wide, cores, 20))
        found.append(Workload("Winograd", "winograd", wide, cores, 50))
        found.append(Workload("sums over a large image", "direct", large, cores, 1))
    return tuple(found)


def load(_plugins: Iterable[Path], names: Container[str]) -> Mapping[str, ConvAlgorithm]:
    """The loader of its processes: those among `names`, of every workload with every share."""
    made = contenders(catalog.builtin(), workloads(len(machine.usable_cores())), _shares())
    return {name: one for name, one in made.items() if name in names}


def _shares() -> list[tuple[float, int]]:
    return [(share, twin) for share in SHARES for twin in range(TWINS if share == 0 else 1)]


def selftest(
    out: Path, trials: int, budget_s: float | None, shares: Sequence[float], disturb: bool, told: Told
) -> list[Decision]:
    """Gate after gate over all workloads with these shares, until `trials` are done or the budget is spent.

    A trial that the budget's end cuts short is not counted: what it lacks would be its slow decisions.
    """
    start_s = monotonic()
    folder = new_folder(out, "selftest")
    decisions: list[Decision] = []
    with disturbed(disturb):
        for index in range(trials):
            spent_s = monotonic() - start_s
            if budget_s is not None and index and spent_s * (index + 1) / index > budget_s:
                break
            made = _trial(folder / f"trial-{index}", index, shares, lambda progress, index=index: told(index, progress))  # type: ignore[misc]
            decisions += made
            with (folder / "decisions.jsonl").open("a", encoding="utf-8") as stream:
                stream.writelines(decision.model_dump_json() + "\n" for decision in made)
    return decisions


def read(folder: Path) -> list[Decision]:
    """The decisions of an earlier selftest, whose machine, if it does not say, is like no other folder's.

    Raises `ConvbenchError` where `folder` holds none.
    """
    try:
        lines = (folder / "decisions.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConvbenchError(f"{folder}: no selftest's folder: {error.strerror}") from error
    decisions = [Decision.model_validate_json(line) for line in lines]
    return [one if one.machine else one.model_copy(update={"machine": str(folder)}) for one in decisions]


def _trial(folder: Path, seed: int, shares: Sequence[float], told: Callable[[GateProgress], None]) -> list[Decision]:
    cores = len(machine.usable_cores())
    of = {
        (workload.spec.id, contender_name(workload, share, twin), workload.threads): (workload, share)
        for workload in workloads(cores)
        for share, twin in _shares()
        if share in shares
    }
    cells = {key: Cell(spec=workload.spec, threads=workload.threads) for key, (workload, _) in of.items()}
    info = RunInfo(
        schema_version=SCHEMA_VERSION,
        suite_name="selftest",
        started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=seed,
        machine=machine.describe(),
        versions=machine.versions(),
        cells=tuple(dict.fromkeys(cells.values())),
        algorithms=tuple(dict.fromkeys(name for _, name, _ in of)),
    )
    plain = Launch("convbench.selftest:load")
    slowed = Launch("convbench.selftest:load", environment=((EXTRA, "1"),))
    builds = [
        Build(name, launch, RunFolder.begin(folder / name, info))
        for name, launch in (("base", plain), ("candidate", slowed))
    ]
    items = {key: Item(cells[key], key[1]) for key in of}
    with Cases(seed=0, image=None) as cases:
        options = PairOptions(
            memory_limit_bytes=int(0.4 * psutil.virtual_memory().available),
            judged=JUDGED if seed == 0 else 0,
            with_yardsticks=STORED,
        )
        pairs = Pairs(builds[0], builds[1], options, cases)
        trial = Trial(pairs, GateLimits(), list(items.values()), told)
        trial.run()
        outcomes = {(one.cell, one.algorithm): one for one in trial.outcomes()}
        found = []
        for key, item in items.items():
            workload, share = of[key]
            one = outcomes[item.key]
            found.append(
                Decision(
                    gate=f"{folder.parent.name}/{folder.name}",
                    workload=workload.title,
                    threads=workload.threads,
                    share=share,
                    result=one.result,
                    pairs=one.pairs,
                    spent_s=one.spent_s,
                    logs=tuple(trial.logs(item)),
                    base_s=tuple(block_median(block) for block in trial.blocks[item.key][0] if block.samples_s),
                    at_s=time(),
                    machine=machine.fingerprint(),
                    stored=_passes(trial.blocks[item.key][0]),
                    new=_passes(trial.blocks[item.key][1]),
                    rivals=_rivals(*trial.blocks[item.key]),
                )
            )
    return found


def _passes(side: Sequence[Block]) -> tuple[Pass, ...]:
    return tuple(one_pass(block) for block in side[:STORED] if block.samples_s)


def _rivals(base: Sequence[Block], candidate: Sequence[Block]) -> dict[str, bool]:
    sides = [[block.samples_s for block in side if block.samples_s] for side in (base, candidate)]
    return {name: rule(*sides) for name, rule in RULES.items()} if all(sides) else {}
