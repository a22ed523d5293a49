"""`betanas find` against standard networks that train for the same seconds, on several sets of images.

    python benchmarks/proof.py [--cifar100 FOLDER] [--photos FOLDER] [--sets digits,cifar100] [--times 1m,5m,20m]
        [--seeds 0,1,2] [--rivals plain4,resnet20] [--place runs/proof] [--quick] [--plan] [--record]

digits and fashion-mnist are there always; CIFAR-100 and the photographs are folders of class folders with a test part.
For each set and time `betanas find` runs once for each seed, as a whole process with all cores that this one may use:
looking, searching, confirming, training, judging and exporting are all within its time. Each rival is trained by
`betanas compare` with the same resolution and the same seeds, one at a time, with the same cores, from random weights
by the same recipe; the fine-tuned network begins with ImageNet's weights, looks at 96 pixels or more, and has the
recipe `finetune`. Their time is training seconds alone, so that what surrounds a training is on the side of the rivals.
Everybody's test part is judged once. Latency is that of one image by PyTorch with one thread.

The processes are whole commands, one after another; killed and started again with the same place, it goes on. A part
is done by naming it (`--sets digits --times 1m --seeds 0`), and two parts at the same time are on a core each by
`taskset -c 0` and `taskset -c 1`; a later call with more repeats nothing. Before each set and time it says how many
minutes what is left will take; `--plan` says that and ends. `--record` writes results/proof.json, and the page and the
figure of docs/results/standard. `--quick` tries all of it with digits, one seed and three rivals, and writes its page
into the place instead.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _finding import found
from _record import RESULTS, spread, write_record
from betanas.intervals import mean_interval
from betanas.pretrained.timm_networks import is_timm
from betanas.profiling.answers import measured_latencies
from betanas.search.propose.listed import Entrant
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
    "timm:resnet10t",
    "timm:lcnet_050",
    "betanet2",
    "betanet3",
)

# With ImageNet's weights, from a package.
FINETUNED = "timm:tf_efficientnet_lite0"

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


def latency(model: Path, data: ImageData) -> float:
    """Seconds of an answer of a model's folder."""
    file = model / "latency.json"
    if not file.exists():
        document = json.loads((model / "network.json").read_text())
        found = Entrant(FIND, document["architecture"], 0, 0, "searched")
        (seconds,) = measured_latencies([found], resolution=data.resolution).values()
        file.write_text(json.dumps(seconds))
    known: float = json.loads(file.read_text())
    return known


def compared(data: ImageData, time: str, seeds: int, rivals: Sequence[str], place: Path) -> dict[str, dict[str, Any]]:
    """What the rivals reached, by name."""
    rows = {}
    drawn = [name for name in rivals if name != FINETUNED]
    scratch = ["--from-scratch"] if any(map(is_timm, drawn)) else []
    for names, options in ((drawn, scratch), ([FINETUNED] if FINETUNED in rivals else [], [])):
        if not names:
            continue
        document = betanas(
            "compare", *names, "--folder", str(rivals_place(data, time, names, place)), "--data", data.source,
            "--resolution", str(data.resolution), "--budget", time, "--seeds", str(seeds), "--workers", "1", *options,
        )  # fmt: skip
        for row in document["table"]:
            rows[row["name"]] = {
                "accuracy": row["top1"],
                "judged_on": row["judged_on"],
                "params": row["params"],
                "latency": row["latency"],
                "failed": row["failed"],
            }
    return rows


def rivals_place(data: ImageData, time: str, names: Sequence[str], place: Path) -> Path:
    """The folder of a comparison: fine-tuned networks have one of their own."""
    return place / f"{data.name}-{time}-{'finetuned' if FINETUNED in names else 'rivals'}"


def finds(data: ImageData, time: str, seeds: Sequence[int], place: Path) -> dict[str, Any]:
    """What `find` reached, over its seeds."""
    runs = []
    for seed in seeds:
        own = place / f"{data.name}-{time}-find-{seed}"
        run = found(data.source, time, seed, own, options=("--resolution", str(data.resolution)))
        if "failed" not in run:
            run["latency"] = latency(own / "model", data)
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
            trained = sum(_trained(rivals_place(each, time, [rival], place), rival, len(seeds)) for rival in rivals)
            left += length * (len(seeds) - finds_done + len(seeds) * len(rivals) - trained)
    return left


