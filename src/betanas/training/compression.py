"""How gradients are compressed on their way between the processes that train a network together."""

from __future__ import annotations

from typing import Literal, get_args

Compression = Literal["none", "fp16", "bf16", "powersgd"]
COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)
