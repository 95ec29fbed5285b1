"""Claims over several runs as one Markdown page: what people say, and what became of it on this machine."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from convbench.analysis.claim_sentences import bounds_text, figure_text, figures_text, instance_place, verdict_sentence
from convbench.analysis.claims import Judged, Verdict
from convbench.analysis.machines import fingerprint
from convbench.analysis.quantities import memory, plural, seconds
from convbench.report.answers import Answers
from convbench.report.markdown import escape, table

HEAD: Final = ("what people say", "who says so", "claimed", "here", "measured")
PLACE_HEAD: Final = ("where", "measured", "here", "")
COUNTED: Final = {
    Verdict.HOLDS: "hold here",
    Verdict.PARTLY: "hold in part",
    Verdict.FAILS: "do not hold here",
    Verdict.UNKNOWN: "cannot be told",
}
RULES: Final = (
    "A claim holds in a place (a number of threads and, say, an image's extent) where the whole 95 % interval of the "
    "figure lies within what is claimed, and does not hold where it lies wholly outside; in between the data cannot "
    "tell. It holds as such where it holds in all of its places. Each place is judged by its own interval, Student's "
    "over passes (fresh processes); of twenty such intervals one may miss its truth. “Measured” is the least and the "
    "greatest figure of all places, each with its interval; what is counted, such as bytes, has none. A crossover's "
    "interval is where the data cannot tell who is faster."
)


def claims_page(runs: Sequence[tuple[Path, Answers]], target: Path) -> str:
    """The page; `target` is where it will lie, for its links to the runs' folders."""
    found = [one for _, answers in runs for one in answers.claims]
    parts = ["# What people say, measured", _counts(found), RULES, "## The machine", *_machines(runs)]
    for folder, answers in runs:
        parts += _section(answers, os.path.relpath(folder, target.parent))
    return "\n\n".join(parts) + "\n"


def _counts(found: Sequence[Judged]) -> str:
    counts = Counter(one.verdict for one in found)
    told = ", ".join(f"{counts[verdict]} {words}" for verdict, words in COUNTED.items() if counts[verdict])
    return (
        f"Of {plural(len(found), 'claim')}, {told}. This page is written by `convbench claims --out docs/claims.md`, "
        "which measures them all, or from runs whose folders it is given."
    )


def _machines(runs: Sequence[tuple[Path, Answers]]) -> Iterator[str]:
    """Each machine once, with the software of its first run."""
    seen: dict[str, Answers] = {}
    for _, answers in runs:
        seen.setdefault(fingerprint(answers.info), answers)
    for answers in seen.values():
        info = answers.info
        versions = ", ".join(f"{name} {version}" for name, version in info.versions.items())
        yield f"{escape(_machine(info.machine))}. {escape(versions)}."


def _machine(facts: dict[str, Any]) -> str:
    parts = [str(facts.get("cpu", "unknown processor")), plural(int(facts.get("cores", 0)), "core")]
    parts += [f"{memory(facts.get('memory_bytes'))} of memory", str(facts.get("system", ""))]
    parts += [f"Python {facts.get('python', '?')}"] + ["a virtual machine"] * bool(facts.get("hypervisor"))
    return ", ".join(part for part in parts if part)


def _section(answers: Answers, folder: str) -> Iterator[str]:
    info, effort = answers.info, answers.effort
    yield f"## {escape(info.suite_name)}"
    yield escape(info.suite_description)
    yield table(HEAD, (_line(one) for one in answers.claims))
    yield from _everywhere(answers.claims)
    commit = f", commit {escape(info.git_commit[:12])}" if info.git_commit else ""
    yield (
        f"`convbench run {escape(info.suite_name)}`, {escape(info.started_utc)}, "
        f"{plural(answers.passes, 'pass', 'passes')} in {seconds(effort.wall_s)}{commit}: [{escape(folder)}]({folder})"
    )


def _line(one: Judged) -> tuple[str, ...]:
    claim = one.claim
    return claim.says, claim.source or "–", bounds_text(claim), one.verdict, figures_text(one) or "–"


def _everywhere(found: Iterable[Judged]) -> Iterator[str]:
    """Every place of the claims that have several, folded away."""
    for one in found:
        if len(one.instances) < 2:
            continue
        lines = (
            (
                instance_place(instance),
                "–" if instance.figure is None else figure_text(instance.figure, one.claim),
                instance.verdict,
                instance.why,
            )
            for instance in one.instances
        )
        yield f"<details><summary>“{escape(one.claim.says)}”: {escape(verdict_sentence(one))}</summary>"
        yield table(PLACE_HEAD, lines)
        yield "</details>"
