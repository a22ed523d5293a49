"""The real comparison: `gpei` against `random` and the report's own procedure, on CIFAR-100 at R=32.

    taskset -c 0 python benchmarks/search_real.py --data FOLDER --only gpei/0 [--runs runs/real] [--budget 20s]
                                                  [--trials 60]
    python benchmarks/search_real.py --gather [--runs runs/real]

FOLDER holds train/<class>/*.png; trials are judged on the search's validation split, which depends on the seed alone,
so that searches with one seed compare. Each of the six searches (three strategies, seeds 0 and 1) is a command of its
own, has one core, and goes on where it stood when it is started again, after `kill -9` too. Preset and limits are those
of the replay; `report` suggests candidates that break them, which count as its zeros and not as trials.

--gather writes docs/results/real: results.json (the trials of every search, in order), figure.svg (the best accuracy so
far after each completed trial) and the page README.md, from whatever is complete. --quick runs a few trials on digits.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from _replay import BATCH_SIZE, LIMITS, RESOLUTION, SPACE
from _searches import GRACE, exists, keep_to_cores, search_to
from betanas.search.records import TrialRecord
from betanas.search.settings import SearchSettings
from betanas.search.study import Study

STRATEGIES, SEEDS = ("gpei", "random", "report"), (0, 1)
PRESET = "default"
RESULTS = Path(__file__).parents[1] / "docs" / "results" / "real"
CHECKPOINTS = (20, 40, 60)


def main() -> None:
    """Run one search, or gather all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="CIFAR-100 as an image folder")
    parser.add_argument("--only", help="a strategy and a seed: gpei/0")
    parser.add_argument("--runs", type=Path, default=Path("runs/real"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--budget", default="20s")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--gather", action="store_true")
    parser.add_argument("--note", default="", help="what a reader of the page must know of these searches")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    if given.only:
        strategy, _, seed = given.only.partition("/")
        if strategy not in STRATEGIES or not seed.isdigit():
            parser.error(f"--only takes one of {', '.join(STRATEGIES)} and a seed, with a slash between them")
        if not given.data and not given.quick:
            parser.error("--data FOLDER is needed")
        run(given, strategy, int(seed))
    if given.gather:
        gather(given.runs, given.results, given.note)
    if not given.only and not given.gather:
        parser.error("--only STRATEGY/SEED or --gather is needed")


def run(given: argparse.Namespace, strategy: str, seed: int) -> None:
    """Start a search, or go on with it."""
    keep_to_cores(1)
    settings = SearchSettings(
        data="digits" if given.quick else given.data,
        study=str(place_of(given.runs, strategy, seed)),
        space=SPACE,
        preset=PRESET,
        resolution=16 if given.quick else RESOLUTION,
        budget="1s" if given.quick else given.budget,
        trials=given.trials,
        strategy=strategy,
        seed=seed,
        batch_size=BATCH_SIZE,
        max_params=LIMITS.params,
        max_macs=LIMITS.macs,
        max_memory=2**31,  # stated, so that it does not depend on the machine; the other limits keep below it
        lookahead=LIMITS.lookahead,
        devices=("cpu",),
        workers=1,
        grace=GRACE,
    )
    search_to(settings, given.trials)


def gather(runs: Path, results: Path, note: str) -> None:
    """Write the histories and their picture."""
    histories: dict[str, dict[str, Any]] = {}
    for strategy in STRATEGIES:
        for seed in SEEDS:
            place = place_of(runs, strategy, seed)
            if exists(place):
                with Study.open(place) as study:
                    histories[f"{strategy}/{seed}"] = history(study)
    if not histories:
        raise SystemExit(f"There is no study in {runs}.")
    results.mkdir(parents=True, exist_ok=True)
    document = {"checkpoints": list(CHECKPOINTS), "searches": histories}
    (results / "results.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    draw(histories, results / "figure.svg")
    (results / "README.md").write_text(page(histories, note), encoding="utf-8")
    for name, found in histories.items():
        print(f"{name}: {found['completed']} completed, best so far {found['best after']}")


def place_of(runs: Path, strategy: str, seed: int) -> Path:
    """A search's study."""
    return runs / f"{strategy}-{seed}"


def history(study: Study) -> dict[str, Any]:
    """A search's trials in order, and what it had found after each completed one."""
    trials = study.trials()
    running = best_so_far(trials)
    return {
        "space": study.plan.search.space,
        "preset": study.plan.search.preset,
        "resolution": study.plan.resolution,
        "budget": str(study.plan.training.budget),
        "versions": dict(study.sessions()[-1].versions),
        "hardware": dict(study.sessions()[-1].hardware),
        "completed": len(running),
        "infeasible": sum(trial.state == "infeasible" for trial in trials),
        "failed": sum(trial.state == "failed" for trial in trials),
        "best after": {str(count): running[count - 1] for count in CHECKPOINTS if len(running) >= count},
        "trials": [
            {
                "trial": trial.index,
                "origin": trial.origin,
                "state": trial.state,
                "accuracy": trial.top1,
                "params": trial.params,
                "macs": trial.macs,
                "training_seconds": trial.training_seconds,
                "wall_seconds": trial.wall_seconds,
                "vector": dict(trial.vector),
            }
            for trial in trials
        ],
    }


def best_so_far(trials: tuple[TrialRecord, ...]) -> list[float]:
    """The best accuracy after each completed trial."""
    accuracies = [trial.top1 for trial in trials if trial.state == "completed" and trial.top1 is not None]
    return np.maximum.accumulate(accuracies).tolist() if accuracies else []


def page(histories: Mapping[str, dict[str, Any]], note: str) -> str:
    """What was found, as Markdown."""
    first = next(iter(histories.values()))
    headings = ["search", "completed", "infeasible", *(f"best after {n}" for n in CHECKPOINTS), "last ten"]
    lines = [
        "# Real searches",
        "",
        f"`gpei` against `random` and the report's own procedure on CIFAR-100: preset {first['preset']} of "
        f"{first['space']} at resolution {first['resolution']}, {first['budget']} of training for each trial, one core "
        f"a search, {max(CHECKPOINTS)} completed trials. Nothing here is simulated; two searches of each kind show "
        "what happened, not how it would be on average, for which there is [the replay](../search/README.md).",
        "",
        "![Best accuracy so far of every search, one line each.](figure.svg)",
        "",
        "Validation accuracy of the best trial so far, in percent. A search's leader is the luckiest of its trials: "
        "its accuracy is the larger for it, in all of them alike.",
        "",
        "| " + " | ".join(headings) + " |",
        "| --- |" + " ---: |" * (len(headings) - 1),
    ]
    for name, found in histories.items():
        after = [found["best after"].get(str(count)) for count in CHECKPOINTS]
        best = ["" if one is None else f"{100 * one:.2f}" for one in after]
        accuracies = [one["accuracy"] for one in found["trials"] if one["state"] == "completed"]
        last = f"{100 * np.mean(accuracies[-10:]):.2f}" if accuracies else ""
        cells = [name, str(found["completed"]), str(found["infeasible"]), *best, last]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "Last ten: mean accuracy of the ten trials at the end, which shows whether a search has learned.", ""]
    lines += [note, ""] if note else []
    lines += ["## Conditions", ""]
    facts = {**first["hardware"], **first["versions"]}
    lines += [f"- {name}: {value}" for name, value in facts.items() if value is not None]
    return "\n".join(lines) + "\n"


def draw(histories: Mapping[str, dict[str, Any]], path: Path) -> None:
    """The best so far of every search, a colour a strategy."""
    import plotly.graph_objects as go

    from betanas.analysis.figures.palette import series_style
    from betanas.analysis.figures.style import finish
    from betanas.analysis.formats import figure_image

    figure = go.Figure()
    for name, found in histories.items():
        strategy, _, seed = name.partition("/")
        style = series_style(STRATEGIES.index(strategy))
        accuracies = [one["accuracy"] for one in found["trials"] if one["state"] == "completed"]
        best = 100 * np.maximum.accumulate(accuracies)
        figure.add_trace(
            go.Scatter(
                x=list(range(1, len(best) + 1)),
                y=best.tolist(),
                mode="lines",
                line={"shape": "hv", "color": style.colour, "dash": style.dash, "width": 2.5 if seed == "0" else 1.25},
                name=f"{strategy}, seed {seed}",
            )
        )
    finish(
        figure,
        title="Best network so far",
        caption="Validation accuracy of the best trial so far, CIFAR-100 at R=32, one line a search.",
        alt=f"{len(histories)} step lines, one for each search.",
        xaxis={"title": {"text": "Completed trials"}},
        yaxis={"title": {"text": "Validation top-1 accuracy (%)"}},
    )
    path.write_bytes(figure_image(figure, "svg"))


if __name__ == "__main__":
    main()
