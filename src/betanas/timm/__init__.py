"""The library's networks as timm models.

    import betanas.timm
    import timm

    network = timm.create_model("betanet3_r224", num_classes=10)

timm knows no plug-ins: importing this package is what registers them.
"""

from __future__ import annotations

from betanas.errors import MissingExtraError

try:
    import timm  # noqa: F401
except ImportError as error:
    raise MissingExtraError("timm", extra="timm", purpose="Registering the networks with timm") from error

from betanas.timm.entrypoints import model_names
from betanas.timm.network import TimmNetwork

__all__ = ["TimmNetwork", "model_names"]
