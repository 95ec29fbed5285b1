"""Numbers as people read them: seconds, bytes, factors, and ranges whose ends stay apart."""

from __future__ import annotations

import math


def seconds(value: float | None) -> str:
    """Three significant digits with a fitting unit: `1.23 ms`."""
    if value is None:
        return "–"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size * 0.9995:
            return f"{significant(value / size)} {unit}"
    return f"{significant(value / 1e-9)} ns"


def memory(value: float | None) -> str:
    """Bytes in binary units: `12.5 MiB`."""
    if value is None:
        return "–"
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= size:
            return f"{significant(value / size)} {unit}"
    return f"{value:.0f} B"


def factor(value: float) -> str:
    """A ratio: `1.04×`, `12.3×`, `140×`."""
    return f"{value:.2f}×" if value < 10 else f"{significant(value)}×"


def percent(share: float) -> str:
    """A share: `3.1 %`, `64 %`."""
    return f"{share:.1%}".replace("%", " %") if share < 0.0995 else f"{share:.0%}".replace("%", " %")


def significant(value: float, digits: int = 3) -> str:
    """`digits` significant digits without an exponent, and whole numbers in full: 1.20, 12.3, 4567."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value) * (1 + 10.0**-digits / 2))))
    return f"{value:.{decimals}f}"


def number(value: float) -> str:
    """An axis value: 23, 4.2, 0.5; at most two significant digits behind the point are worth reading."""
    return f"{value:.0f}" if value == int(value) or abs(value) >= 10 else f"{value:.2g}"


def number_range(low: float, high: float) -> str:
    """`21–26`, with the decimals that its width is worth."""
    digits = _decimals(low, high)
    return f"{low:.{digits}f}–{high:.{digits}f}"


def within(value: float, low: float, high: float) -> str:
    """`23 (95 %: 21–26)`, with the decimals that the interval's width is worth."""
    return f"{value:.{_decimals(low, high)}f} (95 %: {number_range(low, high)})"


def _decimals(low: float, high: float) -> int:
    """Two digits of the width, and at least one of a lower end that is not zero."""
    width = high - low
    digits = 0 if width >= 2 else 1 if width >= 0.2 else 2
    while digits < 6 and low != 0 and round(low, digits) == 0:
        digits += 1
    return digits


def plural(count: int, word: str, many: str = "") -> str:
    """`1 pass`, `5 passes`."""
    return f"{count} {word if count == 1 else many or word + 's'}"
