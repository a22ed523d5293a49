"""What crosses between the search and a node of the cluster: JSON, as bytes. Ray never pickles anything of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

from betanas.errors import DataError, StudyError, UserError
from betanas.search.executors.base import (
    ExecutorEvent,
    Patience,
    TrialEnded,
    TrialPoint,
    TrialStarted,
    WorkerReady,
    WorkerSetup,
)
from betanas.search.executors.messages import Message, read_point, read_result, read_setup, setup_message
from betanas.search.executors.slots import Slot
from betanas.userfile import python_file


class Report(TypedDict, total=False):
    """What a node says.

    Attributes:
        node: the node's id in the cluster, in the first report.
        address: its address there.
        events: what happened, in order.
        idle: whether a trial that is submitted now begins at once.
        log: what trials have printed since the last report, by the trial's index.
        refused: why no trial can be trained there.
    """

    node: str
    address: str
    events: list[Message]
    idle: bool
    log: dict[str, str]
    refused: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """What a node needs to know before its first trial.

    Attributes:
        setup: the worker's set-up; its files' paths are those on the search's machine.
        slot: device, threads and processes.
        files: the text of the Python files that the set-up names, by path.
        patience: how long a trial may take.
        log_bytes: the most that is kept of what one trial prints; 0 for nothing.
        version: BetaNAS's, which must be the node's.
    """

    setup: WorkerSetup
    slot: Slot
    files: Mapping[str, str]
    patience: Patience
    log_bytes: int
    version: str

    def encode(self) -> bytes:
        """The order as JSON."""
        start = setup_message(self.setup, self.slot.device, self.slot.threads)["body"]
        rest = {
            "environment": self.slot.environment,
            "processes": self.slot.processes,
            "files": dict(self.files),
            "patience": asdict(self.patience),
            "log_bytes": self.log_bytes,
            "version": self.version,
        }
        return json.dumps({**start, **rest}).encode()

    @classmethod
    def decode(cls, document: bytes) -> Order:
        """What `encode` wrote."""
        body = json.loads(document)
        setup, device, threads = read_setup(body)
        return cls(
            setup=setup,
            # A node's processes share its cores with what else Ray runs there; Ray counts them and pins nothing.
            slot=Slot(device, (), threads, body["environment"], body["processes"]),
            files=body["files"],
            patience=Patience(**body["patience"]),
            log_bytes=body["log_bytes"],
            version=body["version"],
        )


def read_files(setup: WorkerSetup) -> dict[str, str]:
    """The text of every Python file that a set-up names, by path.

    Raises:
        UserError: one cannot be read.
    """
    found: dict[str, str] = {}
    named: list[tuple[str, str, type[UserError]]] = [(name, "A plugin", StudyError) for name in setup.plugins]
    if python_file(setup.first.images.source):
        named.append((setup.first.images.source, "A data source's file", DataError))
    for name, kind, error in named:
        try:
            found[name] = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as failure:
            raise error(f"{kind} must be readable text.", value=name, hint=str(failure)) from failure
    return found


def write_event(event: ExecutorEvent) -> Message:
    """An event as a message."""
    if isinstance(event, WorkerReady):
        return {"kind": "ready", "body": event.device}
    if isinstance(event, TrialStarted):
        return {"kind": "started", "index": event.index, "attempt": event.attempt, "body": event.device}
    if isinstance(event, TrialPoint):
        return {"kind": "point", "index": event.index, "attempt": event.attempt, "body": asdict(event.point)}
    return {"kind": "ended", "index": event.index, "attempt": event.attempt, "body": event.result.to_dict()}


def read_event(message: Message) -> ExecutorEvent:
    """What `write_event` wrote."""
    if message["kind"] == "ready":
        return WorkerReady(message["body"])
    index, attempt = message["index"], message["attempt"]
    if message["kind"] == "started":
        return TrialStarted(index, attempt, message["body"])
    if message["kind"] == "point":
        return TrialPoint(index, attempt, read_point(message))
    return TrialEnded(index, attempt, read_result(message))
