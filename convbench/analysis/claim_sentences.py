"""A claim's verdict in words, to be quoted as it stands: where it holds, and with which figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from convbench.analysis.claims import Figure, Instance, Judged, Verdict
from convbench.analysis.quantities import factor, memory, number, plural, seconds, significant
from convbench.analysis.sentences import place
from convbench.result import NAME, AxisValue, Break, Claim, Crossing, Quantity, Ratio

MOST_PLACES: Final = 6
"""More are counted, not listed."""

Shown = tuple[str, str]


def verdict_sentence(one: Judged) -> str:
    """`the claim holds here, from sigma 2 to 16: 1.92× (1.88–1.97) to 6.31× (6.02–6.60), where ≥ 1.5× is claimed`."""
    where = _where(one)
    text = f"{_head(one)}, {where}"
    figures = figures_text(one)
    return f"{text}: {figures}, where {bounds_text(one.claim)} is claimed" if figures else text


def _head(one: Judged) -> str:
    if one.verdict is Verdict.PARTLY:
        failed = any(instance.verdict is Verdict.FAILS for instance in one.instances)
        return f"the claim holds {'in part here' if failed else 'here as far as the data can tell'}"
    return "the data cannot tell" if one.verdict is Verdict.UNKNOWN else f"the claim {one.verdict} here"


def figures_text(one: Judged) -> str:
    """The least and the greatest of the places' figures, each with its own interval; or why there is none."""
    found = [instance.figure for instance in one.instances if instance.figure is not None]
    if not found:
        first, *others = dict.fromkeys(instance.why for instance in one.instances if instance.why) or [""]
        return f"{first}; … and {plural(len(others), 'other reason')}" if others else first
    known = sorted(found, key=_middle)
    shown = dict.fromkeys(figure_text(figure, one.claim) for figure in (known[0], known[-1]))
    return " to ".join(shown)


def _middle(figure: Figure) -> float:
    """What figures are ordered by."""
    if figure.value is not None:
        return figure.value
    assert figure.low is not None  # one that has no value lies beyond something
    assert figure.high is not None
    return figure.high if math.isinf(figure.low) else figure.low


def figure_text(figure: Figure, claim: Claim) -> str:
    """`kernel 22 (21–23)`, `below kernel 3`, `1.92× (1.88–1.97)`; `9.00×` where it is counted, and has no interval."""
    before = f"{claim.about.axis} " if isinstance(claim.about, Crossing) else ""
    after = "" if not isinstance(claim.about, Break) else " image" if figure.value == 1 else " images"
    if figure.value is None:
        low, high = figure.low or 0.0, figure.high or 0.0
        return f"below {before}{number(high)}" if math.isinf(low) else f"beyond {before}{number(low)}"
    text, shorten = _shown(figure.value, claim)
    if figure.low is None or figure.high is None:
        return f"{before}{text}{after} (no interval)"
    least, most = (_shown(end, claim)[0].removesuffix(shorten) for end in (figure.low, figure.high))
    narrow = least == most == text.removesuffix(shorten)
    return f"{before}{text}{after}" if narrow else f"{before}{text}{after} ({least}–{most})"


def bounds_text(claim: Claim) -> str:
    """`≥ 40`, `≤ 10 images`, `2.00×–2.50×`, `kernel 40–60`."""
    before = f"{claim.about.axis} " if isinstance(claim.about, Crossing) else ""
    after = " images" if isinstance(claim.about, Break) else ""
    low, high = (None if end is None else _shown(end, claim)[0] for end in (claim.at_least, claim.at_most))
    span = f"≥ {low}" if high is None else f"≤ {high}" if low is None else f"{low}–{high}"
    return f"{before}{span}{after}"


def _shown(value: float, claim: Claim) -> Shown:
    """A figure in its claim's unit, and what of it need not be said thrice."""
    if not isinstance(claim.about, Ratio):
        return significant(value, 3) if value != int(value) else number(value), ""
    side, unit = claim.about.of, claim.about.of.quantities[0]
    if claim.about.over is not None or side.per is not None:
        return factor(value) if value >= 0.1 else f"{significant(value, 2)}×", "×"
    if unit is Quantity.ERROR:
        return f"{value:.2g}", ""
    if unit.unit == "seconds":
        return seconds(value), ""
    return (memory(value) if unit.unit == "bytes" else f"{value:,.0f}"), ""


