"""Preprocessing put around an ONNX graph that is there already, as one in 8 bits is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from betanas.export.classifier import BytesClassifier, resize_weights
from betanas.export.formats import INPUT
from betanas.export.sidecar import Sidecar

# No name of the network's own begins so.
_OURS = "preprocessing/"


def add_preprocessing(graph: Path, to: Path, sidecar: Sidecar) -> None:
    """Write a graph that takes bytes and gives probabilities, as `BytesClassifier` does.

    Args:
        graph: takes float images from 0 to 1 and gives logits.
        to: the file to write.
        sidecar: of the network.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(graph))
    (entry,), (logits,) = model.graph.input, model.graph.output
    nodes = [
        helper.make_node("Transpose", [INPUT], [_OURS + "planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", [_OURS + "planes"], [_OURS + "pixels"], to=TensorProto.FLOAT),
    ]
    constants = {_OURS + "largest": np.array(255, dtype=np.float32)}
    last = _OURS + "pixels"
    weights = resize_weights(sidecar)
    if weights is not None:
        constants |= {_OURS + "rows": weights.numpy(), _OURS + "columns": np.ascontiguousarray(weights.T.numpy())}
        nodes += [
            helper.make_node("MatMul", [_OURS + "rows", last], [_OURS + "shorter"]),
            helper.make_node("MatMul", [_OURS + "shorter", _OURS + "columns"], [_OURS + "resized"]),
        ]
        last = _OURS + "resized"
    nodes.append(helper.make_node("Div", [last, _OURS + "largest"], [_OURS + "prepared"]))
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == entry.name:
                node.input[place] = _OURS + "prepared"
    softmax = helper.make_node("Softmax", [logits.name], [BytesClassifier.output], axis=1)
    within = [*nodes, *model.graph.node, softmax]
    del model.graph.node[:]
    model.graph.node.extend(within)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    side = sidecar.side_to_decode
    shape: list[str | int | None] = ["batch", side, side, sidecar.in_channels]
    entry.CopyFrom(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, shape))
    shape = ["batch", sidecar.num_classes]
    logits.CopyFrom(helper.make_tensor_value_info(BytesClassifier.output, TensorProto.FLOAT, shape))
    onnx.checker.check_model(model)
    onnx.save(model, str(to))
