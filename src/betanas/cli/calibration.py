"""`betanas profile --calibrate`: a latency table of this machine, or of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from betanas.cli.output import console, print_json
from betanas.errors import LimitError, StudyError
from betanas.quantities import format_bytes, format_latency

if TYPE_CHECKING:
    from betanas.cost.latency import LatencyModel


def make_table(
    table: Path,
    *,
    measured: Path | None,
    runtimes: Sequence[str],
    threads: int | None,
    batch_size: int,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Measure this machine, or take what was measured elsewhere, and write a latency table.

    Raises:
        LimitError: too few networks were measured, or there are several runtimes.
        UserError: the measurements or the runtime cannot be used.
    """
    from betanas.profiling.calibration import calibrate, fit_latency, read_measurements, write_table
    from betanas.profiling.calibration.calibrate import CALIBRATION_SECONDS
    from betanas.spaces.calibration import calibration_networks

    if len(runtimes) > 1:
        raise LimitError(
            "A latency table is for one runtime.", value=", ".join(runtimes), hint=f"Type --runtime {runtimes[0]}."
        )
    if measured is not None:
        found = read_measurements(measured)
    else:
        found = calibrate(
            calibration_networks(),
            runtime=runtimes[0] if runtimes else "onnxruntime",
            threads=threads,
            batch_size=batch_size,
            seconds=CALIBRATION_SECONDS if seconds is None else seconds,
        )
    model = fit_latency(found)
    write_table(table, model, found)
    if as_json:
        print_json({"table": str(table), "networks": len(found.blueprints), **_summary(model)})
        return
    out = console()
    out.print(f"{table}: {model}", soft_wrap=True, markup=False)
    error = model.error
    out.print(
        f"  {len(found.blueprints)} networks measured, to {format_latency(model.slowest)}; predicted without having "
        f"been seen: median error {error.median:.1%}, 90% within {error.p90:.1%}, "
        f"{error.within_10:.0%} of them within 10%",
        soft_wrap=True,
    )
    out.print(f"  betanas search --latency-table {table} --max-latency 3ms ...", soft_wrap=True, markup=False)


def write_for_device(folder: Path, *, as_json: bool) -> None:
    """Write the networks and the script that measure another device.

    Raises:
        StudyError: the folder is there already.
        MissingExtraError: the package onnx is not installed.
    """
    from betanas.profiling.calibration import write_kit
    from betanas.profiling.calibration.calibrate import MOST_NETWORKS
    from betanas.spaces.calibration import calibration_networks

    if folder.exists():
        raise StudyError("Networks for a device must be written to a new folder.", value=str(folder))
    size = write_kit(folder, calibration_networks())
    if as_json:
        print_json({"folder": str(folder), "networks": MOST_NETWORKS, "bytes": size})
        return
    out = console()
    out.print(f"{folder}: {MOST_NETWORKS} networks and measure.py, {format_bytes(size)}", soft_wrap=True, markup=False)
    out.print("  On the device, with numpy and onnxruntime: python measure.py --threads 1", markup=False)
    out.print("  Then here: betanas profile --calibrate --from measurements.json", markup=False)


def _summary(model: LatencyModel) -> dict[str, object]:
    kept = ("runtime", "threads", "batch_size", "processor", "measured", "block", "slowest")
    return {**{name: getattr(model, name) for name in kept}, "error": asdict(model.error)}
