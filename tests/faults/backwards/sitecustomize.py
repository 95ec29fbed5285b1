"""Python imports this at its start: the wall clock goes back an hour at each look; the monotonic clocks cannot."""

from __future__ import annotations

import datetime
import time

HOUR_S = 3600

first_s = time.time()
looks = 0


def time_s() -> float:
    """What time.time() tells from now on."""
    global looks
    looks += 1
    return first_s - HOUR_S * looks


class Backwards(datetime.datetime):
    """What datetime.datetime is from now on."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
        return cls.fromtimestamp(time_s(), tz)


time.time = time_s
time.time_ns = lambda: int(time_s() * 1e9)
datetime.datetime = Backwards  # type: ignore[misc]
