"""`betanas find` against standard networks that train for the same seconds, on several sets of images.

    python benchmarks/proof.py [--cifar100 FOLDER] [--photos FOLDER] [--sets digits,cifar100] [--times 1m,5m,20m]
        [--seeds 0,1,2] [--rivals plain4,resnet20] [--place runs/proof] [--quick] [--plan]

digits and fashion-mnist are there always; CIFAR-100 and the photographs are folders of class folders with a test part.
For each set and time `betanas find` runs once for each seed, as a whole process with the whole machine: looking,
searching, confirming, training, judging and exporting are all within its time. Each rival is trained by `betanas
compare` with the same recipe and resolution and the same seeds, one at a time, also with the whole machine; its time is
training seconds alone, so that what surrounds a training is on the side of the rivals. Everybody's test part is judged
once. Latency is that of one image by onnxruntime with one thread.

The processes are whole commands, one after another; killed and started again with the same place, it goes on. A part
is done by naming it (`--sets digits --times 1m --seeds 0`); a later call with more repeats nothing. Before each set and
time it says how many minutes what is left will take; `--plan` says that and ends. It writes results/proof.json, and the
page and the figure of docs/results/standard. `--quick` tries it with digits, one seed and two rivals, and writes no
record.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _finding import found
from _record import spread, write_record
from betanas.intervals import mean_interval
from betanas.search.study import Study
from betanas.training.budget import Budget

PAGE = Path(__file__).parents[1] / "docs" / "results" / "standard"

# Plain networks, the standard ones adapted to small images, one as it is, and the report's own.
RIVALS = (
    "plain4",
    "plain6",
    "resnet20",
    "resnet18_32px",
    "mobilenet_v2_32px",
    "efficientnet_b0_32px",
    "efficientnet_v2_s",
    "betanet2",
    "betanet3",
)

FIND = "find"


@dataclass(frozen=True)
class ImageData:
    """A set of images, at the resolution that all networks see."""

    name: str
    source: str
    resolution: int


def betanas(*arguments: str) -> dict[str, Any]:
    """The JSON document of a command.

    Raises:
        SystemExit: it failed; its last words are the message.
    """
    answer = subprocess.run(
        [sys.executable, "-m", "betanas", *arguments, "--json"], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise SystemExit(f"betanas {' '.join(arguments)}: {answer.stderr.strip()}")
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def latency(network: str, data: ImageData, place: Path) -> float | None:
    """Seconds of an answer for one image; None where it could not be measured."""
    file = place / "latencies.json"
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    key = f"{network}, {data.name}"
    if key not in known:
        asked = [network, "--runtime", "onnxruntime", "--threads", "1", "--no-training", "--no-energy"]
        if not Path(network).exists():
            classes, channels = shape(data)
            asked += ["--resolution", str(data.resolution), "--classes", str(classes), "--channels", str(channels)]
        rows = betanas("profile", *asked)["rows"]
        timing = rows[0]["timing"]
        known[key] = timing["median"] if timing else None
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(known))
    seconds: float | None = known[key]
    return seconds


def shape(data: ImageData) -> tuple[int, int]:
    """How many classes and channels the images have."""
    from betanas.data import open_source

    source = open_source(data.source)
    return len(source.classes), source.in_channels


def compared(data: ImageData, time: str, seeds: int, rivals: Sequence[str], place: Path) -> dict[str, dict[str, Any]]:
    """What the rivals reached, by name."""
    folder = place / f"{data.name}-{time}-rivals"
    document = betanas(
        "compare", *rivals, "--folder", str(folder), "--data", data.source, "--resolution", str(data.resolution),
        "--budget", time, "--seeds", str(seeds), "--workers", "1",
    )  # fmt: skip
    rows = {}
    for row in document["table"]:
        rows[row["name"]] = {
            "accuracy": row["top1"],
            "judged_on": row["judged_on"],
            "params": row["params"],
            "latency": latency(row["name"], data, place),
            "failed": row["failed"],
        }
    return rows


def finds(data: ImageData, time: str, seeds: Sequence[int], place: Path) -> dict[str, Any]:
    """What `find` reached, over its seeds."""
    runs = []
    for seed in seeds:
        own = place / f"{data.name}-{time}-find-{seed}"
        run = found(data.source, time, seed, own, options=("--resolution", str(data.resolution)))
        if "failed" not in run:
            run["latency"] = latency(str(own / "model"), data, place)
        print(data.name, time, seed, run, flush=True)
        runs.append(run)
    ended = [run for run in runs if "failed" not in run]
    if not ended:
        return {"failed": [run["failed"] for run in runs]}
    interval = mean_interval([run["accuracy"] for run in ended])
    return {
        "accuracy": {"mean": interval.mean, "margin": interval.margin, "n": interval.n},
        "judged_on": ended[0]["judged_on"],
        "params": statistics.median(run["params"] for run in ended),
        "latency": statistics.median(run["latency"] for run in ended),
        "failed": len(runs) - len(ended),
        "of_time": spread([run["of_time"] for run in ended]),
        "runs": runs,
    }


# What surrounds a training or a `find`, in seconds: a process starts, a network is timed.
_AROUND = 20.0


def seconds_left(
    data: Sequence[ImageData], times: Sequence[str], seeds: Sequence[int], rivals: Sequence[str], place: Path
) -> float:
    """About how long what has not been run yet will take."""
    left = 0.0
    for each in data:
        for time in times:
            length = Budget.parse(time).amount + _AROUND
            finds_done = sum((place / f"{each.name}-{time}-find-{seed}" / "timed.json").exists() for seed in seeds)
            trained = _trained(place / f"{each.name}-{time}-rivals", rivals, len(seeds))
            left += length * (len(seeds) - finds_done + len(seeds) * len(rivals) - trained)
    return left


def _trained(folder: Path, rivals: Sequence[str], seeds: int) -> int:
    """How many of the rivals' trainings are done."""
    if not (folder / "study.sqlite").exists():
        return 0
    with Study.open(folder) as study:
        ended = {(each.name, each.seed) for each in study.trials() if each.ended is not None}
    return sum((rival, seed) in ended for rival in rivals for seed in range(seeds))


