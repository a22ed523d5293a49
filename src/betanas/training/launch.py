"""New processes of this machine in which a function trains one network together with its copies."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from torch.distributed import FileStore, Store  # type: ignore[attr-defined]  # documented, but missing in its stubs
from torch.multiprocessing.spawn import ProcessException, ProcessExitedException, spawn

import betanas.errors as errors
from betanas.errors import BetanasError, DeviceError
from betanas.files import read_json
from betanas.training.files import write_json
from betanas.training.together import rank_environment

# torch's own limits (10 or 30 minutes) would end a process that waits for one which compiles or evaluates.
WITHOUT_END = timedelta(days=1)


def launch(function: Callable[..., Mapping[str, Any]], *arguments: Any, processes: int, device: str) -> dict[str, Any]:
    """Run a function in several new processes, each with its place among them.

    Args:
        function: of a module, so that a new process finds it by its name; it gives plain data.
        arguments: of the function.
        processes: how many.
        device: what they train on, as `usable_device` gives it.

    Returns:
        What the function gave in the first process.

    Raises:
        BetanasError: what it raised in the first process that failed, or that a process died.
    """
    with tempfile.TemporaryDirectory(prefix="betanas-") as folder:
        try:
            spawn(_run, (processes, device, folder, function, arguments), nprocs=processes)  # type: ignore[no-untyped-call]
        except ProcessExitedException as error:
            raise _failure_in(Path(folder), error) from None
        return read_json(_file(Path(folder), 0, "result"))


def usable_device(device: str, *, processes: int) -> str:
    """The device that this number of processes can train on, one GPU each; `auto` falls back to the processor.

    Raises:
        DeviceError: there are fewer GPUs than processes, or there is no process.
    """
    gpus = torch.cuda.device_count()
    if processes < 1:
        raise DeviceError("There must be at least one process.", value=processes)
    if device.startswith("cuda") and gpus < processes:
        raise DeviceError(
            f"Each process needs a GPU of its own, and there are {gpus}.",
            value=processes,
            hint=f"Type --processes {gpus}." if gpus else "Type --device cpu.",
        )
    return "cpu" if device == "auto" and gpus < processes else device


def enter_group(rank: int, size: int, folder: str, device: str) -> None:
    """Take a place among the processes that were started with the same folder."""
    if size > 1:
        os.environ.update(rank_environment(rank, size))
        # They find each other through a file, so that nothing listens to the network.
        begin_group(FileStore(str(Path(folder, "meeting")), size), rank, size, device)


def begin_group(store: Store, rank: int, size: int, device: str) -> None:
    """Begin torch's process group among those that share a store."""
    backend = "gloo" if device == "cpu" else "nccl"
    torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=WITHOUT_END)


def died(error: ProcessException) -> str:
    """Which process ended, and how, as the beginning of a sentence."""
    ending = f"exit code {error.exit_code}" if isinstance(error, ProcessExitedException) else "an exception"
    signal = error.signal_name if isinstance(error, ProcessExitedException) else None
    return f"Process {error.error_index} ended with {signal or ending}"


def _run(
    rank: int, size: int, device: str, folder: str, function: Callable[..., Mapping[str, Any]], arguments: tuple[Any]
) -> None:
    enter_group(rank, size, folder, device)
    try:
        write_json(_file(Path(folder), rank, "result"), dict(function(*arguments)))
    except BetanasError as error:
        kind = next(each.__name__ for each in type(error).__mro__ if hasattr(errors, each.__name__))
        value = None if error.value is None else str(error.value)
        body = {"kind": kind, "rule": error.rule, "value": value, "hint": error.hint}
        write_json(_file(Path(folder), rank, "error"), body)
        # The others wait for this process, and would do so for ever; the launcher ends them once one has failed.
        raise SystemExit(1) from None


def _failure_in(folder: Path, error: ProcessExitedException) -> BetanasError:
    for path in sorted(folder.glob("*.error.json"), key=lambda path: path.stat().st_mtime_ns):
        body = read_json(path)
        kind: type[BetanasError] = getattr(errors, body["kind"])
        if body["value"] is None:
            return kind(body["rule"], hint=body["hint"])
        return kind(body["rule"], value=body["value"], hint=body["hint"])
    return BetanasError(f"{died(error)}.", hint="The others were ended too.")


def _file(folder: Path, rank: int, what: str) -> Path:
    return folder / f"{rank}.{what}.json"
