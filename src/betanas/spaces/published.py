"""The vectors the report found (Tables 5 and 6, column "best").

The tables print two decimals. The resolved vectors lie inside that rounding and reproduce Tables A1 to A4 and the
report's parameter counts to the digit (`betanet.md`, section 5).
"""

from __future__ import annotations

from betanas.errors import SpaceError

_PUBLISHED: dict[str, dict[str, float]] = {
    "betanet2": {
        "k": 3.23, "K": 3.95, "Da": 0.05, "Db": 0.33, "Wa": 0.4995, "Wb": -0.0295, "G0": 2.0001, "G1": 2.48,
        "B": 0.29, "E0": 3.1156, "E1": 2.0014, "S0": 18.1378, "S1": 19.9320,
    },
    "betanet3": {
        "k": 3.59, "K": 3.09, "Da": -0.16, "Db": 0.39, "WLa": -0.33, "WLb": 0.50, "WCa": 0.1494, "WCb": 0.0797,
        "G0": 2.5774, "G1": 2.33, "B": 0.15, "E0": 4.6062, "E1": 4.5368, "S0": 21.9231, "S1": 19.9387,
    },
}  # fmt: skip


def published(space: str) -> dict[str, float]:
    """The report's best vector of a space, resolved to four decimals.

    Raises:
        SpaceError: the report has no result for that space.
    """
    if space not in _PUBLISHED:
        raise SpaceError(
            f"The report published vectors for {', '.join(_PUBLISHED)}.",
            value=space,
            hint="Name a study of the space instead: its best network is taken.",
        )
    return dict(_PUBLISHED[space])
