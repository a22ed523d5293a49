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
from pathlib import Path
from typing import IO

import psutil

from betanas.search.executors.messages import Message, decode, encode

# Lines of a worker's standard error that are kept to explain its death.
_LAST_LINES = 20
_EXIT_SECONDS = 5.0


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
    ) -> None:
        self._outbox = outbox
        self._log_bytes = log_bytes
        self._log: IO[bytes] | None = None
        self._log_room = 0
        self._log_lock = threading.Lock()
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        arguments = [sys.executable, "-m", "betanas.search.executors.worker", "--parent", str(os.getpid())]
        if cores:
            arguments += ["--cores", ",".join(map(str, cores))]
        # A session of its own: Ctrl-C in the terminal goes to the search alone, and the whole group can be killed.
        self._process = subprocess.Popen(  # noqa: S603 - our own module with our own arguments
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        self.started = time.monotonic()
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
                    self._log = path.open("ab", buffering=0)
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
        """End the process and everything it started, at once."""
        # Children that made sessions of their own (data loader workers, ranks) are not in the group.
        with contextlib.suppress(psutil.Error):
            descendants = psutil.Process(self.pid).children(recursive=True)
            for process in descendants:
                with contextlib.suppress(psutil.Error):
                    process.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_SECONDS)
        self.log_to(None, "")

    def epitaph(self) -> str:
        """How the process ended and the last it said, for a record's reason."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_SECONDS)
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


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("the process was started without pipes")
    return stream
