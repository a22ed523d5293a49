"""Networks measured for a latency model: here, or by a script on a device."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from time import perf_counter

import torch

from betanas.blueprint import Blueprint
from betanas.errors import LimitError
from betanas.export.formats import require_onnx
from betanas.profiling.calibration import measure
from betanas.profiling.calibration.graphs import timing_graph
from betanas.profiling.calibration.measurements import Measurements, packed
from betanas.profiling.calibration.reference import reference_network
from betanas.profiling.conditions import Conditions
from betanas.profiling.runtimes import torch_call

# At most; a fit gains nothing from more.
MOST_NETWORKS = 600

# With fewer the fit would rest on a few networks for each term.
LEAST_NETWORKS = 40

# The first compilations of a machine make what later ones find made (headers, common kernels): one of a fresh machine
# took 125 s, its second 60 s, its fourth 9 s. Those after them tell how long it takes, and may be wrong by so much.
_WARMING, _COMPILED, _MARGIN = 2, 2, 1.5

# What a calibration may take, in seconds: two minutes with the start of the program and the fit.
CALIBRATION_SECONDS = 105.0


def calibrate(
    networks: Iterable[Blueprint],
    *,
    runtime: str,
    threads: int | None = None,
    batch_size: int = 1,
    seconds: float = CALIBRATION_SECONDS,
) -> Measurements:
    """Time networks on this machine's processor, as many as the seconds allow.

    Args:
        networks: random ones, without end or at least `MOST_NETWORKS`; taken in their order.
        runtime: `onnxruntime`, `eager` or `compiled`.
        threads: of the runtime; None for torch's own number.
        batch_size: images an answer.
        seconds: for loading and timing together.

    Raises:
        LimitError: so many networks cannot be compiled within the seconds.
        MissingExtraError: onnxruntime is not installed.
        NotMeasurableError: torch.compile does not work here.
    """
    chosen = list(islice(networks, MOST_NETWORKS))
    with Conditions(torch.device("cpu"), threads=threads).applied() as applied, torch.random.fork_rng(devices=[]):
        prepare = preparation(runtime, chosen, applied, batch_size)
        if runtime == "compiled":
            check_compilation(prepare, seconds)
        rounds = measure.time_in_turns(
            prepare,
            len(chosen),
            seconds,
            reference=reference_call(runtime, applied),
            threads=applied,
            # A compilation takes long, and forgets the one before it.
            **({"together": 1, "passes": 1, "rounds_a_pass": 6} if runtime == "compiled" else {}),
        )
    packages = ("onnxruntime", "numpy") if runtime == "onnxruntime" else ("torch",)
    document = measure.document(
        [measure.measured(packed(each), found) for each, found in zip(chosen, rounds, strict=False)],
        runtime=runtime,
        threads=applied,
        batch_size=batch_size,
        versions={package: version(package) for package in packages},
    )
    return Measurements.from_document(document)


def check_compilation(prepare: Callable[[int], object], seconds: float) -> None:
    """Refuse a time in which too few networks would be compiled, before it is spent.

    Raises:
        LimitError: it is too short.
    """
    for number in range(_WARMING):
        prepare(number)
    started = perf_counter()
    for number in range(_WARMING, _WARMING + _COMPILED):
        prepare(number)
    each = (perf_counter() - started) / _COMPILED
    needed = _MARGIN * LEAST_NETWORKS * each
    if needed > seconds:
        raise LimitError(
            f"At least {LEAST_NETWORKS} networks must be compiled.",
            value=f"{seconds:.0f} s, and one takes about {each:.0f} s",
            hint=f"Measure for longer: --calibrate-for {math.ceil(needed / 60) * 60}. Other runtimes take two minutes.",
        )


def reference_call(runtime: str, threads: int) -> Callable[[], Callable[[], object]]:
    """What loads the network that says how fast the machine is, for one image.

    Where networks are compiled it is not: it would be compiled anew beside each of them.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    prepare = preparation("eager" if runtime == "compiled" else runtime, [reference_network()], threads, 1)
    return lambda: prepare(0)


def preparation(
    runtime: str, networks: Sequence[Blueprint], threads: int, batch_size: int
) -> Callable[[int], Callable[[], object]]:
    """What loads the networks by their numbers, and gives for each a call that runs it on a batch of random images.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    if runtime == "onnxruntime":
        require_onnx("Measuring with onnxruntime")
        return lambda number: measure.onnx_call(timing_graph(networks[number]).SerializeToString(), threads, batch_size)

    def prepare(number: int) -> Callable[[], object]:
        network = networks[number]
        images = torch.rand(batch_size, network.in_channels, network.resolution, network.resolution)
        return torch_call(network.build().eval(), images, compiled=runtime == "compiled")

    return prepare


def write_kit(folder: Path, networks: Iterable[Blueprint], *, count: int = MOST_NETWORKS) -> int:
    """Write what another device needs to be measured: ONNX networks, and a script that times them without BetaNAS.

    Args:
        folder: a new one; made whole, or not at all where a package is missing.
        networks: random ones, at least `count`.
        count: networks that are written.

    Returns:
        The bytes that were written.

    Raises:
        MissingExtraError: the package onnx is not installed.
        FileExistsError: the folder is there already.
    """
    require_onnx("Writing networks for a device", ("onnx",))
    home = folder / "networks"
    folder.mkdir(parents=True)
    home.mkdir()
    for number, network in enumerate(islice(networks, count)):
        graph = timing_graph(network, described=packed(network))
        (home / f"{number:04d}.onnx").write_bytes(graph.SerializeToString())
    (folder / measure.REFERENCE).write_bytes(timing_graph(reference_network()).SerializeToString())
    shutil.copyfile(measure.__file__, folder / "measure.py")
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
