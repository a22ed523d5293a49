"""A latency table: a few hundred random networks timed in turns, and a model fitted to them."""

from betanas.profiling.calibration import measure
from betanas.profiling.calibration.calibrate import calibrate, write_kit
from betanas.profiling.calibration.fitting import fit_latency
from betanas.profiling.calibration.measurements import Measurements, read_measurements, write_table

__all__ = ["Measurements", "calibrate", "fit_latency", "measure", "read_measurements", "write_kit", "write_table"]
