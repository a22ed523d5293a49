"""The table of `export_targets.json`, as docs/deploy.md has it between its two marks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def table_of(record: Mapping[str, Any]) -> str:
    """A record as a Markdown table; what was left out stands below it."""
    figures = record["figures"]
    lines = ["| format | same first choice | largest difference | size | time |", "|---|---|---|---|---|"]
    for name, size in figures["bytes"].items():
        judged, taken = figures["formats"].get(name), figures["milliseconds_an_image"].get(name)
        cells = [
            name,
            "-" if judged is None else f"{judged['agreement']:.2%} of {judged['validation_images']:,}",
            "-" if judged is None else f"{judged['largest_probability_difference']:.1e}",
            f"{size / 1000:,.0f} kB",
            "-" if taken is None else f"{taken['ratio_to_onnx']:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    left_out = [f"{name}: {reason}" for name, reason in figures["left_out"].items()]
    return "\n".join([*lines, *(["", "Not run: " + "; ".join(left_out) + "."] if left_out else [])])
