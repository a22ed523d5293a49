"""Has IPython show studies, blueprints and trials as HTML; by name, so that nothing is loaded before it is needed."""

from __future__ import annotations

import sys
from typing import Any


def register_with_ipython() -> bool:
    """Register with the notebook this process runs in, if it does; whether it does."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return False
    html = shell.display_formatter.formatters["text/html"]
    html.for_type_by_name("betanas.blueprint.network", "Blueprint", _blueprint)
    html.for_type_by_name("betanas.search.records", "TrialRecord", _trial)
    html.for_type_by_name("betanas.search.study", "Study", _study)
    return True


def _blueprint(blueprint: Any) -> str:
    from betanas.notebook import blueprint_html

    return blueprint_html(blueprint)


def _trial(trial: Any) -> str:
    from betanas.notebook import trial_html

    return trial_html(trial)


def _study(study: Any) -> str:
    from betanas.analysis.snapshot import StudySnapshot
    from betanas.notebook import study_html

    return study_html(StudySnapshot.of(study))
