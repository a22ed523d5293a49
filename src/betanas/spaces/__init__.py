"""Search spaces: real parameters with ranges, and the networks they describe."""

from betanas.spaces.base import Range, SearchSpace
from betanas.spaces.betanet import BetaNet2, BetaNet3
from betanas.spaces.convnet import ConvNet
from betanas.spaces.published import published
from betanas.spaces.registry import available_spaces, get_space, register_space, space_with

__all__ = [
    "BetaNet2",
    "BetaNet3",
    "ConvNet",
    "Range",
    "SearchSpace",
    "available_spaces",
    "get_space",
    "published",
    "register_space",
    "space_with",
]
