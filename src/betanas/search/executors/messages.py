"""What crosses the boundary between the search and a worker: JSON, one message a line. Never pickle."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypedDict

from betanas.search.executors.base import Assignment, WorkerSetup
from betanas.training.job import Job
from betanas.training.result import CurvePoint, TrialResult


class Message(TypedDict, total=False):
    """One line. A worker is sent `setup`, `job`, `answer`.

    It sends `ready`, `started`, `clocked` (before the first step that the budget counts), `point`, `ended`, `refused`.
    """

    kind: Literal["setup", "job", "answer", "ready", "started", "clocked", "point", "ended", "refused"]
    index: int
    attempt: int
    body: Any


def encode(message: Message) -> bytes:
    """A message as a line."""
    return json.dumps(message, allow_nan=True).encode() + b"\n"


def decode(line: bytes) -> Message:
    """A line as a message.

    Raises:
        ValueError: the line is not a message.
    """
    message = json.loads(line)
    if not isinstance(message, dict) or "kind" not in message:
        raise ValueError(f"not a message: {line[:80]!r}")
    return message  # type: ignore[return-value]  # checked above as far as it is used


def setup_message(setup: WorkerSetup, device: str, threads: int | None) -> Message:
    """The first message a worker gets."""
    plain = {**asdict(setup), "first": setup.first.to_dict()}
    return {"kind": "setup", "body": {"setup": plain, "device": device, "threads": threads}}


def read_setup(body: dict[str, Any]) -> tuple[WorkerSetup, str, int | None]:
    """What `setup_message` wrote."""
    plain = body["setup"]
    values = {**plain, "first": Job.from_dict(plain["first"]), "plugins": tuple(plain["plugins"])}
    return WorkerSetup(**values), body["device"], body["threads"]


def job_message(assignment: Assignment) -> Message:
    """A trial to train."""
    body = {"job": assignment.job.to_dict(), "folder": str(assignment.folder) if assignment.folder else None}
    return {"kind": "job", "index": assignment.index, "attempt": assignment.attempt, "body": body}


def read_job(message: Message) -> Assignment:
    """What `job_message` wrote."""
    body = message["body"]
    folder = Path(body["folder"]) if body["folder"] else None
    return Assignment(message["index"], message["attempt"], Job.from_dict(body["job"]), folder)


def read_point(message: Message) -> CurvePoint:
    """The point in a `point` message."""
    return CurvePoint(**message["body"])


def read_result(message: Message) -> TrialResult:
    """The result in an `ended` message."""
    return TrialResult.from_dict(message["body"])
