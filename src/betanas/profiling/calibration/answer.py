"""One network measured as a latency table's networks were, and how fast the machine is beside when they were."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import torch

from betanas.blueprint import Blueprint, BlueprintBatch
from betanas.cost.latency import LatencyModel
from betanas.export.card import AnswerTime
from betanas.profiling.calibration import measure
from betanas.profiling.calibration.calibrate import preparation, reference_call
from betanas.profiling.calibration.measurements import undisturbed
from betanas.profiling.conditions import Conditions

# A machine whose reference network takes this much more or less time than when its table was made has changed.
DRIFT = 0.1

# Rounds of a measurement; a network that takes long is called less often.
_ROUNDS, _SECONDS = 9, 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a network takes to answer: as a table predicts, and as was measured on the table's machine.

    Attributes:
        predicted: seconds.
        measured: seconds, as a calibration measures them; None where it was not measured.
        drift: how many times as long the reference network takes now as when the table was made; None where that is
            not known.
        unmeasured: why it was not measured, as a sentence; empty where it was.
    """

    predicted: float
    measured: float | None
    drift: float | None
    unmeasured: str = ""

    def on_card(self, table: LatencyModel) -> AnswerTime:
        """The same for a model card."""
        return AnswerTime(self.predicted, self.measured, str(table), table.error.p90)


def answer(network: Blueprint, table: LatencyModel) -> Answer:
    """Predict a network's latency, and measure it where this is the machine that the table is of."""
    predicted = float(table.predict(BlueprintBatch.of([network]))[0])
    if reason := not_here(table):
        return Answer(predicted, None, None, reason)
    with Conditions(torch.device("cpu"), threads=table.threads).applied(), torch.random.fork_rng(devices=[]):
        (rounds,) = measure.time_in_turns(
            preparation(table.runtime, [network], table.threads, table.batch_size),
            1,
            _SECONDS,
            reference=reference_call(table.runtime, table.threads),
            threads=table.threads,
            passes=1,
            rounds_a_pass=_ROUNDS,
        )
    seconds, beside = zip(*rounds, strict=True)
    measured = undisturbed(seconds, beside, min(beside))
    return Answer(predicted, measured, min(beside) / table.reference if table.reference else None)


def machine_drift(table: LatencyModel) -> float | None:
    """How many times as long this machine takes now as when a table was made of it, within some milliseconds.

    None where the table is of another machine, or says nothing of a reference.
    """
    if table.reference is None or not_here(table):
        return None
    with Conditions(torch.device("cpu"), threads=table.threads).applied(), torch.random.fork_rng(devices=[]):
        call, clock = reference_call(table.runtime, table.threads)(), measure.clock_for(table.threads)
        return min(measure.time_one(call, clock) for _ in range(_ROUNDS)) / table.reference


def not_here(table: LatencyModel) -> str:
    """Why a table's networks cannot be measured here, as a sentence; empty where they can."""
    here = measure.processor()
    if here != table.processor:
        return f"The table is of another processor ({table.processor}); this machine has {here}."
    if table.runtime == "onnxruntime" and not (find_spec("onnxruntime") and find_spec("onnx")):
        return "onnxruntime and onnx are not installed: pip install 'betanas[onnx]'."
    return ""
