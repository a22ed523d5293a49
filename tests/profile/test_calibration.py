"""A latency table: graphs that do what the networks do, networks really timed, a fit, and what is refused."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import betanas as bn
from betanas.blueprint import Blueprint, BlueprintBatch
from betanas.cli.main import run
from betanas.cost.latency import LatencyModel
from betanas.errors import LimitError
from betanas.export.classifier import ImageClassifier
from betanas.export.formats import ONNX_FILE, write_onnx
from betanas.profiling import Subject
from betanas.profiling.calibration import (
    Measurements,
    calibrate,
    fit_latency,
    measure,
    read_measurements,
    write_kit,
    write_table,
)
from betanas.profiling.calibration.calibrate import LEAST_NETWORKS
from betanas.profiling.calibration.graphs import timing_graph
from betanas.profiling.calibration.measurements import undisturbed
from betanas.profiling.runtimes import sidecar_of
from betanas.spaces.calibration import calibration_networks, random_network

pytest.importorskip("onnxruntime")

# The module; the package has a function of its name.
calibrating = import_module("betanas.profiling.calibration.calibrate")

GOLDEN = Path(__file__).parents[1] / "golden" / "latency.json"


def small_networks(seed: int = 0) -> Iterator[Blueprint]:
    rng = np.random.default_rng(seed)
    spaces = [bn.get_space(name) for name in ("betanet3", "convnet")]
    while True:
        for space in spaces:
            yield random_network(space, rng, side=16)


def all_blocks(activation: str) -> Blueprint:
    """Every block kind, squeeze-excitation, a residual, a pooled contraction and latent channels."""

    def layer(kind: str, takes: int, gives: int, side: int, **others: object) -> bn.Layer:
        values = {"stride": 1, "hidden": 0, "squeeze": 0, "expansion": 1.0, "se_ratio": 1.0, "drop_path": 0.0}
        return bn.Layer(kind, takes, gives, resolution=side, activation=activation, **(values | others))

    layers = (
        layer("CNA", 3, 8, 8),
        layer("CNA", 8, 8, 4, stride=2, pooled=True),
        layer("FMBC", 8, 8, 4, hidden=10),
        layer("MBC", 8, 6, 2, stride=2, hidden=12, squeeze=3),
        layer("MBC5", 6, 6, 2, hidden=8, squeeze=2),
    )
    return bn.Blueprint(8, 3, 5, layers, latent=9)


def with_the_graph_s_weights(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1.0 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.constant_(module.bias, 0.5)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.bias, 0.5)
        elif isinstance(module, nn.Linear):
            nn.init.constant_(module.weight, 1.0 / module.in_features)
            nn.init.zeros_(module.bias)
    return network.eval()


@pytest.mark.parametrize("activation", ["SiLU", "ReLU", "ReLU6", "Hardswish"])
def test_a_graph_computes_what_its_network_computes(activation: str) -> None:
    import onnxruntime

    blueprint = all_blocks(activation)
    session = onnxruntime.InferenceSession(timing_graph(blueprint).SerializeToString())
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    (answer,) = session.run(None, {"images": images.numpy()})
    with torch.inference_mode():
        expected = with_the_graph_s_weights(blueprint.build())(images)
    torch.testing.assert_close(torch.from_numpy(answer), expected, rtol=1e-3, atol=1e-4)


def test_a_graph_has_the_operations_that_the_export_writes(tmp_path: Path) -> None:
    import onnx

    subject = Subject.of_blueprint("all", all_blocks("SiLU"))
    sidecar = sidecar_of(subject)
    write_onnx(sidecar, ImageClassifier(subject.build().eval(), sidecar), tmp_path)
    exported = Counter(node.op_type for node in onnx.load(tmp_path / ONNX_FILE).graph.node)
    timed = Counter(node.op_type for node in timing_graph(all_blocks("SiLU")).graph.node)
    del timed["ConstantOfShape"]
    assert timed == exported


@pytest.fixture(scope="module")
def measured() -> Measurements:
    """Two dozen networks more than a fit needs, really timed: small ones, in a second or two."""
    networks = list(islice(small_networks(), LEAST_NETWORKS + 4))
    return calibrate(networks, runtime="onnxruntime", threads=1, seconds=300.0)


def test_networks_are_timed_in_turns_and_modelled(measured: Measurements, tmp_path: Path) -> None:
    assert len(measured.blueprints) == LEAST_NETWORKS + 4
    assert {len(rounds) for rounds in measured.rounds} == {measure.PASSES * measure.ROUNDS}
    assert [len(beside) for beside in measured.beside] == [len(rounds) for rounds in measured.rounds]
    assert measured.versions["onnxruntime"]
    model = fit_latency(measured)
    assert (model.runtime, model.threads, model.batch_size) == ("onnxruntime", 1, 1)
    assert model.error.networks == LEAST_NETWORKS + 4
    assert model.reference == measured.reference
    write_table(tmp_path / "table.json", model, measured)
    assert LatencyModel.load(tmp_path / "table.json") == model
    again = read_measurements(tmp_path / "table.json")
    assert [each.key for each in again.blueprints] == [each.key for each in measured.blueprints]
    assert (again.rounds, again.beside) == (measured.rounds, measured.beside)


def test_several_threads_are_timed_with_one_network_loaded() -> None:
    """Threads of a network that has just answered spin, and would take the processor from the next one's."""
    there: list[int] = []
    most = 0

    class Loaded:
        def __init__(self, number: int) -> None:
            nonlocal most
            there.append(number)
            most = max(most, len(there))
            weakref.finalize(self, there.remove, number)

        def __call__(self) -> None:
            pass

    rounds = measure.time_in_turns(Loaded, 3, 300.0, reference=lambda: Loaded(-1), threads=2)
    assert [len(each) for each in rounds] == [measure.PASSES * measure.ROUNDS] * 3
    assert most == 1


