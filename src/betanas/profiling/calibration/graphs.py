"""ONNX graphs of blueprints for timing: the operations that `betanas export` writes, with made-up weights.

Exporting through torch takes seconds a network, which no calibration could wait for a few hundred times. Here the graph
is written step by step, in milliseconds. Every tensor of weights is one constant that the file names and does not hold,
so that a file has some kilobytes; a runtime expands it when it loads the graph. Numbers do not change what a
convolution takes, as long as none is so small that the processor falls back to its slow arithmetic: each weight is one
over the number of inputs, so that a convolution averages them, and each bias is a half.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from betanas.blocks import Activation, ConvNorm, SqueezeExcitation
from betanas.blueprint import Blueprint, Layer

if TYPE_CHECKING:
    from onnx import ModelProto

# Those that torch.onnx.export writes.
_OPSET, _IR_VERSION = 20, 10

_BIAS = 0.5

INPUT = "images"


def timing_graph(blueprint: Blueprint, *, described: Mapping[str, Any] | None = None) -> ModelProto:
    """A network's ONNX graph, without trained weights; a batch of any size.

    Args:
        blueprint: the network.
        described: is kept in the graph as JSON, under `betanas`.
    """
    from onnx import TensorProto, helper

    graph = _Graph()
    name = graph.add("Mul", [INPUT, graph.constant((blueprint.in_channels, 1, 1), 1.0)])
    name = graph.add("Add", [graph.constant((blueprint.in_channels, 1, 1), 0.0), name])
    for layer in blueprint.layers:
        entering = name
        for step in layer.block.steps(layer, layer.squeeze > 0):
            name = _add_step(graph, step, layer, name)
        if layer.residual:
            name = graph.add("Add", [name, entering])
    last = blueprint.layers[-1]
    if blueprint.latent:
        name = graph.convolution(name, last.out_channels, blueprint.latent)
        name = graph.activation(name, last.activation)
    name = graph.mean(name)
    name = graph.add("Reshape", [name, graph.integers([-1, blueprint.num_features])])
    classifier = graph.constant((blueprint.num_classes, blueprint.num_features), 1.0 / blueprint.num_features)
    graph.add("Gemm", [name, classifier, graph.constant((blueprint.num_classes,), 0.0)], output="logits", transB=1)

    side = blueprint.resolution
    made = helper.make_graph(
        graph.nodes,
        "betanas",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", blueprint.in_channels, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", blueprint.num_classes])],
        graph.initializers,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    if described is not None:
        helper.set_model_props(model, {"betanas": json.dumps(described)})
    return model


class _Graph:
    """Nodes in the making; each method adds what it names and gives the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self._initializers: dict[str, Any] = {}

    @property
    def initializers(self) -> list[Any]:
        return list(self._initializers.values())

    def add(self, operation: str, inputs: Sequence[str], *, output: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = output or f"{operation}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name

    def constant(self, shape: tuple[int, ...], value: float) -> str:
        from onnx import TensorProto, helper

        filled = helper.make_tensor("value", TensorProto.FLOAT, [1], [value])
        return self.add("ConstantOfShape", [self.integers(shape)], value=filled)

    def integers(self, values: Sequence[int]) -> str:
        from onnx import TensorProto, helper

        name = f"integers_{'_'.join(map(str, values))}"
        made = helper.make_tensor(name, TensorProto.INT64, [len(values)], list(values))
        self._initializers.setdefault(name, made)
        return name

    def scalar(self, value: float) -> str:
        from onnx import TensorProto, helper

        name = f"scalar_{value:g}"
        self._initializers.setdefault(name, helper.make_tensor(name, TensorProto.FLOAT, [], [value]))
        return name

    def convolution(
        self, entering: str, takes: int, gives: int, *, kernel: int = 1, stride: int = 1, depthwise: bool = False
    ) -> str:
        each = 1 if depthwise else takes
        return self.add(
            "Conv",
            [
                entering,
                self.constant((gives, each, kernel, kernel), 1.0 / (each * kernel**2)),
                self.constant((gives,), _BIAS),
            ],
            group=takes if depthwise else 1,
            kernel_shape=[kernel] * 2,
            pads=[kernel // 2] * 4,
            strides=[stride] * 2,
            dilations=[1, 1],
        )

    def activation(self, entering: str, name: str) -> str:
        kind = Activation[name]
        if kind is Activation.SiLU:
            return self.add("Mul", [entering, self.add("Sigmoid", [entering])])
        if kind is Activation.ReLU6:
            return self.add("Clip", [entering, self.scalar(0.0), self.scalar(6.0)])
        return self.add("HardSwish" if kind is Activation.Hardswish else "Relu", [entering])

    def mean(self, entering: str) -> str:
        return self.add("ReduceMean", [entering, self.integers([-1, -2])], keepdims=1)


def _add_step(graph: _Graph, step: ConvNorm[int] | SqueezeExcitation[int], layer: Layer, entering: str) -> str:
    if isinstance(step, SqueezeExcitation):
        name = graph.convolution(graph.mean(entering), step.channels, step.squeeze)
        name = graph.convolution(graph.activation(name, layer.activation), step.squeeze, step.channels)
        return graph.add("Mul", [graph.add("Sigmoid", [name]), entering])
    pools = step.contracts and layer.pooled
    name = graph.convolution(
        entering,
        step.takes,
        step.gives,
        kernel=step.kernel,
        stride=layer.stride if step.contracts and not pools else 1,
        depthwise=step.depthwise,
    )
    if step.activated:
        name = graph.activation(name, layer.activation)
    if pools:
        name = graph.add("MaxPool", [name], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    return name
