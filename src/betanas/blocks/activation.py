"""Activations that a layer may have."""

from __future__ import annotations

from enum import IntEnum


class Activation(IntEnum):
    """Named as torch names them; the numbers stand in arrays and in blueprint keys, and never change."""

    SiLU = 0
    ReLU = 1
    ReLU6 = 2
    Hardswish = 3

    @property
    def keeps_result(self) -> bool:
        """Whether autograd saves the output for the backward pass, and not the input.

        The next operation saves the same output as its input, so that ReLU's feature map is held once and not twice.
        """
        return self is Activation.ReLU
