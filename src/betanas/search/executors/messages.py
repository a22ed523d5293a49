"""What crosses the boundary between the search and a worker: JSON, one message a line. Never pickle."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Literal, TypedDict

from betanas.blueprint import Blueprint
from betanas.search.executors.base import TrialJob, WorkerSetup
from betanas.training.budget import Budget
from betanas.training.result import CurvePoint, TrialResult


class Message(TypedDict, total=False):
    """One line. A worker is sent `setup`, `job`, `answer`; it sends `ready`, `started`, `point`, `ended`, `refused`."""

    kind: Literal["setup", "job", "answer", "ready", "started", "point", "ended", "refused"]
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
    return {"kind": "setup", "body": {"setup": asdict(setup), "device": device, "threads": threads}}


def read_setup(body: dict[str, Any]) -> tuple[WorkerSetup, str, int | None]:
    """What `setup_message` wrote."""
    values = {**body["setup"], "plugins": tuple(body["setup"]["plugins"])}
    return WorkerSetup(**values), body["device"], body["threads"]


def job_message(job: TrialJob) -> Message:
    """A trial to train."""
    body = {"blueprint": job.blueprint.to_dict(), "budget": str(job.budget), "seed": job.seed}
    return {"kind": "job", "index": job.index, "attempt": job.attempt, "body": body}


def read_job(message: Message) -> TrialJob:
    """What `job_message` wrote."""
    body = message["body"]
    return TrialJob(
        message["index"],
        message["attempt"],
        Blueprint.from_dict(body["blueprint"]),
        Budget.parse(body["budget"]),
        body["seed"],
    )


def read_point(message: Message) -> CurvePoint:
    """The point in a `point` message."""
    return CurvePoint(**message["body"])


def read_result(message: Message) -> TrialResult:
    """The result in an `ended` message."""
    return TrialResult.from_dict(message["body"])
