"""What a network takes on this machine, measured: time and energy of its answers and of its training steps."""

from __future__ import annotations

from betanas.profiling.conditions import Conditions
from betanas.profiling.energy import EnergyCounter, find_counter
from betanas.profiling.measurement import Measurement, measure_inference, measure_training
from betanas.profiling.runtimes import RUNTIMES, NotMeasurableError
from betanas.profiling.subject import Subject
from betanas.profiling.timing import Timing, time_calls

__all__ = [
    "RUNTIMES",
    "Conditions",
    "EnergyCounter",
    "Measurement",
    "NotMeasurableError",
    "Subject",
    "Timing",
    "find_counter",
    "measure_inference",
    "measure_training",
    "time_calls",
]