def test_eager_networks_are_timed_on_the_threads_asked_for() -> None:
    found = calibrate(islice(small_networks(), 2), runtime="eager", threads=1, batch_size=2, seconds=300.0)
    assert (found.runtime, found.threads, found.batch_size, len(found.rounds)) == ("eager", 1, 2, 2)
    assert list(found.versions) == ["python", "torch"]


def test_the_time_decides_how_many_networks_are_measured() -> None:
    """The first pass takes a third of the time, and what it has not reached is left out."""
    now = iter(range(10**6))
    measure_module = measure

    class Clock:
        perf_counter = staticmethod(lambda: next(now))
        thread_time = perf_counter

    before, measure_module.time = measure_module.time, Clock
    try:
        rounds = measure.time_in_turns(
            lambda _: lambda: None, 10_000, 3000.0, reference=lambda: lambda: None, threads=1
        )
    finally:
        measure_module.time = before
    assert 0 < len(rounds) < 10_000
    assert np.mean([len(each) == measure.PASSES * measure.ROUNDS for each in rounds]) > 0.4
    assert min(map(len, rounds)) >= measure.ROUNDS


def test_a_network_s_time_is_that_of_the_quickest_round_that_nothing_disturbed() -> None:
    found = replace(made_up(2), rounds=((0.005, 0.001, 0.009), (0.02, 0.03)))
    assert found.seconds.tolist() == [0.001, 0.02]
    assert found.reference is None


def test_where_every_round_was_disturbed_the_reference_beside_says_by_how_much() -> None:
    assert undisturbed((0.005, 0.004, 0.009), (1.05e-3, 1e-3, 2e-3), 1e-3) == 0.004
    assert undisturbed((0.008, 0.0075, 0.02), (2e-3, 1.5e-3, 2e-3), 1e-3) == pytest.approx(0.005)
    # A round that looks quick beside a slow reference does not count where another was undisturbed.
    assert undisturbed((0.003, 0.005), (3e-3, 1e-3), 1e-3) == 0.005


def made_up(count: int, *, disturbed: int = 0) -> Measurements:
    """What a machine would measure that is as the golden table says, with 1% of noise, and some networks disturbed."""
    rng, model = np.random.default_rng(0), LatencyModel.load(GOLDEN)
    blueprints = tuple(islice(calibration_networks(seed=1), count))
    seconds = [float(model.predict(BlueprintBatch.of([each]))[0]) * rng.normal(1.0, 0.01) for each in blueprints]
    seconds = [each * (3.0 if place < disturbed else 1.0) for place, each in enumerate(seconds)]
    return Measurements(
        "onnxruntime", 1, 1, "made up", {}, "2026-01-31", blueprints, tuple((each,) for each in seconds)
    )


@pytest.mark.parametrize("disturbed", [0, 5])
def test_a_fit_finds_the_machine_that_made_the_measurements(disturbed: int) -> None:
    fitted, truth = fit_latency(made_up(120, disturbed=disturbed)), LatencyModel.load(GOLDEN)
    fresh = list(islice(calibration_networks(seed=2), 40))
    ratios = [
        float(fitted.predict(BlueprintBatch.of([each]))[0] / truth.predict(BlueprintBatch.of([each]))[0])
        for each in fresh
    ]
    assert max(abs(ratio - 1.0) for ratio in ratios) < 0.1
    assert fitted.error.within_10 > 0.85


