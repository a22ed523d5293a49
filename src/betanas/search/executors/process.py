"""One worker process as the search sees it: started, spoken to, watched, killed with all its children."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from betanas.files import open_unlinked
from betanas.search.executors.messages import Message, decode, encode
from betanas.training.together import rank_environment

# Lines of a worker's standard error that are kept to explain its death.
_LAST_LINES = 20
_EXIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """A process's place among those that train every trial together.

    Attributes:
        rank: its number.
        size: how many there are.
        port: where they meet, on this machine alone.
        listening: the file descriptor of a socket that listens there, for the first of them.
    """

    rank: int = 0
    size: int = 1
    port: int | None = None
    listening: int | None = None

    def arguments(self) -> list[str]:
        """What a worker process is told on its command line."""
        if self.size == 1:
            return []
        given = ["--rank", str(self.rank), "--ranks", str(self.size), "--port", str(self.port)]
        return given if self.listening is None else [*given, "--listening", str(self.listening)]

    def environment(self) -> dict[str, str]:
        """What Accelerate reads, as torchrun would set it; what the processes tell each other stays on this machine."""
        if self.size == 1:
            return {}
        return dict(rank_environment(self.rank, self.size))


class WorkerProcess:
    """A child process that speaks messages.

    Its messages arrive in `outbox` as (this process, message); (this process, None) means that it has ended.
    """

    def __init__(
        self,
        outbox: queue.Queue[tuple[WorkerProcess, Message | None]],
        *,
        cores: tuple[int, ...],
        environment: dict[str, str],
        log_bytes: int,
        place: Place = Place(),
    ) -> None:
        self._outbox = outbox
        self._log_bytes = log_bytes
        self._log: IO[bytes] | None = None
        self._log_room = 0
        self._log_lock = threading.Lock()
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        arguments = [sys.executable, *_import_path()]
        arguments += ["-m", "betanas.search.executors.worker", "--parent", str(os.getpid())]
        if cores:
            arguments += ["--cores", ",".join(map(str, cores))]
        arguments += place.arguments()
        # A session of its own: Ctrl-C in the terminal goes to the search alone, and the whole group can be killed.
        self._process = subprocess.Popen(  # noqa: S603 - our own module with our own arguments
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Threads that wait sleep (betanas.data.cores.let_threads_sleep), unless the user wants it otherwise.
            env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ, **environment, **place.environment()},
            pass_fds=() if place.listening is None else (place.listening,),
            start_new_session=True,
        )
        threading.Thread(target=self._read_messages, daemon=True).start()
        self._stderr_reader = threading.Thread(target=self._read_errors, daemon=True)
        self._stderr_reader.start()

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""
        return self._process.pid

    def send(self, message: Message) -> None:
        """Send a message; to a process that has just died it is lost, and its end arrives in the outbox."""
        with contextlib.suppress(BrokenPipeError):
            stdin = _pipe(self._process.stdin)
            stdin.write(encode(message))
            stdin.flush()

    def log_to(self, path: Path | None, header: str) -> None:
        """Keep what the worker prints from now on in a file (appended), up to the limit; None for nowhere."""
        with self._log_lock:
            if self._log is not None:
                self._log.close()
                self._log = None
            self._last_lines.clear()
            if path is not None:
                # A full or read-only disk must not cost the trial: it only loses its log.
                with contextlib.suppress(OSError):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self._log = open_unlinked(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                    if header:
                        self._log.write(header.encode() + b"\n")
            self._log_room = self._log_bytes

    def memory(self) -> int:
        """Resident bytes of the process and its children."""
        total = 0
        with contextlib.suppress(psutil.Error):
            parent = psutil.Process(self.pid)
            for process in (parent, *parent.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
        return total

    def kill(self) -> None:
        """End the process and everything it started, at once; `reap` waits for it."""
        # Children that made sessions of their own (data loader workers, ranks) are not in the group.
        with contextlib.suppress(psutil.Error):
            descendants = psutil.Process(self.pid).children(recursive=True)
            for process in descendants:
                with contextlib.suppress(psutil.Error):
                    process.kill()
        self._kill_group()

    def _kill_group(self) -> None:
        """Kill what is left of the process's group, while its number is still its own: before it is reaped."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _has_ended(self) -> bool:
        """Whether the process has ended, without reaping it."""
        if hasattr(os, "waitid"):
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        try:  # macOS, before Python 3.13
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True

    def _reap(self) -> None:
        """Wait a while for the process's end; afterwards its number may be another process's."""
        deadline = time.monotonic() + _EXIT_SECONDS
        while self._process.returncode is None and time.monotonic() < deadline:
            if self._has_ended():
                self._kill_group()
                self._process.wait()
            else:
                time.sleep(0.01)

    def reap(self) -> None:
        """Wait until the killed process has gone, and close its log."""
        self._reap()
        self.log_to(None, "")

    def death(self) -> str:
        """How the process ended and the last it said, for a record's reason."""
        self._reap()
        self._stderr_reader.join(1.0)
        code = self._process.returncode
        if code is None:
            ending = "it no longer answers"
        elif code < 0:
            ending = f"it was killed by {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                ending += ", as the system does when memory runs out"
        else:
            ending = f"it ended with exit code {code}"
        with self._log_lock:
            last = self._last_lines[-1] if self._last_lines else ""
        return f"{ending}; the last it said: {last}" if last else ending

    def _read_messages(self) -> None:
        for line in _pipe(self._process.stdout):
            with contextlib.suppress(ValueError):  # the torn last line of a killed process
                self._outbox.put((self, decode(line)))
        self._outbox.put((self, None))

    def _read_errors(self) -> None:
        # Read in pieces, not lines: a trial may print 100 MB without a line end.
        stream, unfinished = _pipe(self._process.stderr), b""
        while piece := os.read(stream.fileno(), 1 << 16):
            *lines, unfinished = (unfinished + piece)[-(1 << 16) :].split(b"\n")
            with self._log_lock:
                self._last_lines.extend(text for line in lines if (text := line.decode(errors="replace").strip()[:500]))
                self._write_log(piece)

    def _write_log(self, piece: bytes) -> None:
        if self._log is None or self._log_room <= 0:
            return
        with contextlib.suppress(OSError):
            self._log.write(piece[: self._log_room])
            self._log_room -= len(piece)
            if self._log_room <= 0:
                self._log.write(b"\n[the rest of this trial's output was left out]\n")


def _import_path() -> list[str]:
    """Keeps a worker from importing what lies in the working directory, as `-m` would, unless the search does so too.

    That may be a stranger's study with a `torch.py` in it.
    """
    here = {""}
    with contextlib.suppress(OSError):  # it was deleted
        here.add(str(Path.cwd()))
    return [] if here & set(sys.path) else ["-P"]


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("the process was started without pipes")
    return stream
