"""A block kind is one file: what its steps say is what is built, counted, stored, exported and drawn."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from betanas.analysis.figures.architecture import schematic
from betanas.blocks import KINDS, Activation
from betanas.blueprint import Blueprint, BlueprintBatch, Layer
from betanas.cost import count_macs, count_params, training_memory
from betanas.export.naming import source_names
from betanas.export.sidecar import Sidecar
from betanas.export.source_code import source_code
from betanas.search.store.store import _compact, _expand
from betanas.spaces import Range, SearchSpace
from betanas.spaces.scaling import Origin, make_rule, tabulate

PACKAGE = Path(__file__).parents[2] / "src" / "betanas"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def images_of(network: Blueprint, count: int = 2) -> torch.Tensor:
    return torch.rand(count, network.in_channels, network.resolution, network.resolution)


def sidecar_of(network: Blueprint) -> Sidecar:
    return Sidecar(
        architecture=network,
        classes=None,
        num_classes=network.num_classes,
        in_channels=network.in_channels,
        resolution=network.resolution,
        stored_side=None,
        scale=(0.0147, 0.0153, 0.0142),
        offset=(-1.9, -1.8, -1.6),
        top1=None,
        test_top1=None,
        document={},
    )


def test_names_and_codes_are_each_kinds_own() -> None:
    assert [(kind.name, kind.code) for kind in KINDS] == [("CNA", 0), ("FMBC", 1), ("MBC", 2), ("MBC5", 3)]
    for distinct in ("name", "code", "title", "source_name", "colour", "pattern"):
        assert len({getattr(kind, distinct) for kind in KINDS}) == len(KINDS), distinct


def test_a_kind_is_named_in_its_own_file_alone() -> None:
    """The 5x5 block came with one file. Docstrings that list the kinds for the reader may name it."""
    users = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"mbc5|\bMBC5\b(?!`)", path.read_text(encoding="utf-8"))
    ]
    assert users == ["blocks/mbc5.py"]


def test_parameters_are_the_built_networks(network: Blueprint) -> None:
    with torch.device("meta"):
        built = network.build()
    assert network.num_params == sum(parameter.numel() for parameter in built.parameters())


def test_macs_are_half_of_torchs_flops(network: Blueprint) -> None:
    with torch.device("meta"):
        built, images = network.build().eval(), images_of(network, 1)
    with FlopCounterMode(display=False) as counter:
        built(images)
    assert 2 * network.macs == counter.get_total_flops()


def test_memory_is_what_torch_tracks(network: Blueprint) -> None:
    tracking = load(PACKAGE.parents[1] / "benchmarks" / "_memory_tracking.py")

    for dtype in ("float32", "bfloat16") if network.latent == 0 else ("float32",):
        tracked = tracking.tracked_bytes(network, 64, dtype=dtype)
        assert network.training_memory(64, dtype) == pytest.approx(tracked, rel=0.01)


def test_networks_of_every_form_are_priced_together_as_they_are_alone(networks: dict[str, Blueprint]) -> None:
    all_of_them = list(networks.values())
    batch = BlueprintBatch.of(all_of_them)

    assert list(batch) == all_of_them
    assert count_params(batch).tolist() == [each.num_params for each in all_of_them]
    assert count_macs(batch).tolist() == [each.macs for each in all_of_them]
    assert training_memory(batch, 8).tolist() == [each.training_memory(8) for each in all_of_them]
    assert len({each.key for each in all_of_them}) == len(all_of_them)
    assert batch.residual.sum(axis=1).tolist() == [sum(one.residual for one in each.layers) for each in all_of_them]


def test_layers_have_the_sides_that_the_blueprint_says(network: Blueprint) -> None:
    with torch.device("meta"):
        built, maps = network.build(), images_of(network)
        for layer, module in zip(network.layers, built.layers, strict=True):
            maps = module(maps)
            assert maps.shape[1:] == (layer.out_channels, layer.resolution, layer.resolution)
        assert built.latent(maps).shape[1] == network.num_features


def test_json_and_the_store_give_an_equal_blueprint_back(network: Blueprint) -> None:
    assert Blueprint.from_json(network.to_json()) == network
    assert Blueprint.from_dict(_expand(_compact(network.to_dict()))) == network


def test_source_computes_what_the_network_does_and_is_formatted(networks: dict[str, Blueprint], tmp_path: Path) -> None:
    for number, (name, network) in enumerate(networks.items()):
        sidecar = sidecar_of(network)
        path = tmp_path / f"source_{number}.py"
        path.write_text(source_code(sidecar), encoding="utf-8")
        (tmp_path / "classes.json").write_text("[]")
        torch.manual_seed(0)
        ours = network.build()
        ours(images_of(network, 8))
        ours.eval()
        theirs = load(path).Network().eval()
        theirs.load_state_dict(source_names(sidecar, ours.state_dict()))
        images = images_of(network)
        standardised = (images - theirs.mean) / theirs.std
        with torch.no_grad():
            torch.testing.assert_close(
                theirs(images), ours(standardised), msg=lambda text, name=name: f"{name}: {text}"
            )
    for arguments in (
        ["format", "--check", "--diff"],
        ["check", "--extend-select", "I,UP,B,RET,SIM", "--ignore", "B905"],
    ):
        command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "--target-version", "py311", str(tmp_path)]
        answer = subprocess.run(command, capture_output=True, text=True)
        assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("name", ["MBC5 Hardswish pooled", "CNA without latent channels, pooled", "MBC5 SiLU"])
def test_onnx_computes_what_the_network_does(networks: dict[str, Blueprint], name: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    network = networks[name]
    torch.manual_seed(0)
    built = network.build()
    built(images_of(network, 8))
    built.eval()
    images = images_of(network)
    path = tmp_path / "network.onnx"
    torch.onnx.export(built, (images,), path, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(path)

    (logits,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(logits, built(images).numpy(), atol=1e-4)


def test_a_pooled_layer_is_convolution_norm_activation_and_max_pool() -> None:
    block = Layer("CNA", 3, 8, 2, 0, 0, 1.0, 1.0, 0.0, 8, "ReLU", True)
    network = Blueprint(16, 3, 4, (block,), latent=0).build()
    convolution, norm, activation, pool = network.layers[0]

    assert convolution.stride == (1, 1)
    assert isinstance(norm, torch.nn.BatchNorm2d)
    assert isinstance(activation, torch.nn.ReLU)
    assert isinstance(pool, torch.nn.MaxPool2d)


def test_activation_stands_in_squeeze_excitation_and_latent_too(networks: dict[str, Blueprint]) -> None:
    for activation in (Activation.SiLU, Activation.ReLU, Activation.ReLU6):
        modules = list(networks[f"MBC {activation.name}"].build().modules())
        others = [getattr(torch.nn, other.name) for other in Activation if other is not activation]
        assert not any(isinstance(module, tuple(others)) for module in modules)
        assert sum(type(module) is getattr(torch.nn, activation.name) for module in modules) == 1 + 5 * 3 + 1


def test_every_form_is_drawn_and_listed(network: Blueprint) -> None:
    drawn = {trace.name for trace in schematic(network).data}
    for layer in network.layers:
        assert f"{layer.kind} ({layer.block.title})" in drawn
    rows = [row.cells for row in network.table()]
    assert any(cells[4] == "2 pool" for cells in rows) == any(layer.pooled for layer in network.layers)
    assert any("ReLU" in cells[0] for cells in rows) == network.layers[0].activation.startswith("ReLU")


class LargeKernels(SearchSpace):
    """A space of 5x5 MBConv blocks alone."""

    name: ClassVar[str] = "large-kernels"
    domain: ClassVar[Mapping[str, Range]] = {"depth": Range(1, 12), "width": Range(4, 64)}
    presets: ClassVar[Mapping[str, Mapping[str, Range]]] = {"default": dict(domain)}

    def blueprint(self, vector: Mapping[str, float], **images: int) -> Blueprint:  # type: ignore[override]
        depth, width = (int(value) for value in self.check(vector).values())
        in_channels, side = images.setdefault("in_channels", 3), -(-images["resolution"] // 2)
        stem = Layer("CNA", in_channels, width, 2, 0, 0, 1.0, 1.0, 0.0, side)
        body = Layer("MBC5", width, width, 1, 2 * width, 2, 2.0, 4.0, 0.1, side)
        return Blueprint(layers=(stem, *[body] * depth), latent=width, **images)


def test_a_space_of_5x5_blocks_is_priced_scaled_and_trained() -> None:
    space = LargeKernels.from_preset()
    vector = {"depth": 3.0, "width": 8.0}
    origin = Origin(space, vector, 16, 4)
    (table,) = tabulate([make_rule("self-similar", origin)], (16, 24, 32), batch_size=4)
    blueprints = [space.blueprint(vector, resolution=side, num_classes=4) for side in (16, 24, 32)]
    expected: dict[str, list[Any]] = {
        "params": [each.num_params for each in blueprints],
        "macs": [each.macs for each in blueprints],
        "memory": [each.training_memory(4) for each in blueprints],
    }
    assert {name: costs.tolist() for name, costs in table.costs.items()} == expected
    grown = make_rule("compound", origin).blueprint(40)
    assert {layer.kind for layer in grown.layers} == {"CNA", "MBC5"}
    network = blueprints[0].build()
    depthwise = network.layers[1].branch.depthwise[0]
    assert (depthwise.kernel_size, depthwise.groups) == ((5, 5), 16)
    torch.nn.functional.cross_entropy(network(images_of(blueprints[0], 4)), torch.arange(4)).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
