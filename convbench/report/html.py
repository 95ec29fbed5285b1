"""report.html: one page that holds all it needs and opens offline."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import islice
from typing import Any

from jinja2 import Environment, PackageLoader

from convbench.analysis.noise import noise
from convbench.analysis.quantities import percent, plural, seconds
from convbench.report import ceilings, claims, closing, duels, phases, trade_offs, views
from convbench.report.answers import Answers
from convbench.report.chart_data import chart_data
from convbench.report.compare import comparison
from convbench.report.excerpt import MOST_LINES, excerpt, said
from convbench.report.speedup_maps import speedup_maps
from convbench.report.style import styles

RESULT_COLUMNS = (
    "cell",
    "threads",
    "algorithm",
    "status",
    "time",
    "95 %",
    "to fastest",
    "GFLOP/s, direct-equivalent",
    "of roofline",
    "error / bound",
    "plan",
    "prepare",
    "workspace",
    "peak memory",
    "cold caches",
    "passes",
    "measure again",
)


def page(answers: Answers, shown: Answers | None = None) -> str:
    """A run's page; `shown` is the excerpt whose cells it lists, for whoever has made it already."""
    info = answers.info
    shown = excerpt(answers) if shown is None else shown
    looks = styles(info)
    wall = answers.effort.wall_s or 1.0
    return _render(
        "report.html.j2",
        info=info,
        sentences=answers.sentences(),
        left_out=said(answers, shown),
        colors=[looks[name].color for name in info.algorithms],
        claim_head=claims.HEAD,
        claims=list(claims.claim_values(answers)),
        claim_place_head=claims.PLACE_HEAD,
        claim_places=list(islice(claims.place_values(answers), MOST_LINES)),
        crossovers=list(islice(views.crossover_lines(answers), MOST_LINES)),
        maps=list(views.winner_maps(shown)),
        speedups=list(speedup_maps(shown)),
        trade_offs_head=trade_offs.HEAD,
        trade_offs=list(trade_offs.trade_off_lines(shown)),
        without_choice=trade_offs.without_choice(answers),
        shapes=list(views.shape_lists(shown)),
        totals=list(views.total_lines(answers)),
        charts=chart_data(shown, answers),
        closing_head=closing.HEAD,
        closing_note=closing.NOTE,
        standings=list(duels.standing_values(answers)),
        duel_maps=list(duels.duel_maps(shown)),
        duel_head=duels.DUEL_HEAD,
        duels=list(duels.duel_values(shown)),
        planning=list(views.planning_lines(answers)),
        compilation=answers.compilation,
        columns=RESULT_COLUMNS,
        results=list(views.result_lines(shown)),
        phases=list(phases.places(shown)),
        envelope_head=phases.ENVELOPE_HEAD,
        cost_head=phases.COST_HEAD,
        device_columns=views.DEVICE_COLUMNS,
        on_device=list(views.device_lines(shown)),
        agreement=list(views.agreement_lines(answers)),
        not_measured=answers.not_measured,
        facts=list(views.facts({name: value for name, value in info.machine.items() if name != "ceilings"})),
        ceilings_head=ceilings.HEAD,
        ceilings=[[views.Value(text) for text in line] for line in ceilings.lines(info.machine.get("ceilings", ()))],
        options=list(views.facts(info.options)),
        noise=noise(answers.contenders),
        parts=[(name, seconds(spent), percent(spent / wall), spent / wall) for name, spent in answers.effort.parts()],
        effort=answers.effort,
        passes=answers.passes,
    )


def comparison_page(names: Sequence[str], runs: Sequence[Answers]) -> str:
    """Several runs side by side: what differs, what each says, what changed, and every ratio to the first."""
    base, *others = runs
    found = [comparison(base, other) for other in others]
    if any(one.by_problem for one in found):  # then it is the threads that tell the runs apart
        names = [f"{name}, {_threads(run)}" for name, run in zip(names, runs, strict=True)]
    return _render(
        "comparison.html.j2",
        names=names,
        runs=runs,
        comparisons=list(zip(names[1:], found, strict=True)),
        means=[list(views.mean_lines(one)) for one in found],
        lines=list(views.comparison_lines(base, found)),
    )


def _threads(run: Answers) -> str:
    counts = sorted({cell.threads for cell in run.info.cells})
    return plural(counts[0], "thread") if len(counts) == 1 else f"{', '.join(map(str, counts))} threads"


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    """Compiling the templates takes longer than a small run's page."""
    found = Environment(loader=PackageLoader("convbench.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    found.filters |= {"seconds": seconds, "percent": percent}
    return found