def test_a_time_too_short_to_compile_in_says_which_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes seconds to minutes a network: what would not do is refused before it is spent."""
    now = iter(range(0, 10**6, 7))
    monkeypatch.setattr(calibrating, "perf_counter", lambda: float(next(now)))
    compiled: list[int] = []
    with pytest.raises(LimitError, match=r"60 s, and one takes about 4 s.*--calibrate-for 240"):
        calibrating.check_compilation(compiled.append, 60.0)
    assert compiled == [0, 1, 2, 3]  # the first two warm the machine up
    calibrating.check_compilation(compiled.append, 240.0)


def test_too_few_networks_are_refused() -> None:
    with pytest.raises(LimitError, match=rf"at least {LEAST_NETWORKS} measured networks.*--calibrate-for"):
        fit_latency(made_up(LEAST_NETWORKS - 1))


def test_networks_to_measure_are_reproducible_and_spread() -> None:
    first, again = (list(islice(calibration_networks(), 200)) for _ in range(2))
    assert [each.key for each in first] == [each.key for each in again]
    assert min(each.resolution for each in first) <= 24
    assert max(each.resolution for each in first) >= 160
    activations = {layer.activation for each in first for layer in each.layers}
    assert activations == {"SiLU", "ReLU", "ReLU6", "Hardswish"}


# A device without BetaNAS ------------------------------------------------------------------------------------------


def test_a_device_is_measured_by_a_script_that_needs_no_betanas(tmp_path: Path, measured: Measurements) -> None:
    size = write_kit(tmp_path / "kit", small_networks(), count=3)
    assert size < 300_000
    assert (tmp_path / "kit" / measure.REFERENCE).is_file()
    script = tmp_path / "kit" / "measure.py"
    names = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert names - {"numpy", "onnxruntime"} <= set(sys.stdlib_module_names) | {"collections.abc"}
    command = [sys.executable, "-I", str(script), "--threads", "1", "--seconds", "60", "--out", "found.json"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout == "3 networks measured: found.json\n"
    found = read_measurements(tmp_path / "found.json")
    assert found.reference
    assert [each.key for each in found.blueprints] == [each.key for each in islice(small_networks(), 3)]
    assert (found.runtime, found.threads, found.versions["numpy"]) == ("onnxruntime", 1, np.__version__)
    # Together with more networks they make a table.
    whole = replace(
        found,
        blueprints=found.blueprints + measured.blueprints,
        rounds=found.rounds + measured.rounds,
        beside=found.beside + measured.beside,
    )
    (tmp_path / "whole.json").write_text(json.dumps(whole.to_document()))
    table = tmp_path / "device.json"
    assert run(["profile", "--calibrate", "--from", str(tmp_path / "whole.json"), "--table", str(table)]) == 0
    assert LatencyModel.load(table).error.networks == LEAST_NETWORKS + 7


def test_the_script_says_what_is_missing(tmp_path: Path) -> None:
    script = tmp_path / "measure.py"
    script.write_bytes(Path(measure.__file__).read_bytes())
    answer = subprocess.run([sys.executable, "-I", str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode == 2
    assert "no folder networks" in answer.stderr


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "no JSON object"),
        ({"format": 1, "networks": {}}, "list of networks"),
        ({"format": 7, "networks": []}, "measurements of format 1"),
        ({"format": 1, "networks": [{"rounds": [0.1]}]}, "must be whole"),
        ({"format": 1, "networks": [{"rounds": [-0.1], "blueprint": {}}]}, "a network without a time"),
        ({"format": 1, "networks": [{"rounds": [0.1], "blueprint": {"layers": [[1, 2]]}}]}, "must be whole"),
        ({"format": 1, "networks": [{"rounds": [0.1], "beside": [0.1, 0.2], "blueprint": {}}]}, "without a reference"),
        ({"format": 1, "networks": [{"rounds": [0.1], "beside": [0.0], "blueprint": {}}]}, "without a reference"),
    ],
)
def test_wrong_measurements_are_refused(document: object, says: str, tmp_path: Path) -> None:
    head = {"runtime": "onnxruntime", "threads": 1, "batch_size": 1, "processor": "p", "versions": {}, "measured": "d"}
    (tmp_path / "m.json").write_text(json.dumps(head | document if isinstance(document, dict) else document))
    with pytest.raises(LimitError, match=says):
        read_measurements(tmp_path / "m.json")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--calibrate", "betanet3"], "made of random networks"),
        (["--calibrate", "--runtime", "eager", "--runtime", "compiled"], "for one runtime"),
        (["--calibrate", "--runtime", "tensorflow"], "tensorflow"),
        (["--calibrate", "--from", "nowhere.json"], "nowhere.json"),
        (["--calibrate", "--for-device", "."], "new folder"),
        (["--from", "nowhere.json", "betanet3"], "Add --calibrate"),
        ([], "betanas profile betanet3"),
    ],
)
def test_wrong_input_is_refused(arguments: list[str], says: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["profile", *arguments]) == 2
    assert says in " ".join(capfd.readouterr().err.split())


def test_networks_for_a_device_and_a_table_are_told_as_json(
    tmp_path: Path, measured: Measurements, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.json").write_text(json.dumps(measured.to_document()))
    table = str(tmp_path / "t.json")
    assert run(["profile", "--calibrate", "--from", str(tmp_path / "m.json"), "--table", table, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["table"], found["networks"], found["runtime"]) == (table, LEAST_NETWORKS + 4, "onnxruntime")
    assert 0 < found["error"]["median"] < 10
