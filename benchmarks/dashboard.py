"""How long the dashboard takes to draw a large study, and to show a trial that has just ended.

    python benchmarks/dashboard.py [--trials 1000] [--repeats 7]

The study is made up (that of the tests) and written into a real store first, which is not timed. The server runs as a
process of its own, the browser is a headless Chromium without a graphics card, each repeat a page of its own. Bars:
the first paint of 1,000 trials within 2 s of opening the page, and an update within 1 s of the trial's end (at a
refresh interval of 0.2 s, which is part of it).
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from _record import spread, write_record
from analysis_report import made_up_studies
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import Store
from betanas.training.result import TrialResult

REFRESH = 0.2
# When the history, the curves and the costs show this number of trials; and when the parallel axes are there too.
TRIALS_DRAWN = """wanted => {
  const plots = ["history", "time", "pareto"].map(name => document.querySelector(`#${name}-graph .js-plotly-plot`));
  if (plots.some(plot => !plot || !plot.querySelector(".main-svg") || !plot.data || !plot.data.length)) return false;
  const markers = plots[0].data.filter(trace => trace.mode === "markers");
  return markers.reduce((sum, trace) => sum + trace.x.length, 0) === wanted && performance.now();
}"""
AXES_DRAWN = "() => document.querySelector('#parallel-graph .axis-brush') && performance.now()"


@contextmanager
def served(study: Path) -> Iterator[str]:
    """The address of a dashboard in its own process."""
    code = (
        "from betanas.analysis.dashboard.server import dashboard_server\nimport sys\n"
        f"with dashboard_server([sys.argv[1]], port=0, refresh={REFRESH}) as server:\n"
        "    print(f'http://127.0.0.1:{server.port}/', flush=True)\n    server.serve_forever()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(study)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.match(r"http\S+", process.stdout.readline())
        assert found is not None
        yield found[0]
    finally:
        process.terminate()
        process.wait()


def when_drawn(page: Page, trials: int) -> float:
    """Milliseconds since the page was opened at which it showed a number of trials."""
    return float(page.wait_for_function(TRIALS_DRAWN, arg=trials, timeout=60_000, polling="raf").json_value())


def add_trial(store: Store, index: int) -> None:
    """A trial that has ended, as a search writes it."""
    template = next(trial for trial in store.trials() if trial.state == "completed" and trial.repeat_of is None)
    curve = store.trial(template.index).curve
    record = replace(template, index=index, state="running", objective=None, top1=None, top5=None, ended=None)
    store.add_trial(record, store.blueprint(template.index))
    result = TrialResult("completed", top1=template.top1, top5=template.top5, curve=curve, training_seconds=20.0)
    store.end_trial(index, 1, result, objective=template.objective)


def main() -> None:
    """Write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    made_up = made_up_studies()
    opening: dict[str, list[float]] = {
        "first contentful paint": [],
        "history, curves and costs drawn": [],
        "parallel axes drawn (software WebGL)": [],
    }
    updates: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        study = made_up.write_study(made_up.make_study(arguments.trials), Path(folder) / "study")
        store = Store.open(StudyLocation.parse(study))
        with served(study) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
            )
            count = arguments.trials
            for _ in range(arguments.repeats):
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.goto(address)
                opening["history, curves and costs drawn"].append(when_drawn(page, count) / 1000)
                axes: Any = page.wait_for_function(AXES_DRAWN, timeout=60_000, polling="raf").json_value()
                opening["parallel axes drawn (software WebGL)"].append(axes / 1000)
                paint: Any = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
                opening["first contentful paint"].append(paint / 1000)
                add_trial(store, count)
                count += 1
                start = time.perf_counter()
                when_drawn(page, count)
                updates.append(time.perf_counter() - start)
                page.close()
            browser.close()
        store.close()
    write_record(
        "dashboard",
        conditions={"trials": arguments.trials, "repeats": arguments.repeats, "refresh_seconds": REFRESH},
        figures={
            **{f"seconds to {name}": spread(values) for name, values in opening.items()},
            "seconds_allowed to first paint": 2.0,
            "seconds from a trial's end to its being drawn": spread(updates),
            "seconds_allowed for an update": 1.0,
        },
    )


if __name__ == "__main__":
    main()
