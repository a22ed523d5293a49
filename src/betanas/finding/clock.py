"""The wall-clock of a `find`, over all its sessions: what it has used is on disk every second."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, time

import psutil

from betanas.files import write_atomically

_BEAT_SECONDS = 1.0


class Clock:
    """Counts wall-clock from the start of the command, and what earlier sessions used.

    Args:
        before: seconds that earlier sessions used.
        began: when this session began, by `time.monotonic`.
    """

    def __init__(self, before: float, began: float) -> None:
        self._before = before
        self._began = began

    @property
    def elapsed(self) -> float:
        """Seconds used so far."""
        return self._before + monotonic() - self._began

    @contextmanager
    def kept(self, file: Path) -> Iterator[None]:
        """Write the time that was used to a file every second: however the process dies, the next one knows.

        Args:
            file: a JSON document that `seconds_used` reads.
        """
        ended = threading.Event()

        def write() -> None:
            with suppress(OSError):  # a full disk ends the work itself, with a message
                write_atomically(file, json.dumps({"seconds": round(self.elapsed, 3)}).encode())

        def beat() -> None:
            while not ended.wait(_BEAT_SECONDS):
                write()

        thread = threading.Thread(target=beat, daemon=True)
        write()
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            write()


def seconds_used(file: Path) -> float:
    """What `Clock.kept` wrote last; 0 where it has not."""
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def process_began() -> float:
    """When this process was started, by `time.monotonic`: what it has imported since counts too."""
    return monotonic() - max(time() - psutil.Process().create_time(), 0.0)
