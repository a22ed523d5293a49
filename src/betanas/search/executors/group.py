"""The processes of one worker: a single one, or several that train every trial together."""

from __future__ import annotations

import queue
import socket
import time
from pathlib import Path

from betanas.search.executors.messages import Message
from betanas.search.executors.process import Place, WorkerProcess
from betanas.search.executors.slots import Slot

Outbox = queue.Queue[tuple[WorkerProcess, Message | None]]


class WorkerGroup:
    """A worker's processes, as the search sees them. All get the same jobs; the first of them does the talking.

    The search starts every one of them itself, so that it learns at once of any that dies, although the others may
    then wait for it in the middle of a step; it ends those too, since what several processes have begun together
    cannot be taken up again by some of them.

    Args:
        outbox: where the processes' messages arrive.
        slot: where they run.
        log_bytes: the most that is kept of what they print during a trial.
    """

    def __init__(self, outbox: Outbox, slot: Slot, *, log_bytes: int) -> None:
        self.started = time.monotonic()
        self._unready: set[WorkerProcess] = set()
        self.processes: tuple[WorkerProcess, ...] = ()

        def start(place: Place) -> None:
            process = WorkerProcess(
                outbox,
                cores=slot.cores_of(place.rank),
                environment=slot.environment,
                log_bytes=log_bytes // place.size,
                place=place,
            )
            self.processes += (process,)

        if slot.processes == 1:
            start(Place())
        else:
            # The socket is handed to the first process as it is: nobody else can take its port in the meantime, and
            # only this machine can reach it.
            with socket.create_server(("127.0.0.1", 0)) as meeting:
                port = meeting.getsockname()[1]
                for rank in range(slot.processes):
                    start(Place(rank, slot.processes, port, meeting.fileno() if rank == 0 else None))
        self._unready.update(self.processes)

    @property
    def size(self) -> int:
        """How many processes there are."""
        return len(self.processes)

    def note_ready(self, process: WorkerProcess) -> bool:
        """Note that one of them waits for its first trial; whether all do now."""
        self._unready.discard(process)
        return not self._unready

    def send(self, message: Message) -> None:
        """Send a message to all of them."""
        for process in self.processes:
            process.send(message)

    def log_to(self, path: Path | None, header: str) -> None:
        """Keep what they print from now on in a file, as `WorkerProcess.log_to` does."""
        for process in self.processes:
            process.log_to(path, header if process is self.processes[0] else "")

    def memory(self) -> int:
        """Resident bytes of all of them and their children."""
        return sum(process.memory() for process in self.processes)

    def kill(self) -> None:
        """End all of them and everything they started, at once."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.reap()

    def death(self, process: WorkerProcess) -> str:
        """How one of them ended, for a record's reason."""
        if self.size == 1:
            return f"The worker process died: {process.death()}"
        rank = self.processes.index(process)
        return f"Process {rank} of the {self.size} that trained together died: {process.death()}"
