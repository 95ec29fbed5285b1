"""What a gate has found, for people (terminal, Markdown) and for CI (JUnit, annotations)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from rich.console import Console

from convbench.analysis.outcomes import EXIT_CODES, Outcome, Result
from convbench.analysis.quantities import seconds
from convbench.errors import ConvbenchError, ExitCode
from convbench.report.listings import print_table

GRAVEST_FIRST: Final = (
    *EXIT_CODES,
    Result.FASTER,
    Result.NEW,
    Result.MENDED,
    Result.NOT_MEASURED,
    Result.SAME,
)
HEAD: Final = ("verdict", "algorithm", "cell", "base", "candidate", "change, 95 %", "pairs")
SAID: Final = {
    ExitCode.FINE: "nothing became slower, less accurate or broken",
    ExitCode.SLOWER: "SLOWER",
    ExitCode.DISAGREEMENT: "WRONG",
    ExitCode.INCONCLUSIVE: "INCONCLUSIVE: more time or a quieter machine would decide",
    ExitCode.NOTHING_MEASURED: "nothing could be compared",
}


def print_gate(console: Console, outcomes: Sequence[Outcome], code: ExitCode) -> None:
    """Each contender in each cell, the gravest first; then what it comes to."""
    found = ordered(outcomes)
    print_table(console, HEAD, [_line(one) for one in found])
    for one in found:
        if one.detail:
            console.print(f"{one.algorithm} {one.result}: {one.detail}  ({label(one)})", markup=False, soft_wrap=True)
    console.print(f"\n{counted(outcomes)}: {SAID[code]}", markup=False, soft_wrap=True)


def ordered(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The gravest first, then the largest change."""
    return sorted(outcomes, key=lambda one: (GRAVEST_FIRST.index(one.result), -(one.change or 0.0)))


def counted(outcomes: Sequence[Outcome]) -> str:
    """`1 slower, 19 same`."""
    counts = Counter(one.result for one in outcomes)
    return ", ".join(f"{counts[result]} {result}" for result in GRAVEST_FIRST if counts[result]) or "nothing measured"


def label(one: Outcome) -> str:
    """The cell's own name beside its id."""
    return f"{one.name}, {one.cell}" if one.name else one.cell


def _line(one: Outcome) -> tuple[str, ...]:
    times = seconds(one.base_s), seconds(one.candidate_s)
    spec, _, threads = one.cell.partition("@")
    return (one.result, one.algorithm, f"{one.name or spec}@{threads}", *times, changed(one), counted_pairs(one))


def counted_pairs(one: Outcome) -> str:
    """`12`; against a stored run, `5 by compute`."""
    return f"{one.pairs} by {one.yardstick}" if one.yardstick else str(one.pairs)


def changed(one: Outcome) -> str:
    """`+5.1 % (4.2 … 6.0)`."""
    if one.change is None:
        return "–"
    if one.low is None or one.high is None:
        return f"{100 * one.change:+.1f} %"
    return f"{100 * one.change:+.1f} % ({100 * one.low:+.1f} … {100 * one.high:+.1f})"


def summary(suite: str, against: str, outcomes: Sequence[Outcome], code: ExitCode, wall_s: float) -> str:
    """Markdown for a job's summary or a pull request: the verdict, what changed, and the rest folded away."""
    found = ordered(outcomes)
    told = [one for one in found if one.result is not Result.SAME]
    lines = [f"### convbench gate `{_cell(suite)}` against `{_cell(against)}`: {SAID[code]}", "", counted(outcomes), ""]
    lines += _markdown_table(told)
    lines += [
        f"- `{_cell(one.algorithm)}` {one.result}: {_cell(one.detail)} (`{one.cell}`)" for one in told if one.detail
    ]
    same = [one for one in found if one.result is Result.SAME]
    if same:
        lines += ["", f"<details><summary>{len(same)} unchanged</summary>", "", *_markdown_table(same), "</details>"]
    largest = max((one.max_slowdown for one in outcomes), default=0.0)
    lines += ["", f"Slowdowns of {100 * largest:g} % are found; {wall_s:.0f} s. Change: candidate / base − 1."]
    return "\n".join(lines) + "\n"


def _markdown_table(outcomes: Sequence[Outcome]) -> list[str]:
    if not outcomes:
        return []
    lines = [f"| {' | '.join(_cell(part) for part in _line(one))} |" for one in outcomes]
    return [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD), *lines, ""]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'").replace("<", "&lt;")


def write_junit(path: Path, suite: str, outcomes: Sequence[Outcome], wall_s: float) -> None:
    """JUnit XML, a test case each: slower, larger, less accurate are failures, broken an error, undecided skipped."""
    kinds = {
        Result.SLOWER: "failure",
        Result.LARGER: "failure",
        Result.LESS_ACCURATE: "failure",
        Result.BROKEN: "error",
        Result.INCONCLUSIVE: "skipped",
        Result.NEW: "skipped",
        Result.MENDED: "skipped",
        Result.NOT_MEASURED: "skipped",
    }
    kind_counts = Counter(kinds.get(one.result, "passed") for one in outcomes)
    attributes = {
        "name": f"convbench gate {suite}",
        "tests": str(len(outcomes)),
        "failures": str(kind_counts["failure"]),
        "errors": str(kind_counts["error"]),
        "skipped": str(kind_counts["skipped"]),
        "time": f"{wall_s:.3f}",
    }
    root = ElementTree.Element("testsuite", attributes)
    for one in outcomes:
        case = ElementTree.SubElement(
            root, "testcase", classname=f"{suite}.{one.cell}", name=one.algorithm, time=f"{one.spent_s:.3f}"
        )
        told = f"{one.result}: {changed(one)} {one.detail}".strip()
        if one.result in kinds:
            ElementTree.SubElement(case, kinds[one.result], message=told)
        ElementTree.SubElement(case, "system-out").text = told
    try:
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise ConvbenchError(f"--junit {path}: cannot be written: {error.strerror}") from error


def write_summary(path: Path, text: str) -> None:
    """Append, as a job's summary wants it. Raises `ConvbenchError` where that cannot be."""
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ConvbenchError(f"--summary {path}: cannot be written: {error.strerror}") from error


def print_annotations(console: Console, outcomes: Sequence[Outcome]) -> None:
    """GitHub's workflow commands, where a workflow runs this: they show on the pull request's page."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    for one in ordered(outcomes):
        if one.result in EXIT_CODES:
            level = "warning" if one.result is Result.INCONCLUSIVE else "error"
            title, text = f"{one.algorithm} {one.result}", f"{label(one)}: {changed(one)} {one.detail}".strip()
            console.file.write(f"::{level} title={_escaped(title, property=True)}::{_escaped(text)}\n")


def _escaped(text: str, *, property: bool = False) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.replace(":", "%3A").replace(",", "%2C") if property else escaped
