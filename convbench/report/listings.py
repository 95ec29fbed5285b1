"""What verify, describe, list and doctor print: tables on a terminal, tab-separated lines in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from convbench.algorithm import ConvAlgorithm, Unsupported
from convbench.describe import SpecSummary, size
from convbench.errors import one_line
from convbench.findings import Finding
from convbench.machine import Ceilings
from convbench.report import ceilings as ceilings_table
from convbench.result import Row, Status
from convbench.spec import ConvSpec


def print_table(console: Console, head: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """One table, each line as long as `head`."""
    if console.is_terminal:
        table = Table(*head, header_style="bold", show_edge=False)
        for line in lines:
            table.add_row(*map(escape, line))
        console.print(table)
    else:
        for line in (head, *lines):
            console.file.write("\t".join(line) + "\n")  # rich would turn the tabs into spaces


def print_cells(console: Console, summaries: Sequence[SpecSummary]) -> None:
    """One line a distinct problem, then what all of them come to."""
    head = ("spec", "name", "cells", "y [N,K,P,Q]", "weights", "GFLOP", "bytes moved", "FLOP/byte", "im2col")
    lines = [
        (
            one.spec,
            one.name,
            str(one.cells),
            "×".join(map(str, one.y_shape)),
            f"{one.parameters:,}",
            f"{one.direct_flops / 1e9:.3g}",
            size(one.minimal_bytes),
            f"{one.flops_per_byte:.3g}",
            size(one.columns_bytes),
        )
        for one in summaries
    ]
    print_table(console, head, lines)
    gflop = sum(one.weight * one.direct_flops for one in summaries) / 1e9
    cells = sum(one.cells for one in summaries)
    console.print(f"{len(summaries)} problems in {cells} cells; {gflop:.4g} GFLOP for each problem once, by weight")


def print_agreement(console: Console, rows: Sequence[Row]) -> None:
    """Each contender's worst cell beside its bound, then whatever did not agree."""
    tried = [row for row in rows if row.status not in (Status.UNSUPPORTED, Status.NOT_REACHED)]
    lines = []
    for name in dict.fromkeys(row.algorithm for row in rows):
        own = [row for row in tried if row.algorithm == name]
        passed = [row for row in own if row.status is Status.PASSED]
        worst = max(passed, key=_share, default=None)
        shown = ("–", "–", "–") if worst is None else (f"{worst.error:.2g}", f"{worst.error_bound:.2g}", worst.spec)
        unsupported = sum(row.algorithm == name and row.status is Status.UNSUPPORTED for row in rows)
        lines.append((name, f"{len(passed)} of {len(own)}", str(unsupported), *shown))
    print_table(console, ("algorithm", "agree", "unsupported", "worst error", "bound", "where"), lines)
    for row in tried:
        if row.status is not Status.PASSED:
            text = f"{row.algorithm} {row.status}: {row.reason}  ({row.spec}, {row.threads} threads)"
            console.print(text, markup=False, soft_wrap=True)


# Problems that stand for what people have.
KINDS: Final = {
    "filters": "h64w64r7s7+padding=3+filter=gaussian:1",
    "boxes": "h64w64r7s7+padding=3+filter=box",
    "layers": "c16h14w14k16r3s3+padding=1",
    "1×1": "c16h14w14k16r1s1",
    "strided": "c16h15w15k16r3s3+stride=2+padding=1",
    "dilated": "c16h14w14k16r3s3+padding=2+dilation=2",
    "depthwise": "c16h14w14k16r3s3+padding=1+groups=16",
    "mirrored edges": "h64w64r7s7+padding=3+boundary=reflect+filter=gaussian:1",
    "float64": "h64w64r7s7+padding=3+dtype=float64+filter=gaussian:1",
    "backward_data": "c16h14w14k16r3s3+padding=1+direction=backward_data",
    "backward_weights": "c16h14w14k16r3s3+padding=1+direction=backward_weights",
}


def print_algorithms(console: Console, algorithms: Mapping[str, ConvAlgorithm], spec: ConvSpec | None) -> None:
    """Name, device, precision class, tags, and what each runs here; for a spec, whether it does, and why not."""
    lines = []
    for name, algorithm in algorithms.items():
        told = _kinds(algorithm) if spec is None else _word_on(algorithm, spec)
        lines.append((name, algorithm.device, algorithm.precision, " ".join(sorted(algorithm.tags)), told))
    head = ("algorithm", "device", "precision", "tags", "runs here" if spec is None else "runs this spec")
    print_table(console, head, lines)


def _word_on(algorithm: ConvAlgorithm, spec: ConvSpec) -> str:
    reason = _why_not(algorithm, spec)
    return f"no: {reason}" if reason else "yes"


def _why_not(algorithm: ConvAlgorithm, spec: ConvSpec) -> str:
    """Why it cannot run a problem; nothing where it can. A plug-in that cannot even tell does not end the list."""
    try:
        told: object = algorithm.supports(spec)
    except Exception as error:
        return f"its supports() raised {type(error).__name__}: {one_line(str(error), 200)}"
    if told is None:
        return ""
    return str(told.reason) if isinstance(told, Unsupported) else f"its supports() gave {one_line(repr(told), 200)}"


def _kinds(algorithm: ConvAlgorithm) -> str:
    """Everything, all but a few kinds of problem, a few, or the reason why none."""
    reasons = {kind: _why_not(algorithm, ConvSpec.parse(spec)) for kind, spec in KINDS.items()}
    runs = [kind for kind, reason in reasons.items() if not reason]
    if not runs:
        return f"nothing: {next(iter(reasons.values()))}"
    lacks = [kind for kind in KINDS if kind not in runs]
    if len(lacks) <= 3:
        return "everything" if not lacks else f"everything but {', '.join(lacks)}"
    return ", ".join(runs)


def print_findings(
    console: Console, machine: Mapping[str, object], versions: Mapping[str, str], findings: Sequence[Finding]
) -> None:
    """The machine, its libraries, then each finding with its effect and its remedy."""
    for key in ("cpu", "cores", "caches", "memory_bytes", "system", "python", "fingerprint"):
        console.print(f"{key.removesuffix('_bytes'):12} {_readable(key, machine[key])}", markup=False)
    console.print(
        f"{'libraries':12} {', '.join(f'{name} {version}' for name, version in versions.items())}", markup=False
    )
    console.print()
    lines = [("!" if f.noisy else "", f.topic, f.state, f.effect, f.remedy if f.noisy else "") for f in findings]
    print_table(console, ("", "what", "here", "what it does to results", "to change it"), lines)
    noisy = sum(finding.noisy for finding in findings)
    console.print(f"\n{noisy} of {len(findings)} make timings here noisier than they need to be; nothing was changed.")


def print_ceilings(console: Console, ceilings: Sequence[Ceilings]) -> None:
    """What no algorithm can pass, a line for each number of threads."""
    print_table(console, ceilings_table.HEAD, ceilings_table.lines(map(asdict, ceilings)))


def _share(row: Row) -> float:
    return (row.error or 0.0) / (row.error_bound or 1.0)


def _readable(key: str, value: object) -> str:
    if key == "memory_bytes" and isinstance(value, int):
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, dict):
        return ", ".join(f"{name} {size // 1024} KiB" for name, size in value.items())
    return str(value)
