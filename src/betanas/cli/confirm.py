"""`betanas confirm`: retrain a study's leaders with fresh seeds, and choose by mean and interval."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from betanas.cli.options import MACHINE, SAME_DATA, Given, with_settings
from betanas.cli.output import console, print_json
from betanas.cli.study import JsonOption, StudyArgument, TrustOption
from betanas.quantities import format_count


@with_settings(*MACHINE, SAME_DATA)
def confirm(
    study: StudyArgument,
    given: Given,
    top: Annotated[int, typer.Option(help="How many of the best trials.")] = 5,
    seeds: Annotated[int, typer.Option(help="Fresh trainings of each.")] = 3,
    trust_files: TrustOption = False,
    as_json: JsonOption = False,
) -> None:
    """Retrain the leaders and the model's maximum, which nobody has trained; `best` then reports the confirmed one.

    The best of many single trainings is partly lucky. Stored trainings are not repeated, so more --seeds extend them.
    """
    from betanas.search.confirmation import confirm as run_confirmation
    from betanas.search.confirmed import Confirmation
    from betanas.search.settings import ResumeSettings

    changes = ResumeSettings(**given, trust_files=trust_files)
    out, found = console(stderr=as_json), dict[str, Confirmation]()
    for one in run_confirmation(study, top=top, seeds=seeds, changes=changes):
        found[one.blueprint.key] = one
        if one.runs:
            last = one.runs[-1]
            reached = f"{last.top1:.2%}" if last.top1 is not None else last.reason
            out.print(f"{_origin(one.trial)}, training {len(one.runs)}: {reached}")
    ranked = sorted(found.values(), key=lambda one: one.interval.mean if one.interval else -1.0, reverse=True)
    if as_json:
        print_json({"study": study, "confirmations": [one.to_dict() for one in ranked]})
        return
    table = Table(title="Confirmed by fresh trainings", title_justify="left", header_style="bold", pad_edge=False)
    for heading in ("Network", "Parameters", "Trainings", "Mean accuracy", "95% interval"):
        table.add_column(heading, justify="left" if heading == "Network" else "right")
    for one in ranked:
        interval = one.interval
        table.add_row(
            _origin(one.trial),
            format_count(one.blueprint.num_params),
            str(interval.n if interval else 0),
            f"{interval.mean:.2%}" if interval else "-",
            f"{interval.low:.2%} to {interval.high:.2%}" if interval and interval.known else "-",
        )
    out.print(table)


def _origin(trial: int | None) -> str:
    return "the model's maximum" if trial is None else f"trial {trial}"
