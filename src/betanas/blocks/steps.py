"""The steps that blocks are made of. Their numbers may be those of one layer, of many as arrays, or names in source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)


class Widths(Protocol[V_co]):
    """What a kind makes its steps of: a `Layer`, the layers of a batch, or a layer whose numbers are names."""

    @property
    def in_channels(self) -> V_co:
        """Channels of the input."""

    @property
    def out_channels(self) -> V_co:
        """Channels of the output."""

    @property
    def hidden(self) -> V_co:
        """Channels after the expansion."""

    @property
    def squeeze(self) -> V_co:
        """Channels of the squeeze-excitation's bottleneck."""


@dataclass(frozen=True, slots=True)
class ConvNorm(Generic[V]):
    """A convolution without bias, batch norm, and the layer's activation.

    Attributes:
        name: of its module inside the block.
        takes: channels.
        gives: channels.
        kernel: side of the kernel, in pixels.
        depthwise: whether each channel is convolved by itself; `takes` and `gives` are then equal.
        contracts: whether it is the step that halves the side in a layer of stride 2.
        activated: whether the activation follows.
    """

    name: str
    takes: V
    gives: V
    kernel: int = 1
    depthwise: bool = False
    contracts: bool = False
    activated: bool = True

    @property
    def weights(self) -> Any:
        """Parameters of the convolution alone: also its multiply-accumulates for each output pixel."""
        area: Any = self.kernel**2
        return area * self.gives if self.depthwise else area * self.takes * self.gives

    @property
    def parameters(self) -> Any:
        """With the norm's scale and shift of each channel."""
        gives: Any = self.gives
        return self.weights + 2 * gives


@dataclass(frozen=True, slots=True)
class SqueezeExcitation(Generic[V]):
    """Average pool, 1x1 convolution, the layer's activation, 1x1 convolution, sigmoid, product with the input.

    Attributes:
        name: of its module inside the block.
        channels: of the feature map.
        squeeze: channels between the two convolutions, which have biases.
    """

    name: str
    channels: V
    squeeze: V

    @property
    def weights(self) -> Any:
        """Parameters of the two convolutions without their biases: also their multiply-accumulates."""
        channels: Any = self.channels
        return 2 * channels * self.squeeze

    @property
    def parameters(self) -> Any:
        """With the biases."""
        return self.weights + self.channels + self.squeeze


Step = ConvNorm[V] | SqueezeExcitation[V]
