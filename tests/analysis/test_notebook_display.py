"""What a notebook cell shows, in a real IPython."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import betanas as bn

CELLS = """
from IPython.testing.globalipapp import start_ipython
shell = start_ipython()
import sys
import betanas as bn
assert "plotly" not in sys.modules
# A terminal shows text alone; a notebook's kernel has every type on.
shell.display_formatter.active_types = shell.display_formatter.format_types
html = lambda thing: shell.display_formatter.format(thing)[0]["text/html"]
study = bn.Study.open({place!r})
print("STUDY", "Trials" in html(study) or "trials" in html(study))
print("TRIAL", "Vector" in html(study.trials()[0]) or "vector" in html(study.trials()[0]).lower())
print("BLUEPRINT", "<svg" in html(study.blueprint(0)))
print("TORCH", "torch" in sys.modules)
"""


def test_a_notebook_shows_studies_trials_and_blueprints(tmp_path: Path) -> None:
    place = str(tmp_path / "study")
    bn.search(
        data="digits", study=place, resolution=16, budget="1steps", trials=1, strategy="sobol", executor="inline"
    ).close()
    answer = subprocess.run(
        [sys.executable, "-c", CELLS.format(place=place)], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    for line in ("STUDY True", "TRIAL True", "BLUEPRINT True", "TORCH False"):
        assert line in answer.stdout
