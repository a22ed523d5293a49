"""A user's own Python files: a search space, data sources, objectives. Run when a person says so alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from betanas.errors import StudyError
from betanas.search.objectives import OwnFunction
from betanas.search.records import StudyPlan
from betanas.userfile import python_file, run_user_file


def run_plugins(files: Sequence[str]) -> None:
    """Run Python files for what they register.

    Raises:
        StudyError: a file is missing, or raises something.
    """
    for file in files:
        run_user_file(Path(file), kind="A plugin", error=StudyError)


def own_code(plan: StudyPlan) -> tuple[str, ...]:
    """The files that going on with a study would run: its space's, its data source's, its objective's, its plugins.

    A plug-in or an objective is run whatever it is called; a space or a source where `python_file` says that the name
    stands for a file.
    """
    named = [name for name in (plan.space, plan.data) if python_file(name)]
    if isinstance(plan.objective, OwnFunction):
        named.append(plan.objective.file)
    return (*named, *map(str, plan.options.get("plugins", ())))


def check_trust(plan: StudyPlan, *, trusted: bool) -> None:
    """Refuse to run the files a study names unless a person says so: the study may be a stranger's.

    Raises:
        StudyError: it names files, and nobody has said so.
    """
    files = own_code(plan)
    if files and not trusted:
        raise StudyError(
            "This study runs Python files of its author's, which needs your word.",
            value=", ".join(files),
            hint="Read them; if they are yours or you trust them, add --trust-files.",
        )
