"""The charts' data for the page, which draws them itself: see docs/decisions/0014.

{"algorithms": [{name, color, marker, dashed, timed, leads}], "cells": [[name, s of the fastest]], "views": [view]}
view   {quantity, place, key, kind, says, note, pick, x: axis, y: axis, panels: [panel]}
axis   {label, unit, base, inverted, shared, floor, zero, lineAt}, what is not so left out
panel  {title, says, x: [values], rows: [names], series: [[algorithm, [point]]], marks, roofs, stairs}
point  [x or row, y, low, high, passes, cell, filled, more words]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from convbench.analysis.contenders import Contender
from convbench.analysis.groups import Group
from convbench.analysis.pareto import Front, Offer
from convbench.analysis.quantities import seconds, significant, within
from convbench.analysis.roofline import Roof, Spot
from convbench.analysis.sentences import cell_name, place
from convbench.report.answers import Answers
from convbench.report.canvas import zero_line
from convbench.report.figures import TIME, WORKSPACE, Chart, Triple, charts, series, shown_algorithms
from convbench.report.front_figure import stairs
from convbench.report.style import styles
from convbench.result import Cell

Json = dict[str, Any]


def chart_data(answers: Answers, whole: Answers) -> Json:
    """All that the page's charts show, with the crossovers of the `whole` run; no views where nothing was timed."""
    info, looks = answers.info, styles(answers.info)
    timed = {one.algorithm for one in answers.contenders.values() if one.time is not None}
    leaders = {name for best in answers.winners.values() for name in best.tied}
    cells = {cell.key: index for index, cell in enumerate(info.cells)}
    best = [answers.winners.get(cell.key) for cell in info.cells]
    return {
        "algorithms": [
            {
                "name": name,
                "color": looks[name].color,
                "marker": looks[name].marker,
                "dashed": looks[name].dashes != "-",
                "timed": name in timed,
                "leads": name in leaders,
            }
            for name in info.algorithms
        ],
        "cells": [
            [cell_name(cell), _short(one.time.value) if one else None]
            for cell, one in zip(info.cells, best, strict=True)
        ],
        "views": [
            *(_along(answers, whole, chart, cells) for chart in charts(answers) if chart.metric is not WORKSPACE),
            *_trade_offs(answers, cells),
            *_rooflines(answers, cells),
        ],
    }


def _along(answers: Answers, whole: Answers, chart: Chart, cells: dict[str, int]) -> Json:
    metric, first = chart.metric, chart.groups[0]
    swept = first.axis is not None
    y: Json = {"unit": metric.unit, "base": metric.base, "floor": zero_line(answers, chart)}
    y |= {"shared": True} if metric.shared else {}
    y |= {"inverted": True} if metric.inverted else {}
    y |= {"zero": metric.zero} if metric.zero else {}
    y |= {"lineAt": metric.line_at} if metric.line_at is not None else {}
    return {
        "quantity": metric.title,
        "place": place(first.threads, first.device, ()),
        "key": metric.key,
        "kind": "lines" if swept else "dots",
        "says": metric.title,
        "note": metric.note,
        "x": {"label": first.axis or "", "unit": "number", "base": 10},
        "y": y,
        "panels": [_panel(answers, whole, chart, group, cells) for group in chart.groups],
    }


def _panel(answers: Answers, whole: Answers, chart: Chart, group: Group, cells: dict[str, int]) -> Json:
    names = shown_algorithms(answers, [group], chart.metric)
    at = {cell.key: index for index, cell in enumerate(group.cells)}
    values = {cell.key: _axis(cell, group) if group.axis else at[cell.key] for cell in group.cells}
    found: Json = {
        "title": ", ".join(f"{name} {value}" for name, value in group.fixed),
        "says": _says(answers, chart, group),
        "series": [
            [
                answers.info.algorithms.index(name),
                [
                    [
                        values[one.cell.key],
                        *_rounded(triple),
                        _passes(one),
                        cells[one.cell.key],
                    ]
                    for one, triple in series(answers, group, name, chart.metric)
                ],
            ]
            for name in names
        ],
    }
    if group.axis is None:
        return found | {"rows": [cell_name(cell) for cell in group.cells]}
    return (
        found
        | {"x": [values[cell.key] for cell in group.cells]}
        | ({"marks": list(_marks(whole, group))} if chart.metric is TIME else {})
    )


def _says(answers: Answers, chart: Chart, group: Group) -> str:
    """For those who hear the chart: what it shows, and who leads at either end."""
    ends = [group.cells[0], group.cells[-1]]
    leaders = [answers.winners[cell.key].algorithm if cell.key in answers.winners else "nobody" for cell in ends]
    where = ", ".join(f"{name} {value}" for name, value in group.fixed)
    over = f"over {group.axis} {ends[0].axes[group.axis]} to {ends[1].axes[group.axis]}" if group.axis else "by shape"
    told = f"fastest at the one end {leaders[0]}, at the other {leaders[1]}"
    return f"{chart.metric.title}{f', {where}' if where else ''}, {over}: {told}. Arrow keys read the points."


