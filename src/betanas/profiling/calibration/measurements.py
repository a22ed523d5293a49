"""Measured networks, as a file: what a device's script writes, and what a table keeps beside its model."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from betanas.blueprint import Blueprint, FloatArray, Layer
from betanas.cost.latency import LatencyModel, read_latency_file
from betanas.errors import BlueprintError, LimitError
from betanas.files import write_atomically
from betanas.profiling.calibration.measure import FORMAT_VERSION

# What decides a layer's time; the rest of a layer is for training.
_LAYER = ("kind", "in_channels", "out_channels", "stride", "hidden", "squeeze", "resolution", "activation", "pooled")
_NETWORK = ("resolution", "in_channels", "num_classes", "latent")


# The share of the reference's times that is taken to be undisturbed, and how much longer it may take in a round that is
# not called disturbed.
_UNDISTURBED, _SLOWED = 0.1, 1.1


def undisturbed(rounds: Sequence[float], beside: Sequence[float], reference: float) -> float:
    """A network's seconds where nothing disturbs it.

    Args:
        rounds: its seconds, round by round.
        beside: the reference network's, beside each round.
        reference: the reference network's where nothing disturbs it.
    """
    quiet = [seconds for seconds, other in zip(rounds, beside, strict=True) if other <= _SLOWED * reference]
    scaled = (seconds * reference / other for seconds, other in zip(rounds, beside, strict=True))
    return min(quiet) if quiet else statistics.median(scaled)


@dataclass(frozen=True)
class Measurements:
    """How long networks took to answer, in one way to run them on one machine.

    Attributes:
        runtime, threads, batch_size, processor, versions, measured: as in `betanas.cost.latency.LatencyModel`.
        blueprints: the networks.
        rounds: of each, the median seconds of an answer, round by round.
        beside: of each, the seconds of the reference network, measured beside each round; empty where it was not.
    """

    runtime: str
    threads: int
    batch_size: int
    processor: str
    versions: Mapping[str, str]
    measured: str
    blueprints: tuple[Blueprint, ...]
    rounds: tuple[tuple[float, ...], ...]
    beside: tuple[tuple[float, ...], ...] = ()

    @property
    def reference(self) -> float | None:
        """Seconds of the reference network where nothing disturbs it; None where it was not measured."""
        return float(np.quantile(np.concatenate(self.beside), _UNDISTURBED)) if self.beside else None

    @property
    def seconds(self) -> FloatArray:
        """Each network's seconds where nothing disturbs it, shape [networks].

        A round is a median of calls. Whatever else a machine does makes some rounds slower, by half on a virtual
        machine whose neighbours share its cores, and none faster: so the quickest counts, of those in which the
        reference was not slowed down. Where there is none, the rounds are scaled by how much the reference was.
        """
        usual = self.reference
        if usual is None:
            return np.array([min(rounds) for rounds in self.rounds])
        return np.array([undisturbed(*each, usual) for each in zip(self.rounds, self.beside, strict=True)])

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
            beside = tuple(tuple(float(seconds) for seconds in each.get("beside", ())) for each in document["networks"])
            if not all(each and min(each) > 0 for each in rounds):
                raise ValueError("a network without a time")
            if any(beside) and ([*map(len, beside)] != [*map(len, rounds)] or min(map(min, beside)) <= 0):
                raise ValueError("a round without a reference")
            return cls(
                runtime=str(document["runtime"]),
                threads=int(document["threads"]),
                batch_size=int(document["batch_size"]),
                processor=str(document["processor"]),
                versions={str(name): str(version) for name, version in document["versions"].items()},
                measured=str(document["measured"]),
                blueprints=tuple(unpacked(each["blueprint"]) for each in document["networks"]),
                rounds=rounds,
                beside=beside if any(beside) else (),
            )
        except (KeyError, TypeError, ValueError, AttributeError, BlueprintError) as fault:
            raise LimitError("Measurements must be whole.", value=repr(fault), hint=hint) from fault

    def to_document(self) -> dict[str, Any]:
        """The measurements as plain JSON."""
        rows = [
            {"blueprint": packed(blueprint), "rounds": list(rounds), **({"beside": list(beside)} if beside else {})}
            for blueprint, rounds, beside in zip_longest(self.blueprints, self.rounds, self.beside)
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
