"""Signs of life of a search that shares its study: given by a thread of their own, whatever the search waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

# A peer is taken for dead after SILENCE_SECONDS (60): three signs may be lost.
BEAT_SECONDS = 15.0
# After a sign that could not be given, such as while the server restarts.
_AGAIN_SECONDS = 1.0


@contextmanager
def beating(make_engine: Callable[[], Engine], beat: Callable[[Engine], None]) -> Iterator[None]:
    """Give signs of life while the block runs, from the first moment.

    The search itself may wait: for the database, for a suggestion, for a disk. None of it means that it is dead. The
    thread has a connection of its own, since a connection is used by one thread at a time.

    Args:
        make_engine: gives an engine that nobody else uses.
        beat: writes one sign of life.
    """
    done = Event()
    engine = make_engine()

    def run() -> None:
        wait = 0.0
        while not done.wait(wait):
            try:
                beat(engine)
                wait = BEAT_SECONDS
            except SQLAlchemyError:
                wait = _AGAIN_SECONDS  # the search notices for itself what is wrong with its database

    thread = Thread(target=run, name="betanas-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        engine.dispose()
