"""Computes a Core ML package's program with PyTorch, as its file describes it: only macOS has Core ML itself.

What is read is what was written: operations, their order, their constants and their weights all come from the package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def read_program(package: Path) -> Callable[[Tensor], Tensor]:
    """A package's program: from one batch of its input's shape to logits or probabilities by class.

    Called, it raises KeyError where the program has an operation that is not known here.
    """
    import coremltools
    from coremltools.converters.mil.frontend.milproto.load import load

    model = coremltools.models.MLModel(str(package), skip_model_load=True)
    specification = model.get_spec()
    program = load(specification, specification.specificationVersion, model.weights_dir)
    function = program.functions["main"]
    (entry,) = function.inputs

    def compute(images: Tensor) -> Tensor:
        values = {entry: images}
        for operation in function.operations:
            if operation.op_type != "const":
                found = OPERATIONS[operation.op_type](Arguments(operation.inputs, values))
                values[operation.outputs[-1].name] = found
        return values[function.outputs[-1].name]

    return compute


class Arguments:
    """An operation's arguments by name: tensors, numbers or lists of them, None where one is not given."""

    def __init__(self, inputs: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        self._inputs, self._values = inputs, values

    def __getitem__(self, name: str) -> Any:
        given = self._inputs.get(name)
        if given is None:
            return None
        if given.name in self._values:
            return self._values[given.name]
        value = given.val
        return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) and value.ndim else value

    def ints(self, name: str) -> list[int]:
        """An argument that is a list of whole numbers."""
        return [int(each) for each in self[name]]


def padding(given: Arguments) -> list[int]:
    """Pixels on the left, right, top and bottom."""
    if given["pad_type"] == "valid":
        return [0, 0, 0, 0]
    if given["pad_type"] != "custom":
        raise KeyError(f"pad_type {given['pad_type']}")
    top, bottom, left, right = given.ints("pad")
    return [left, right, top, bottom]


def conv(given: Arguments) -> Tensor:
    images, weight, bias = functional.pad(given["x"], padding(given)), given["weight"], given["bias"]
    strides, dilations, groups = given.ints("strides"), given.ints("dilations"), int(given["groups"])
    return functional.conv2d(images, weight, bias, stride=strides, dilation=dilations, groups=groups)


def max_pool(given: Arguments) -> Tensor:
    assert not any(padding(given))
    kernel, strides, upwards = given.ints("kernel_sizes"), given.ints("strides"), bool(given["ceil_mode"])
    return functional.max_pool2d(given["x"], kernel, strides, ceil_mode=upwards)


def batch_norm(given: Arguments) -> Tensor:
    statistics = given["mean"], given["variance"], given["gamma"], given["beta"]
    return functional.batch_norm(given["x"], *statistics, eps=float(given["epsilon"]))


def clip(given: Arguments) -> Tensor:
    return given["x"].clamp(float(given["alpha"]), float(given["beta"]))


def matmul(given: Arguments) -> Tensor:
    one, other = given["x"], given["y"]
    one = one.mT if given["transpose_x"] else one
    return one @ (other.mT if given["transpose_y"] else other)


def reduce_mean(given: Arguments) -> Tensor:
    return given["x"].mean(given.ints("axes"), keepdim=bool(given["keep_dims"]))


OPERATIONS: Mapping[str, Callable[[Arguments], Tensor]] = {
    "add": lambda given: given["x"] + given["y"],
    "batch_norm": batch_norm,
    "classify": lambda given: given["probabilities"],
    "clip": clip,
    "conv": conv,
    "linear": lambda given: functional.linear(given["x"], given["weight"], given["bias"]),
    "matmul": matmul,
    "max_pool": max_pool,
    "mul": lambda given: given["x"] * given["y"],
    "reduce_mean": reduce_mean,
    "reshape": lambda given: given["x"].reshape(given.ints("shape")),
    "sigmoid": lambda given: given["x"].sigmoid(),
    "sigmoid_hard": lambda given: (float(given["alpha"]) * given["x"] + float(given["beta"])).clamp(0, 1),
    "silu": lambda given: functional.silu(given["x"]),
    "softmax": lambda given: given["x"].softmax(int(given["axis"])),
    "thresholded_relu": lambda given: given["x"] * (given["x"] >= float(given["alpha"])),
}
