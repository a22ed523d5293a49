"""The table of `deploy_page.json`, as docs/deploy.md has it between its two marks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def table_of(record: Mapping[str, Any]) -> str:
    """A record as a Markdown table, a line a step, with its conditions below."""
    conditions, figures = record["conditions"], record["figures"]
    found = figures["found"]
    lines = [
        "| step | what came out |",
        "|---|---|",
        f"| photographs | {conditions['photos_a_class']} of each of {conditions['classes']} classes of "
        f"{conditions['data']}, at {conditions['side']} pixels |",
        f"| `find` | {found['validation_accuracy']:.1%} on {found['validation_images']:,} validation images, "
        f"{found['params']:,} parameters, {found['macs'] / 1e6:.1f} M multiply-accumulates at {found['resolution']} "
        f"pixels, after {found['trials']} trials in {conditions['time']} |",
        f"| a limit of {conditions['limit']} | {_latency(found)} |",
    ]
    for folder, made in figures["exports"].items():
        lines += [f"| `{folder}/{name}` | {_file(name, size, made)} |" for name, size in made["bytes"].items()]
    same = "the same as" if figures["predict"]["class"] == figures["program"]["class"] else "another than"
    lines.append(
        f"| `picture.jpg` | the program's first choice is {same} `betanas predict`'s: {figures['program']['class']} at "
        f"{figures['program']['probability']:.3f} and {figures['predict']['probability']:.3f} |"
    )
    notes = [f"Beside it the machine did: {conditions['beside_it_the_machine_did']}."]
    if refused := figures.get("refused"):
        notes.append(f"`int8` was refused at first and typed again with `--max-loss 2`: {refused}")
    notes += [f"Not written, `{name}`: {reason}" for name, reason in figures["left_out"].items()]
    return "\n".join([*lines, "", *notes])


def _latency(found: Mapping[str, Any]) -> str:
    predicted = f"{1000 * found['latency']:.3f} ms predicted"
    measured = found["latency_measured"]
    if measured is None:
        return f"{predicted}, not measured"
    return f"{predicted}, {1000 * measured:.3f} ms measured: {measured / found['latency']:.2f} of it"


def _file(name: str, size: int, made: Mapping[str, Any]) -> str:
    """A file's size, and how it was checked."""
    said = f"{size / 1000:,.0f} kB"
    lost = made["quantisation"]
    if "int8" in name and lost is not None:
        judged = lost["final"] or lost["validation"]
        points = 100 * (judged["top1_float"] - judged["top1"])
        kept = f"{len(lost['kept'])} of {lost['layers']} layers stay in float32"
        return f"{said}; {points:.2f} points lost on {judged['images']:,} images; {kept}"
    for checked in made["verification"].values():
        if checked["agreement"] is not None:
            images = checked["validation_images"]
            return f"{said}; the same first choice for {checked['agreement']:.2%} of {images:,} validation images"
    return f"{said}; written, and not run here" if made["unchecked"] else said
