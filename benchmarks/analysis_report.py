"""How long the report of a study takes, start of the process to the file on disk, and how large the file is.

    python benchmarks/analysis_report.py [--trials 1000 10000] [--repeats 5]

The study is made up (that of the tests: BetaNet3 vectors at 32 pixels with curves, failures and repeats) and written
into a real store first, which is not timed. Bars: 1,000 trials under 3 s and under 8 MB; 10,000 trials under 10 s.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

from _record import spread, write_record

SECONDS = {1000: 3.0, 10000: 10.0}
MEGABYTES = {1000: 8.0}


def made_up_studies() -> ModuleType:
    """The generator of the tests."""
    path = Path(__file__).parents[1] / "tests" / "analysis" / "conftest.py"
    spec = importlib.util.spec_from_file_location("made_up_studies", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report_seconds(study: Path, target: Path) -> float:
    """Wall seconds of `betanas report` as its own process."""
    code = "import sys; from betanas.cli.main import main; main(sys.argv[1:])"
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", code, "report", str(study), "--output", str(target)], check=True, capture_output=True
    )
    return time.perf_counter() - start


def main() -> None:
    """Write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    made_up = made_up_studies()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        for trials in arguments.trials:
            study = made_up.write_study(made_up.make_study(trials), Path(folder) / f"study-{trials}")
            target = Path(folder) / f"{trials}.html"
            seconds = [report_seconds(study, target) for _ in range(arguments.repeats)]
            size = target.stat().st_size / 1e6
            figures[f"{trials} trials"] = {
                "seconds": spread(seconds),
                "seconds_allowed": SECONDS.get(trials),
                "megabytes": round(size, 2),
                "megabytes_allowed": MEGABYTES.get(trials),
            }
    write_record(
        "analysis_report",
        conditions={"trials": arguments.trials, "repeats": arguments.repeats, "process": "betanas report STUDY"},
        figures=figures,
    )


if __name__ == "__main__":
    main()