# --- where ------------------------------------------------------------------------------------------


def instance_place(one: Instance) -> str:
    """`im2col, 1 thread, sigma 2`."""
    return ", ".join(part for part in (one.algorithm or "", place(one.threads, one.device, _named(one))) if part)


def _named(one: Instance) -> tuple[tuple[str, AxisValue], ...]:
    """Coordinates; a shape's name stands for itself."""
    return tuple(("shape", value) if name == NAME else (name, value) for name, value in one.fixed)


def _where(one: Judged) -> str:
    """`from sigma 2 to 16`, `in 3 of 4 places (…); not in 1 (…)`."""
    if not one.instances:
        return "no cell has both of its sides"
    if len(one.instances) == 1:
        return instance_place(one.instances[0])
    main = Verdict.HOLDS if one.verdict is Verdict.PARTLY else one.verdict
    chosen = [instance for instance in one.instances if instance.verdict is main]
    if len(chosen) == len(one.instances):
        axis = _axis(one.instances)
        if axis is None or axis == NAME:
            return f"in all of {len(chosen)} places"
        values = [float(dict(instance.fixed)[axis]) for instance in chosen]
        return f"from {axis} {number(min(values))} to {number(max(values))}"
    told = [f"in {len(chosen)} of {plural(len(one.instances), 'place')} ({_places(chosen, one)})"]
    for other, words in ((Verdict.FAILS, "not"), (Verdict.UNKNOWN, "the data cannot tell")):
        rest = [instance for instance in one.instances if instance.verdict is other and other is not main]
        if rest:
            told.append(f"{words} in {len(rest)} ({_places(rest, one)})")
    return "; ".join(told)


def _places(chosen: Sequence[Instance], one: Judged) -> str:
    """Neighbours along the axis in one: `1 thread: sigma 1–4, 16; 2 threads: sigma 1`."""
    axis = _axis(one.instances)
    listed = [instance_place(each) for each in chosen] if axis is None else list(_along(axis, chosen, one.instances))
    more = [f"… and {len(listed) - MOST_PLACES} more"] if len(listed) > MOST_PLACES else []
    return "; ".join(listed[:MOST_PLACES] + more)


def _along(axis: str, chosen: Sequence[Instance], everyone: Sequence[Instance]) -> Iterator[str]:
    """The chosen of each group of places that differ along the axis alone."""
    groups: dict[Instance, list[Instance]] = {}
    for instance in everyone:
        groups.setdefault(_without(instance, axis), []).append(instance)
    for group, along in groups.items():
        if axis == NAME:
            spans = [str(dict(instance.fixed)[NAME]) for instance in along if instance in chosen]
        else:
            spans = list(_stretches(axis, chosen, along))
        if spans:
            word = "shape" if axis == NAME else axis
            yield f"{instance_place(group)}: {word} {', '.join(spans)}"


def _stretches(axis: str, chosen: Sequence[Instance], along: Sequence[Instance]) -> Iterator[str]:
    """`1–4`, `16`: neighbours that were chosen, from the first to the last."""
    ordered = sorted(along, key=lambda instance: float(dict(instance.fixed)[axis]))
    for inside, run in groupby(ordered, key=lambda instance: instance in chosen):
        values = [number(float(dict(instance.fixed)[axis])) for instance in run]
        if inside:
            yield values[0] if len(values) == 1 else f"{values[0]}–{values[-1]}"


def _without(one: Instance, axis: str) -> Instance:
    """What the instances along an axis have in common."""
    fixed = tuple((name, value) for name, value in one.fixed if name != axis)
    return Instance(one.threads, one.device, fixed, one.algorithm, None, Verdict.UNKNOWN)


def _axis(instances: Sequence[Instance]) -> str | None:
    """The numeric coordinate with the most values that all instances have; else their names; None of neither."""
    values: dict[str, list[AxisValue]] = {}
    for instance in instances:
        for name, value in instance.fixed:
            values.setdefault(name, []).append(value)
    counts = {name: len(set(found)) for name, found in values.items() if len(found) == len(instances)}
    varied = [name for name, count in counts.items() if count > 1]
    numeric = [name for name in varied if all(isinstance(value, int | float) for value in values[name])]
    return max(numeric, key=lambda name: counts[name], default=NAME if NAME in varied else None)
