"""Quantities as people type them: `30M` parameters, `20GiB` of memory, a range `2:4`.

Training budgets (`5m`, `500steps`) are read in `betanas.training.budget`, where they are used.
"""

from __future__ import annotations

import math
import re

from betanas.errors import QuantityError

# The smallest and the largest side of a network's input, in pixels.
MIN_RESOLUTION, MAX_RESOLUTION = 8, 4096

_COUNT = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([kKMGTB]?)\s*")
_COUNT_UNITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}

_BYTES = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([kKMGT]?)(i?)B\s*")
_BYTE_POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}

_LATENCY = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(us|ms|s)\s*")
_LATENCY_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*:\s*({_NUMBER})\s*")


def parse_count(text: str | int, *, what: str = "A count") -> int:
    """Read a number of things, with decimal suffixes: `30M` is 30,000,000.

    Args:
        text: digits with an optional suffix k, M, G (or B) or T; an integer passes through.
        what: what is counted, for the error message.

    Raises:
        QuantityError: the text is not a positive count.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        value = text
    else:
        match = _COUNT.fullmatch(str(text))
        value = _whole(match[1], _COUNT_UNITS[match[2]]) if match else 0
    if value <= 0:
        raise QuantityError(
            f"{what} must be a positive number with an optional suffix k, M or G.",
            value=text,
            hint="Type, for example, 30M for thirty million.",
        )
    return value


def parse_bytes(text: str | int, *, what: str = "A memory size") -> int:
    """Read a number of bytes: `20GiB` counts in powers of 1024, `20GB` in powers of 1000.

    Raises:
        QuantityError: the text is not a positive number of bytes.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        value = text
    else:
        match = _BYTES.fullmatch(str(text))
        value = _whole(match[1], (1024 if match[3] else 1000) ** _BYTE_POWERS[match[2]]) if match else 0
    if value <= 0:
        raise QuantityError(
            f"{what} must be a positive number of bytes with a unit.",
            value=text,
            hint="Type, for example, 20GiB or 800MB.",
        )
    return value


def parse_range(text: str) -> tuple[float, float]:
    """Read `low:high`.

    Raises:
        QuantityError: the text is not two numbers with a colon between them.
    """
    match = _RANGE.fullmatch(text)
    if not match:
        raise QuantityError(
            "A range must be two numbers with a colon between them.", value=text, hint="Type, for example, 2:4."
        )
    return float(match[1]), float(match[2])


def parse_latency(text: str) -> float:
    """Read a short time in seconds: `5ms`, `800us`, `0.1s`.

    Raises:
        QuantityError: the text is not a positive time.
    """
    match = _LATENCY.fullmatch(text)
    value = float(match[1]) * _LATENCY_UNITS[match[2]] if match else 0.0
    if not 0 < value < math.inf:
        raise QuantityError(
            "A latency must be a positive number with one of the units us, ms or s.",
            value=text,
            hint="Type, for example, 5ms.",
        )
    return value


def format_count(value: float) -> str:
    """Write a count the way papers do: 8.86M, 410.2k, 12."""
    if abs(value) < 9_999.5:
        return f"{value:,.0f}"
    for size, suffix, digits in ((1e3, "k", 1), (1e6, "M", 2), (1e9, "G", 2)):
        if abs(round(value / size, digits)) < 1000:
            return f"{value / size:.{digits}f}{suffix}"
    return f"{value / 1e12:.2f}T"


def format_bytes(value: float) -> str:
    """Write a number of bytes in binary units: 1.42 GiB."""
    size = float(value)
    for unit, digits in (("B", 0), ("KiB", 1), ("MiB", 1)):
        if abs(round(size, digits)) < 1024:
            return f"{size:.{digits}f} {unit}"
        size /= 1024
    return f"{size:.2f} GiB"


def format_latency(value: float) -> str:
    """Write a short time in seconds with three digits: 812 us, 5.31 ms, 1.2 s."""
    for unit, size in _LATENCY_UNITS.items():
        if value / size < 999.5:
            return f"{value / size:.3g} {unit}"
    return format_seconds(value)


def format_seconds(value: float) -> str:
    """Write a duration for a person: 12.3 s, 4 min 05 s, 2 h 10 min."""
    if round(value, 1) < 60:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _whole(digits: str, unit: int) -> int:
    value = float(digits) * unit
    return round(value) if math.isfinite(value) else 0
