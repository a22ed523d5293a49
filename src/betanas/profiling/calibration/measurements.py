"""Measured networks, as a file: what a device's script writes, and what a table keeps beside its model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from betanas.blueprint import Blueprint, Layer
from betanas.cost.latency import LatencyModel, read_latency_file
from betanas.errors import BlueprintError, LimitError
from betanas.files import write_atomically
from betanas.profiling.calibration.measure import FORMAT_VERSION

# What decides a layer's time; the rest of a layer is for training.
_LAYER = ("kind", "in_channels", "out_channels", "stride", "hidden", "squeeze", "resolution", "activation", "pooled")
_NETWORK = ("resolution", "in_channels", "num_classes", "latent")


@dataclass(frozen=True)
class Measurements:
    """How long networks took to answer, in one way to run them on one machine.

    Attributes:
        runtime, threads, batch_size, processor, versions, measured: as in `betanas.cost.latency.LatencyModel`.
        blueprints: the networks.
        rounds: of each, the median seconds of an answer, round by round.
    """

    runtime: str
    threads: int
    batch_size: int
    processor: str
    versions: Mapping[str, str]
    measured: str
    blueprints: tuple[Blueprint, ...]
    rounds: tuple[tuple[float, ...], ...]

    @classmethod
    def from_document(cls, document: Any) -> Measurements:
        """Read what `betanas.profiling.calibration.measure.document` makes.

        Raises:
            LimitError: it is something else, of another version, or damaged.
        """
        hint = "Give the file that measure.py wrote on the device."
        if not isinstance(document, dict) or not isinstance(document.get("networks"), list):
            raise LimitError("Measurements must be a JSON object with a list of networks.", hint=hint)
        if document.get("format") != FORMAT_VERSION:
            raise LimitError(
                f"This version reads measurements of format {FORMAT_VERSION}.", value=document.get("format"), hint=hint
            )
        try:
            rounds = tuple(tuple(float(seconds) for seconds in each["rounds"]) for each in document["networks"])
            if not all(each and min(each) > 0 for each in rounds):
                raise ValueError("a network without a time")
            return cls(
                runtime=str(document["runtime"]),
                threads=int(document["threads"]),
                batch_size=int(document["batch_size"]),
                processor=str(document["processor"]),
                versions={str(name): str(version) for name, version in document["versions"].items()},
                measured=str(document["measured"]),
                blueprints=tuple(unpacked(each["blueprint"]) for each in document["networks"]),
                rounds=rounds,
            )
        except (KeyError, TypeError, ValueError, AttributeError, BlueprintError) as fault:
            raise LimitError("Measurements must be whole.", value=repr(fault), hint=hint) from fault

    def to_document(self) -> dict[str, Any]:
        """The measurements as plain JSON."""
        rows = [
            {"blueprint": packed(blueprint), "rounds": list(rounds)}
            for blueprint, rounds in zip(self.blueprints, self.rounds, strict=True)
        ]
        plain = {name: getattr(self, name) for name in ("runtime", "threads", "batch_size", "processor", "measured")}
        return {"format": FORMAT_VERSION, **plain, "versions": dict(self.versions), "networks": rows}


def packed(blueprint: Blueprint) -> dict[str, Any]:
    """What decides a blueprint's time, as short JSON."""
    rows = [[getattr(layer, name) for name in _LAYER] for layer in blueprint.layers]
    return {**{name: getattr(blueprint, name) for name in _NETWORK}, "layers": rows}


def unpacked(data: Mapping[str, Any]) -> Blueprint:
    """The blueprint that `packed` wrote; what belongs to its training is lost.

    Raises:
        BlueprintError, KeyError, TypeError, ValueError: the data is no such blueprint.
    """
    layers = tuple(
        Layer(**dict(zip(_LAYER, row, strict=True)), expansion=1.0, se_ratio=1.0, drop_path=0.0)
        for row in data["layers"]
    )
    return Blueprint(layers=layers, **{name: data[name] for name in _NETWORK})


def read_measurements(path: Path) -> Measurements:
    """Read a file of measurements, or those in a latency table.

    Raises:
        LimitError: it cannot be read, or is something else.
    """
    document = read_latency_file(path, "Measurements")
    inside = document.get("measurements") if isinstance(document, dict) else None
    return Measurements.from_document(document if inside is None else inside)


def write_table(path: Path, model: LatencyModel, found: Measurements) -> None:
    """Write a latency table: the model, and the measurements that it was fitted to."""
    content = json.dumps({**model.to_document(), "measurements": found.to_document()}) + "\n"
    write_atomically(path, content.encode())