def _marks(answers: Answers, group: Group) -> Iterator[Json]:
    for found in answers.crossed_in(group):
        span = within(found.value, found.low, found.high).replace("95 %: ", "")
        yield {
            "at": _short(found.value),
            "low": _short(found.low),
            "high": _short(found.high),
            "label": f"{found.overtaker}: {span}",
            "of": [answers.info.algorithms.index(name) for name in (found.overtaker, found.overtaken)],
        }


def _trade_offs(answers: Answers, cells: dict[str, int]) -> Iterator[Json]:
    for where, fronts in answers.fronts_by_place.items():
        held = [offer.workspace_bytes for front in fronts for offer in front.offers if offer.workspace_bytes]
        yield {
            "quantity": "Workspace against time",
            "place": where,
            "key": "front",
            "kind": "scatter",
            "pick": True,
            "says": "workspace",
            "note": "Filled: on the Pareto front of time, workspace and error. Down and left is better. Libraries that "
            "allocate within their calls are left out.",
            "x": {"label": "time per call", "unit": "seconds", "base": 10},
            "y": {"unit": "bytes", "base": 4, "floor": min(held, default=4) / 4, "zero": "none"},
            "panels": [_front(answers, front, cells) for front in fronts],
        }


def _front(answers: Answers, front: Front, cells: dict[str, int]) -> Json:
    best = [(offer.time_s, float(offer.workspace_bytes)) for offer in front.best]
    return {
        "title": cell_name(front.cell),
        "says": f"Workspace against time, {cell_name(front.cell)}. Arrow keys read the points.",
        "series": [
            [answers.info.algorithms.index(offer.contender.algorithm), [_offer(offer, front, cells)]]
            for offer in front.offers
        ],
        "stairs": [[_short(x), _short(y)] for x, y in stairs(best)],
    }


def _offer(offer: Offer, front: Front, cells: dict[str, int]) -> list[Any]:
    by = front.beaten.get(offer.contender.algorithm)
    words = [f"error {offer.error:.1e}"] if offer.error is not None else []
    words.append(f"beaten by {by}" if by else "on the front")
    at = _short(offer.time_s), offer.workspace_bytes, None, None
    return [*at, _passes(offer.contender), cells[front.cell.key], 0 if by else 1, "; ".join(words)]


def _rooflines(answers: Answers, cells: dict[str, int]) -> Iterator[Json]:
    for roof, spots in answers.rooflines.items():
        panels = [("Direct-equivalent", [(one, one.direct) for one in spots])]
        if counted := [(one, one.actual) for one in spots if one.actual is not None]:
            panels.append(("Operations really done", counted))
        ends = [at[0] for _, found in panels for _, at in found]
        yield {
            "quantity": "Roofline",
            "place": place(roof.threads, roof.device, ()),
            "key": "roofline",
            "kind": "scatter",
            "says": "GFLOP/s",
            "note": "Under the ceilings that were measured in this run. By the operations of direct sums, whoever "
            "needs fewer may stand above the roof; by those really done, only data in caches can pass its slope.",
            "x": {"label": "FLOP a byte of x, w and y", "unit": "number", "base": 10},
            "y": {"unit": "number", "base": 10, "floor": 0, "shared": True},
            "panels": [
                {
                    "title": title,
                    "says": f"Roofline, {title}. Arrow keys read the points.",
                    "series": list(_spots(answers, found, cells)),
                    "roofs": _roofs(roof, min(ends) / 1.5, max(*ends, roof.ridge) * 1.5),
                }
                for title, found in panels
            ],
        }


def _spots(
    answers: Answers, found: Sequence[tuple[Spot, tuple[float, float]]], cells: dict[str, int]
) -> Iterator[list[Any]]:
    for index, name in enumerate(answers.info.algorithms):
        own = [(one.contender, at) for one, at in found if one.contender.algorithm == name]
        points = [
            [_short(x), _short(y / 1e9), None, None, one.time.passes, cells[one.cell.key], 1, seconds(one.time.value)]
            for one, (x, y) in own
            if one.time
        ]
        if points:
            yield [index, points]


def _roofs(roof: Roof, low: float, high: float) -> list[Json]:
    found: list[Json] = [
        {
            "label": f"multiply-adds, {significant(roof.flops_per_s / 1e9)} GFLOP/s; copying,"
            f" {significant(roof.bytes_per_s / 1e9)} GB/s",
            "points": [[_short(x), _short(roof.at(x) / 1e9)] for x in (low, roof.ridge, high)],
        }
    ]
    if roof.product_flops_per_s is not None:
        rate = roof.product_flops_per_s / 1e9
        label = f"BLAS's matrix product, {significant(rate)} GFLOP/s"
        found.append({"label": label, "points": [[_short(x), _short(rate)] for x in (low, high)], "faint": True})
    return found


def _axis(cell: Cell, group: Group) -> float:
    return float(cell.axes[str(group.axis)])


def _passes(one: Contender) -> int | None:
    return one.time.passes if one.time else None


def _rounded(triple: Triple) -> list[float | None]:
    return [None if value is None else _short(value) for value in triple]


def _short(value: float) -> float:
    return float(f"{value:.5g}")
