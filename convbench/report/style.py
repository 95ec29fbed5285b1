"""How charts look: a colour and a marker for each algorithm, ink for all else, ticks people can read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.ticker import MaxNLocator

from convbench.analysis.quantities import number
from convbench.result import RunInfo

INK: Final = "#24292f"
FAINT: Final = "#8b949e"
GRID: Final = "#d8dee4"
FONT_PT: Final = 8.5

# Okabe and Ito's colours without yellow, and four of like lightness: told apart by people with any of the
# common colour-blindnesses, and each seen on white and on near-black.
_COLORS: Final = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7f7f7f",
    "#8a8a2e",
    "#8e5aa8",
    "#a0694b",
)
_MARKERS: Final = "osD^vPXph<>d8*"
# The names that most suites share keep their looks from suite to suite.
_RESERVED: Final = {
    "direct": 0,
    "fft_overlap_add": 1,
    "fft": 2,
    "im2col": 3,
    "separable": 4,
    "winograd_f4": 5,
    "naive": 6,
    "scipy_fft": 7,
    "opencv": 8,
    "winograd_f2": 9,
}


@dataclass(frozen=True)
class Style:
    """A line: colour, marker, and dashes for a library's own convolution."""

    color: str
    marker: str
    dashes: str


def styles(info: RunInfo) -> dict[str, Style]:
    """Algorithm → style; no two are alike up to 140 algorithms."""
    slots = {name: _RESERVED[name] for name in info.algorithms if name in _RESERVED}
    free = (slot for slot in range(len(_COLORS) * len(_MARKERS)) if slot not in slots.values())
    slots |= {name: next(free) for name in sorted(set(info.algorithms) - set(slots))}
    return {
        name: Style(
            # Each round of the colours starts one marker further, so that colour and marker pair up anew.
            _COLORS[slots[name] % len(_COLORS)],
            _MARKERS[(slots[name] + slots[name] // len(_COLORS)) % len(_MARKERS)],
            "--" if "peer" in info.tags.get(name, ()) else "-",
        )
        for name in info.algorithms
    }


def tick_seconds(value: float, _: object = None) -> str:
    """1 ms, 20 µs."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size * 0.9999:
            return f"{value / size:g} {unit}"
    return f"{value / 1e-9:g} ns"


def tick_memory(value: float, _: object = None) -> str:
    """64 KiB, 16 MiB."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= size * 0.9999:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} B"


def tick_plain(value: float, _: object = None) -> str:
    """0.1, 1, 20."""
    return f"{value:g}"


def tick_factor(value: float, _: object = None) -> str:
    """2×."""
    return f"{value:g}×"


def tick_percent(value: float, _: object = None) -> str:
    """1 %, 0.01 %."""
    return f"{value * 100:g} %"


def log_ticks(low: float, high: float, base: int = 10) -> list[float]:
    """Two to nine round values within a range: powers of `base`, 1-2-5 where they are few, even steps where none."""
    first, last = math.floor(math.log(low, base)), math.ceil(math.log(high, base))
    powers = [float(base) ** exponent for exponent in range(first, last + 1)]
    inside = [tick for tick in powers if low <= tick <= high]
    if len(inside) < 3:
        steps: Sequence[int] = (1, 2, 5) if base == 10 else (1, 2)
        inside = [tick * step for tick in powers for step in steps if low <= tick * step <= high]
    if len(inside) < 2:
        inside = [float(tick) for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]
    return inside[:: max(1, math.ceil(len(inside) / 9))]


def spaced(values: Sequence[float], position: Callable[[float], float], width: float) -> list[tuple[float, str]]:
    """The axis values with their labels, blank where a label would stand within `width` of the one before."""
    labelled: list[tuple[float, str]] = []
    last = -math.inf
    for value in values:
        at = position(value)
        shown = at - last >= width
        last = at if shown else last
        labelled.append((value, number(value) if shown else ""))
    return labelled


def pushed_apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions as near to the wanted ones as a least gap allows, within low … high, in the given order's ranks."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    clusters: list[tuple[list[int], float]] = []  # members, centre
    for index in order:
        members, centre = [index], wanted[index]
        while clusters and centre - clusters[-1][1] < gap * (len(members) + len(clusters[-1][0])) / 2:
            before, before_centre = clusters.pop()
            centre = (before_centre * len(before) + centre * len(members)) / (len(before) + len(members))
            members = before + members
        half = gap * (len(members) - 1) / 2
        clusters.append((members, min(max(centre, low + half), max(high - half, low + half))))
    placed = [0.0] * len(wanted)
    for members, centre in clusters:
        for rank, index in enumerate(members):
            placed[index] = centre + gap * (rank - (len(members) - 1) / 2)
    return placed
