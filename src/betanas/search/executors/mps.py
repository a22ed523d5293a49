"""NVIDIA's Multi-Process Service (MPS): several processes compute on one GPU at the same time, instead of by turns.

Where workers share a GPU, and nobody runs the service there yet, a search runs one for itself. A keeper process starts
and ends it: it waits for the end of its standard input, which comes with the search's end, however that happens.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from betanas.environment import MPS_PIPES
from betanas.lifetimes import die_with_parent

_PROGRAM = "nvidia-cuda-mps-control"
_LOGS = "CUDA_MPS_LOG_DIRECTORY"

# Where a service listens whose user has named no place.
_USUAL_PIPES = Path("/tmp/nvidia-mps")  # noqa: S108 - NVIDIA's own

# What must work under the service before trials are trusted to it: in some containers it starts and serves nobody.
_PROBE = (sys.executable, "-c", "import torch; torch.zeros(1, device='cuda').item()")

_START_SECONDS, _PROBE_SECONDS, _QUIT_SECONDS = 10.0, 90.0, 10.0


class MultiProcessService:
    """A service that runs until it is closed, or until the process that started it ends.

    Attributes:
        environment: variables with which a process uses it.
    """

    def __init__(self, keeper: subprocess.Popen[bytes], folder: Path) -> None:
        self.environment = _environment(folder)
        self._keeper = keeper

    def close(self) -> None:
        """End it; every process that used it must have ended."""
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        try:
            self._keeper.wait(3 * _QUIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._keeper.kill()  # which ends the service too
            self._keeper.wait()
        if self._keeper.stdout is not None:
            self._keeper.stdout.close()


def already_used() -> bool:
    """Whether processes of this user use a service that somebody else runs."""
    return bool(os.environ.get(MPS_PIPES)) or (_USUAL_PIPES / "control").exists()


def start_service(probe: Sequence[str] = _PROBE) -> MultiProcessService | None:
    """Start a service for the GPUs of this machine.

    Args:
        probe: a command that must succeed in the service's environment.

    Returns:
        The service; None where the system has none, somebody else runs one, or it does not work here.
    """
    if not sys.platform.startswith("linux") or shutil.which(_PROGRAM) is None or already_used():
        return None
    folder = Path(tempfile.mkdtemp(prefix="betanas-mps-"))
    command = [sys.executable, "-m", __name__, "--folder", str(folder), "--", *probe]
    # A session of its own: Ctrl-C in the terminal goes to the search alone, which then closes it.
    keeper = subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    service = MultiProcessService(keeper, folder)
    if keeper.stdout is not None:
        readable, _, _ = select.select([keeper.stdout], [], [], _START_SECONDS + _PROBE_SECONDS + _QUIT_SECONDS)
        if readable and keeper.stdout.readline():
            return service
    service.close()
    return None


# The keeper -------------------------------------------------------------------------------------------------------


def main() -> None:
    """Start the service, say so, and end it when standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("probe", nargs="+")
    given = parser.parse_args()
    environment = {**os.environ, **_environment(given.folder)}
    # It serves all of the machine's GPUs; which of them a process sees is the process's own business.
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    for place in _environment(given.folder).values():
        Path(place).mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    keeper = os.getpid()
    service = subprocess.Popen(  # noqa: S603 - the program of NVIDIA's that stands on the user's path
        [_program(), "-f"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: die_with_parent(keeper),  # this process has one thread
    )
    try:
        if _answers(service, environment) and _succeeds(given.probe, {**os.environ, **_environment(given.folder)}):
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            sys.stdin.read()
    finally:
        _end(service, environment)
        shutil.rmtree(given.folder, ignore_errors=True)


def _answers(service: subprocess.Popen[bytes], environment: dict[str, str]) -> bool:
    """Whether it comes up."""
    deadline = time.monotonic() + _START_SECONDS
    while service.poll() is None and time.monotonic() < deadline:
        if _ask("get_server_list", environment):
            return True
        time.sleep(0.1)
    return False


def _end(service: subprocess.Popen[bytes], environment: dict[str, str]) -> None:
    """End it and the servers that it has started: in order where it listens, otherwise at once."""
    started = []
    with contextlib.suppress(psutil.Error):
        started = psutil.Process(service.pid).children(recursive=True)
    if service.poll() is None and _ask("quit", environment):
        with contextlib.suppress(subprocess.TimeoutExpired):
            service.wait(_QUIT_SECONDS)
    if service.poll() is None:
        service.kill()
    service.wait()
    for process in started:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _ask(request: str, environment: dict[str, str]) -> bool:
    """Whether the service took a request."""
    try:
        done = subprocess.run(  # noqa: S603 - as above
            [_program()],
            input=f"{request}\n".encode(),
            env=environment,
            capture_output=True,
            check=False,
            timeout=_QUIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _succeeds(command: Sequence[str], environment: dict[str, str]) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - as above
            list(command), env=environment, capture_output=True, check=False, timeout=_PROBE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _program() -> str:
    return shutil.which(_PROGRAM) or _PROGRAM


def _environment(folder: Path) -> dict[str, str]:
    return {MPS_PIPES: str(folder / "pipes"), _LOGS: str(folder / "logs")}


if __name__ == "__main__":
    main()
