"""The time of day for a study's records, which a clock that is set in the middle of a search does not upset."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class WallClock:
    """Reads the system's time once; from then on it goes by the seconds that really pass.

    So the times of one search are in the order in which things happened, and their differences are durations, even if
    the system's clock is put back an hour meanwhile. A search that starts later reads the clock again.
    """

    def __init__(self) -> None:
        self._start = datetime.now(UTC)
        self._started = _seconds()

    def now(self) -> datetime:
        """The time, in UTC."""
        return self._start + timedelta(seconds=_seconds() - self._started)


def _seconds() -> float:
    """Seconds since some moment; on Linux with those that the machine slept through, which `monotonic` leaves out."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