def table(name: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """One set and time as a table, the most accurate network first."""
    lines = [f"### {name}", "", "| network | test top-1, % | seeds | parameters | one image |"]
    lines += ["| --- | ---: | ---: | ---: | ---: |"]
    ended = {each: row for each, row in rows.items() if row.get("accuracy")}
    for each, row in sorted(ended.items(), key=lambda one: -one[1]["accuracy"]["mean"]):
        top1, margin = row["accuracy"]["mean"], row["accuracy"]["margin"]
        shown = f"{100 * top1:.2f}" + (f" ± {100 * margin:.2f}" if margin is not None else "")
        answer = f"{1000 * row['latency']:.2f} ms" if row["latency"] else "-"
        label = f"**{each}**" if each == FIND else each
        lines.append(f"| {label} | {shown} | {row['accuracy']['n']} | {row['params']:,.0f} | {answer} |")
    return "\n".join([*lines, ""])


def draw(figures: Mapping[str, Mapping[str, Mapping[str, Any]]], path: Path) -> None:
    """Accuracy over latency and over size: a row of two panels for each set and time."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    from betanas.analysis.figures.palette import series_style
    from betanas.analysis.figures.style import finish
    from betanas.analysis.formats import figure_image

    names = list(dict.fromkeys(each for rows in figures.values() for each in rows))
    figure = make_subplots(
        rows=len(figures),
        cols=2,
        subplot_titles=[f"{name}: over {what}" for name in figures for what in ("latency", "size")],
        vertical_spacing=0.3 / max(len(figures), 1),
    )
    for line, rows in enumerate(figures.values(), start=1):
        for place, network in enumerate(names):
            row = rows.get(network, {})
            if not row.get("accuracy"):
                continue
            style = series_style(place)
            top1, margin = 100 * row["accuracy"]["mean"], 100 * (row["accuracy"]["margin"] or 0.0)
            sides = ((1, 1000 * row["latency"] if row["latency"] else None), (2, row["params"] / 1e6))
            for column, cost in sides:
                figure.add_trace(
                    go.Scatter(
                        x=[cost],
                        y=[top1],
                        error_y={"type": "data", "array": [margin], "thickness": 1},
                        mode="markers",
                        name=network,
                        legendgroup=network,
                        showlegend=line == 1 and column == 1,
                        marker={"color": style.colour, "size": 12 if network == FIND else 8,
                                "symbol": "star" if network == FIND else "circle"},
                    ),
                    row=line,
                    col=column,
                )  # fmt: skip
        figure.update_xaxes(type="log", title_text="Milliseconds an image", row=line, col=1)
        figure.update_xaxes(type="log", title_text="Million parameters", row=line, col=2)
        figure.update_yaxes(title_text="Test top-1, %", row=line, col=1)
    finish(
        figure,
        title="Found networks beside standard ones",
        caption="Test accuracy after equal seconds over what a network costs; bars are 95% intervals over seeds.",
        alt=f"Scatter plots of {len(names)} networks on {len(figures)} sets of images and times.",
        height=120 + 320 * len(figures),
        min_width=640,
    )
    path.write_bytes(figure_image(figure, "svg"))


def write_page(record: Mapping[str, Any], figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """The page of the results, with its figure."""
    PAGE.mkdir(parents=True, exist_ok=True)
    draw(figures, PAGE / "figure.svg")
    machine = record["hardware"]
    text = f"""# Found networks beside standard ones

`betanas find` with everything in its time, against networks that train for the same number of seconds with the same
recipe, on the same images at the same resolution. Each test part was judged once. The rivals' time is training seconds
alone: what surrounds a training is to their advantage. Latency is one image by onnxruntime with one thread.

![Scatter plots of accuracy over latency and size.](figure.svg)

{"".join(table(name, rows) + chr(10) for name, rows in figures.items())}
Means over seeds with 95% intervals where there are three or more. Made by `benchmarks/proof.py` at commit
{record["commit"]}, on {machine.get("processor", "a processor")} with {machine.get("cores", "?")} cores; the record is
`benchmarks/results/proof.json`.
"""
    (PAGE / "README.md").write_text(text, encoding="utf-8")


def main() -> None:
    """Run everything, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar100", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--sets", default="digits,fashion-mnist,cifar100,photos")
    parser.add_argument("--times", default="1m,5m,20m")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rivals", default=",".join(RIVALS))
    parser.add_argument("--place", type=Path, default=Path("runs/proof"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--plan", action="store_true", help="say how long what is left will take, and end")
    given = parser.parse_args()
    known = [ImageData("digits", "digits", 16), ImageData("fashion-mnist", "fashion-mnist", 28)]
    known += [ImageData("cifar100", str(given.cifar100), 32)] if given.cifar100 else []
    known += [ImageData("photos", str(given.photos), 64)] if given.photos else []
    data = [each for each in known if each.name in given.sets.split(",")]
    times, rivals = given.times.split(","), given.rivals.split(",")
    seeds = [int(seed) for seed in given.seeds.split(",")]
    if seeds != list(range(len(seeds))):
        parser.error("--seeds counts from 0, since `betanas compare` does: 0, or 0,1, or 0,1,2")
    if given.quick:
        data, times, seeds, rivals = known[:1], ["1m"], [0], list(RIVALS[:2])
    if given.plan:
        print(f"{seconds_left(data, times, seeds, rivals, given.place) / 60:.0f} minutes are left")
        return
    figures: dict[str, dict[str, Any]] = {}
    for each in data:
        for time in times:
            minutes = seconds_left(data, times, seeds, rivals, given.place) / 60
            print(f"{each.name}, {time}: {minutes:.0f} minutes are left in all", flush=True)
            rows = compared(each, time, len(seeds), rivals, given.place)
            figures[f"{each.name}, {time}"] = {FIND: finds(each, time, seeds, given.place), **rows}
            print(table(f"{each.name}, {time}", figures[f"{each.name}, {time}"]), flush=True)
    if not given.quick:
        conditions = {"data": [each.name for each in data], "times": times, "seeds": seeds, "rivals": rivals}
        path = write_record("proof", conditions=conditions, figures=figures)
        write_page(json.loads(path.read_text()), figures)


if __name__ == "__main__":
    main()
