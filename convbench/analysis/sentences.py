"""Answers as one sentence each, to be quoted as they stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from convbench.analysis.crossovers import Crossed, Crossover, Curve, NotEnoughData, OneSided, Unresolved
from convbench.analysis.phases import Phases, Reuse
from convbench.analysis.quantities import factor, number, plural, within
from convbench.analysis.statistics import Estimate
from convbench.analysis.winners import Winner
from convbench.result import AxisValue, Cell


def crossover_sentence(crossover: Crossover) -> str:
    """`1 thread, image 512: fft overtakes direct at kernel 23 (95 %: 21–26)`."""
    return f"{where(crossover.curve)}: {finding(crossover)}{gaps(crossover.curve)}"


def where(curve: Curve) -> str:
    """The group that a curve belongs to: `1 thread, image 512`."""
    return place(curve.threads, curve.device, curve.fixed)


def place(threads: int | str | None, device: str, fixed: tuple[tuple[str, AxisValue], ...]) -> str:
    """Threads (or the device) and the coordinates that do not change; None where it is the threads that change."""
    words = plural(threads, "thread") if isinstance(threads, int) else threads
    machine = words if device == "cpu" else "cpu and cuda" if device == "both" else device
    return ", ".join([*([machine] if machine else []), *(f"{name} {value}" for name, value in fixed)])


def cell_name(cell: Cell) -> str:
    """How a cell is called: its name in the suite, its coordinates, or its spec."""
    if cell.name:
        return cell.name
    return ", ".join(f"{name} {value}" for name, value in cell.axes.items()) or cell.spec.id


def finding(crossover: Crossover) -> str:
    """What was found, without where."""
    curve, outcome = crossover.curve, crossover.outcome
    axis, start, to = curve.crossing.axis, curve.crossing.start, curve.crossing.to
    match outcome:
        case Crossed():
            more = f"; the first of {outcome.count} crossings" if outcome.count > 1 else ""
            value = within(outcome.value, outcome.low, outcome.high)
            return f"{outcome.overtaker} overtakes {outcome.overtaken} at {axis} {value}{more}"
        case OneSided():
            text = f"{outcome.faster} is faster than {outcome.slower} from {axis} {number(outcome.first)} to "
            text += number(outcome.last)
            doubt = [span for span in curve.undecided if span[1] <= outcome.first or span[0] >= outcome.last]
            if doubt:
                text += f"; from {' and '.join(f'{number(low)} to {number(high)}' for low, high in doubt)} "
                text += "the data cannot tell"
            return text
        case Unresolved():
            ends = f"{axis} {number(curve.points[0].axis_value)} to {number(curve.points[-1].axis_value)}"
            if outcome.estimate is not None:
                other = start if outcome.overtaker == to else to
                guess = f"the estimate is that {outcome.overtaker} overtakes {other} at "
                return f"unresolved: {outcome.why}; {guess}{axis} {number(outcome.estimate)}"
            if outcome.overtaker is not None:
                return f"unresolved: {outcome.why}; in it {outcome.overtaker} was faster from {ends}"
            return f"unresolved: {start} and {to} cannot be told apart from {ends}"
        case NotEnoughData():
            return f"{start} against {to}: not enough data, {outcome.why}"


def gaps(curve: Curve) -> str:
    """What a curve lacks: `; without kernel 31–63 (fft timeout)`."""
    if not curve.missing:
        return ""
    reasons = dict(curve.missing)
    values = sorted([point.axis_value for point in curve.points] + list(reasons))
    runs: dict[str, list[str]] = {}
    for reason, group in groupby(values, key=reasons.get):
        if reason is not None:
            ends = list(group)
            ends_text = number(ends[0]) if len(ends) == 1 else f"{number(ends[0])}–{number(ends[-1])}"
            runs.setdefault(reason, []).append(ends_text)
    return f"; without {curve.crossing.axis} " + "; ".join(f"{', '.join(at)} ({why})" for why, at in runs.items())


def winner_sentence(winner: Winner) -> str:
    """`direct, 1.42× (1.40–1.45) as fast as fft`."""
    if winner.is_tie and not winner.is_provisional:
        return f"tie: {', '.join(winner.tied)}"
    if winner.runner_up is None or winner.margin is None:
        return f"{winner.algorithm}, alone"
    return f"{winner.algorithm}, {factor_with_interval(winner.margin)} as fast as {winner.runner_up}"


def factor_with_interval(ratio: Estimate) -> str:
    """`1.42× (1.40–1.45)`, or `1.42× (one pass)`."""
    if ratio.low is None or ratio.high is None:
        return f"{factor(ratio.value)} (one pass)"
    return f"{factor(ratio.value)} ({factor(ratio.low)[:-1]}–{factor(ratio.high)[:-1]})"


def phases_sentences(found: Sequence[Phases]) -> list[str]:
    """Who is cheapest for one image, plan and filter included, and who pays for itself after how many; or nothing.

    `For a single image, plan and filter included, direct is the cheapest in 12 of 32 cells; with one filter for
    all, fft pays for itself after 2 to 9 images in 20.`
    """
    rivals = [one for one in found if len(one.costs) > 1]
    if not rivals:
        return []
    ((first, count),) = Counter(one.costs[0].algorithm for one in rivals).most_common(1)
    cells = f"{count} of {plural(len(rivals), 'cell')}" if len(rivals) > 1 else ""
    text = f"For a single image, plan and filter included, {first} is the cheapest"
    text += f" in {cells}" if cells else ""
    lasting: dict[str, list[int]] = {}
    for one in rivals:
        *before, (images, name) = one.envelopes[Reuse.FILTER]
        if before:
            lasting.setdefault(name, []).append(images)
    if lasting:
        name, numbers = max(lasting.items(), key=lambda item: len(item[1]))
        least, most = min(numbers), max(numbers)
        span = plural(most, "image") if least == most else f"{least} to {most} images"
        text += f"; with one filter for all, {name} pays for itself after {span}"
        text += f" in {len(numbers)}" if cells else ""
    return [f"{text}."]


def envelope_sentence(envelope: Sequence[tuple[int, str]]) -> str:
    """`direct; from 3: fft; from 40: winograd_f4`."""
    (_, first), *later = envelope
    return "; ".join([first, *(f"from {images}: {name}" for images, name in later)])
