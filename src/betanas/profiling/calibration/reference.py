"""The network that says how fast a machine is: timed beside all others of a calibration, and again later."""

from __future__ import annotations

from betanas.blueprint import Blueprint, Layer


def reference_network() -> Blueprint:
    """A small network of the kinds of operations that networks spend their time in.

    Convolutions of 3x3 and 1x1, depthwise ones and activations, on maps from 48 to 6 pixels: about a millisecond on
    one core of a computer.
    """
    layers = (
        _layer("CNA", 3, 24, 48, stride=2),
        _layer("FMBC", 24, 40, 24, stride=2, hidden=72),
        _layer("MBC", 40, 40, 24, hidden=160),
        _layer("MBC", 40, 96, 12, stride=2, hidden=160),
        _layer("MBC", 96, 96, 12, hidden=384),
        _layer("MBC", 96, 160, 6, stride=2, hidden=384),
    )
    return Blueprint(96, 3, 10, layers, latent=320)


def _layer(kind: str, takes: int, gives: int, side: int, *, stride: int = 1, hidden: int = 0) -> Layer:
    return Layer(
        kind,
        takes,
        gives,
        stride=stride,
        hidden=hidden,
        squeeze=0,
        expansion=1.0,
        se_ratio=1.0,
        drop_path=0.0,
        resolution=side,
    )
