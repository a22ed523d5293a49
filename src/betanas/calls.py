"""What a person calls from Python: the commands as functions, which say how they get on where somebody watches.

Each prints in a terminal and in a notebook, as its command does, and nothing anywhere else; `progress=False` silences
it, and `progress=True` has it print in any case.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from betanas.declaration import Setting, refuse_unknown
from betanas.search.progress import SearchListener
from betanas.search.settings import ResumeSettings, SearchSettings
from betanas.search.study import Study

if TYPE_CHECKING:
    from betanas.finding.finding import Found
    from betanas.finding.listener import FindListener
    from betanas.search.compared import ComparedRow
    from betanas.search.confirmed import Confirmation
    from betanas.training.budget import Budget
    from betanas.training.result import TrialResult


def search(
    settings: SearchSettings | None = None,
    *,
    progress: bool | None = None,
    listener: SearchListener | None = None,
    **given: Any,
) -> Study:
    """Search for a network, and give the study back when it has run its trials.

    Called again with the same settings, as by a notebook's cell that is run again, it goes on where it was interrupted,
    and opens the study where it has ended.

    Args:
        settings: what to search; or its fields by name: `search(data="digits", study="runs/digits", budget="10s")`.
        progress: whether to print how it gets on; None for in a terminal and in a notebook.
        listener: who is told what happens, instead of printing it.
        given: fields of `SearchSettings`, as `betanas search --help` lists them.

    Raises:
        StudyError: the place holds a search with other settings; the message says which.
        UserError: something about the search cannot work; nothing was written.
        SearchFailedError: trial after trial failed.
        KeyboardInterrupt: it was interrupted; the study is safe, and the same call goes on.
    """
    from betanas.search.again import search_or_go_on

    asked = settings if settings is not None else SearchSettings(**given)
    with _told(listener, progress) as heard:
        return search_or_go_on(asked, heard)


def resume(
    study: str | Path | Study,
    changes: ResumeSettings | None = None,
    *,
    progress: bool | None = None,
    listener: SearchListener | None = None,
    **given: Any,
) -> Study:
    """Go on with a study that was interrupted, killed or finished with fewer trials than are wanted now.

    Trials that were cut off are started again; completed ones are never repeated.

    Args:
        study: its directory or PostgreSQL URL, or the study.
        changes: what is to be different; or its fields by name: `resume("runs/digits", trials=80)`.
        progress: whether to print how it gets on; None for in a terminal and in a notebook.
        listener: who is told what happens, instead of printing it.
        given: fields of `ResumeSettings`.

    Raises:
        StudyError: there is no study, or another process works on it.
    """
    from betanas.search.run import resume as go_on

    with _told(listener, progress) as heard:
        return go_on(_place(study), changes or ResumeSettings(**given), listener=heard)


def confirm(
    study: str | Path | Study,
    *,
    top: int = 5,
    seeds: int = 3,
    progress: bool | None = None,
    listener: SearchListener | None = None,
    **given: Any,
) -> tuple[Confirmation, ...]:
    """Retrain a study's leaders and its model's maximum with fresh seeds; `study.best()` then gives the confirmed one.

    Trainings that are stored are not repeated, so more seeds extend them.

    Args:
        study: its directory or PostgreSQL URL, or the study.
        top: how many of the best trials.
        seeds: fresh trainings of each.
        progress: whether to print how it gets on; None for in a terminal and in a notebook.
        listener: who is told what happens, instead of printing it.
        given: fields of `ResumeSettings`: where it trains.

    Returns:
        The best mean first.

    Raises:
        StudyError: there is no completed trial, another process uses the study, or a number makes no sense.
    """
    from betanas.cli.reporting.listed import ListedReporter
    from betanas.search.studies.confirmation import confirm as run_confirmation

    chosen = listener or (ListedReporter(_say) if _watched(progress) else None)
    return run_confirmation(_place(study), top=top, seeds=seeds, changes=ResumeSettings(**given), listener=chosen)


def train(
    network: str | Path | Study,
    *,
    folder: str | Path,
    patience: int = 0,
    device: str = "auto",
    blocks: str = "ordinary",
    trial: int | None = None,
    trust_files: bool = False,
    track: str | None = None,
    processes: int = 1,
    progress: bool | None = None,
    **given: Any,
) -> TrialResult:
    """Train one network to convergence, judged on the test images once at the end.

    A study's network trains on the study's images with its recipe, unless others are given. The same call goes on with
    a training that was interrupted, and gives the result of one that has ended.

    Args:
        network: a study, a space, a benchmark network, `timm:NAME`, or a blueprint's file.
        folder: where the training is kept.
        patience: evaluations without progress that end it; 0 for none.
        device: auto, cpu, cuda, cuda:N or mps.
        blocks: of a space's network.
        trial: of the study, instead of its best network.
        trust_files: whether the Python files that a study names may be run.
        track: tensorboard, wandb or mlflow.
        processes: that train together.
        progress: whether to print each evaluation; None for in a terminal and in a notebook.
        given: data, resolution, recipe, budget and the other settings of `betanas train --help`.

    Raises:
        UserError: something about it cannot work; nothing was written.
        BetanasError: the training failed.
    """
    from betanas.cli.train import TRAINED_WITH, run_train
    from betanas.training.result import TrialResult

    document = run_train(
        str(_place(network)),
        Path(folder),
        _read(given, TRAINED_WITH, what="A training"),
        patience=patience,
        device=device,
        blocks=blocks,
        trial=trial,
        trust_files=trust_files,
        track=track,
        processes=processes,
        told="stdout" if _watched(progress) else "nowhere",
    )
    return TrialResult.from_dict({each.name: document[each.name] for each in fields(TrialResult)})


def compare(
    networks: Sequence[str | Path | Study],
    *,
    folder: str | Path,
    seeds: int = 3,
    patience: int = 0,
    trials: Sequence[int] = (),
    blocks: str = "ordinary",
    finetune_recipe: str = "finetune",
    finetune_resolution: int | None = None,
    from_scratch: bool = False,
    latency: bool = True,
    trust_files: bool = False,
    keep: str | Path | Study | None = None,
    progress: bool | None = None,
    **given: Any,
) -> tuple[ComparedRow, ...]:
    """Train networks side by side for the same budget, each with the same seeds.

    Images and recipe are those of the studies among the networks, unless others are given. The same call goes on with a
    comparison that was interrupted; trainings that are kept are not repeated.

    Args:
        networks: studies, spaces, benchmark networks, `timm:NAME`, blueprints' files.
        folder: where the comparison is kept; a study, too.
        seeds: trainings of each network.
        patience: evaluations without progress that end a training; 0 for none.
        trials: of the one study among the networks, instead of its best.
        blocks: of spaces' networks.
        finetune_recipe: how pretrained networks are trained.
        finetune_resolution: side of their images, in pixels.
        from_scratch: whether timm's networks begin with random weights, and are trained like the others.
        latency: whether to time an answer of each network.
        trust_files: whether the Python files that a study names may be run.
        keep: a study that keeps the result, for its report.
        progress: whether to print each training; None for in a terminal and in a notebook.
        given: data, resolution, recipe, budget, where it trains: the settings of `betanas compare --help`.

    Returns:
        A row for each network, the best mean first.

    Raises:
        UserError: something about it cannot work; nothing was written.
    """
    from betanas.cli.compare import COMPARED_WITH, run_compare

    return run_compare(
        [str(_place(each)) for each in networks],
        str(folder),
        _read(given, COMPARED_WITH, what="A comparison"),
        say=_say if _watched(progress) else lambda _: None,
        seeds=seeds,
        patience=patience,
        trials=trials,
        blocks=blocks,
        finetune_recipe=finetune_recipe,
        finetune_resolution=finetune_resolution,
        from_scratch=from_scratch,
        latency=latency,
        trust_files=trust_files,
        keep=None if keep is None else str(_place(keep)),
    ).rows


def find(
    data: str | Path,
    *,
    time: str | Budget,
    to: str | Path,
    progress: bool | None = None,
    listener: FindListener | None = None,
    **given: Any,
) -> Found:
    """Find a network for images within a time, train it, and give it in a form that can be used.

    Called again with the same arguments after it was interrupted, it goes on with the time that was left.

    Args:
        data: a data set's name, or a folder with a folder of images for each class.
        time: wall-clock for everything: `30m`.
        to: the model's folder, a new one.
        progress: whether to print how it gets on; None for in a terminal and in a notebook.
        listener: who is told what happens, instead of printing it.
        given: `top`, `seeds`, `finetuned`, and settings of a search in place of what would be chosen; the options of
            `betanas find --help`.

    Raises:
        UserError: something about it cannot work; nothing was written.
        BetanasError: no network could be trained.
        KeyboardInterrupt: it was interrupted; the same call goes on.
    """
    from betanas.cli.output import lasting_console
    from betanas.cli.reporting.finding import FindReporter
    from betanas.finding.finding import find as run_find

    if listener is not None or not _watched(progress):
        return run_find(data, time=time, to=to, listener=listener, **given)
    with FindReporter(lasting_console(notebook=_in_notebook())) as reporter:
        return run_find(data, time=time, to=to, listener=reporter, **given)


@contextmanager
def _told(listener: SearchListener | None, progress: bool | None) -> Iterator[SearchListener]:
    """Who is told how a search gets on, while it does."""
    if listener is not None or not _watched(progress):
        yield listener or SearchListener()
        return
    from betanas.cli.output import lasting_console
    from betanas.cli.reporting import make_reporter
    from betanas.cli.reporting.remarks import broken_images_noted

    with (
        closing(make_reporter(lasting_console(notebook=_in_notebook()))) as reporter,
        broken_images_noted(reporter.on_note),
    ):
        yield reporter


def _watched(progress: bool | None) -> bool:
    """Whether somebody is to see what is printed."""
    if progress is not None:
        return progress
    return sys.stdout.isatty() or _in_notebook()


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _say(line: str) -> None:
    from betanas.cli.output import lasting_console

    lasting_console(notebook=_in_notebook()).print(line, markup=False, soft_wrap=True)


def _place(named: str | Path | Study) -> str | Path:
    return named.location if isinstance(named, Study) else named


def _read(given: dict[str, Any], declared: Sequence[Setting], *, what: str) -> dict[str, Any]:
    """Settings by name, read as the command line does; those of None are not given."""
    known = {each.name: each for each in declared}
    refuse_unknown(given, known, what=what)
    return {name: known[name].read(value) for name, value in given.items() if value is not None}