def _trained(folder: Path, rival: str, seeds: int) -> int:
    """How many of a rival's trainings are done."""
    if not (folder / "study.sqlite").exists():
        return 0
    name = "tf_efficientnet_lite0 (pretrained)" if rival == FINETUNED else rival
    with Study.open(folder) as study:
        return sum(each.name == name and each.ended is not None and each.seed < seeds for each in study.trials())


def table(figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Test accuracy of every network, one column for each set and time; the best of a column stands in bold."""
    columns = {
        where: {name: row for name, row in rows.items() if row.get("accuracy")} for where, rows in figures.items()
    }
    names = [FIND, *dict.fromkeys(name for rows in columns.values() for name in rows if name != FIND)]
    lines = [
        f"| network | {' | '.join(columns)} | parameters | one image |",
        "| --- |" + " ---: |" * (len(columns) + 2),
    ]
    for name in names:
        cells = [_accuracy(name, rows) for rows in columns.values()]
        own = [rows[name] for rows in columns.values() if name in rows]
        params = _range([row["params"] / 1e6 for row in own], "{:.2f}M")
        answers = _range([1000 * row["latency"] for row in own if row["latency"]], "{:.1f} ms")
        lines.append(f"| {name} | {' | '.join(cells)} | {params} | {answers} |")
    return "\n".join([*lines, ""])


def _accuracy(name: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    if name not in rows:
        return "-"
    best = max(rows, key=lambda each: rows[each]["accuracy"]["mean"])
    top1, margin = rows[name]["accuracy"]["mean"], rows[name]["accuracy"]["margin"]
    shown = f"{100 * top1:.1f}%" + (f" ± {100 * margin:.1f}" if margin is not None else "")
    return f"**{shown}**" if name == best else shown


def _range(values: Sequence[float], form: str) -> str:
    """The least and the greatest, as one where they look alike."""
    shown = list(dict.fromkeys(form.format(each) for each in (min(values), max(values)))) if values else ["-"]
    return " to ".join(shown)


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


def write_page(record: Mapping[str, Any], figures: Mapping[str, Mapping[str, Mapping[str, Any]]], page: Path) -> None:
    """The page of the results, with its figure."""
    page.mkdir(parents=True, exist_ok=True)
    draw(figures, page / "figure.svg")
    machine, conditions = record["hardware"], record["conditions"]
    text = f"""# Found networks beside standard ones

`betanas find` with everything in its time, against networks that train for the same number of seconds on the same
images: from random weights with the same recipe and resolution, or, where it says `pretrained`, fine-tuned from
ImageNet's weights at 96 pixels. Test top-1, mean over {len(conditions["seeds"])} seeds and 95% interval; each test part
was judged once. The rivals' time is training seconds alone: what surrounds a training is to their advantage. One image
is answered by PyTorch with one thread.

{table(figures)}
![Scatter plots of accuracy over latency and size.](figure.svg)

Made by `benchmarks/proof.py` at commit {record["commit"]}, with {conditions["cores"]} of the cores of
{machine.get("processor", "a processor")}; the record is `benchmarks/results/proof.json`.
"""
    (page / "README.md").write_text(text, encoding="utf-8")


def main() -> None:
    """Run everything, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar100", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--sets", default="digits,fashion-mnist,cifar100,photos")
    parser.add_argument("--times", default="1m,5m,20m")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rivals", default=",".join((*RIVALS, FINETUNED)))
    parser.add_argument("--place", type=Path, default=Path("runs/proof"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--record", action="store_true", help="write the record and its page at the end")
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
        data, times, seeds, rivals = known[:1], ["1m"], [0], [RIVALS[0], "timm:lcnet_050", FINETUNED]
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
            print(table(figures), flush=True)
    conditions = {
        "data": [each.name for each in data],
        "times": times,
        "seeds": seeds,
        "rivals": rivals,
        "cores": len(os.sched_getaffinity(0)),
    }
    if given.quick or given.record:
        folder, page = (given.place, given.place / "page") if given.quick else (RESULTS, PAGE)
        path = write_record("proof", conditions=conditions, figures=figures, folder=folder, shown=False)
        write_page(json.loads(path.read_text()), figures, page)
        print(page / "README.md")


if __name__ == "__main__":
    main()
