"""The Python files that a study names: going on with it runs them, which a person must allow."""

from __future__ import annotations

from betanas.errors import StudyError
from betanas.search.objectives import OwnFunction
from betanas.search.records import StudyPlan
from betanas.userfile import python_file


def own_code(plan: StudyPlan) -> tuple[str, ...]:
    """The files that going on with a study would run: what it names by file, and its plug-ins.

    A plug-in or an objective's file is run whatever it is called; the others where `python_file` says that the name
    stands for a file.
    """
    names = (plan.search.space, plan.data.source, plan.search.strategy, plan.machine.executor)
    named = [name for name in names if python_file(name)]
    if isinstance(plan.search.objective, OwnFunction):
        named.append(plan.search.objective.file)
    return (*named, *plan.search.plugins)


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
