"""`betanas confirm`: retrain a study's leaders with fresh seeds, and choose by mean and interval."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from betanas.cli.compare import MOST_SEEDS
from betanas.cli.interruption import going_on
from betanas.cli.options import MACHINE, SAME_DATA, Given, with_settings
from betanas.cli.output import console, print_json
from betanas.cli.study import JsonOption, StudyArgument, TrustOption
from betanas.quantities import format_count


@with_settings(*MACHINE, SAME_DATA)
def confirm(
    study: StudyArgument,
    given: Given,
    top: Annotated[int, typer.Option(min=1, help="How many of the best trials.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, max=MOST_SEEDS, help="Fresh trainings of each.")] = 3,
    trust_files: TrustOption = False,
    as_json: JsonOption = False,
) -> None:
    """Retrain the leaders and the model's maximum, which nobody has trained; `best` then reports the confirmed one.

    The best of many single trainings is partly lucky. Stored trainings are not repeated, so more --seeds extend them.
    """
    from betanas.cli.reporting.listed import ListedReporter
    from betanas.search.confirmed import candidate_name
    from betanas.search.settings import ResumeSettings
    from betanas.search.studies.confirmation import confirm as run_confirmation

    out = console(stderr=as_json)
    with going_on():
        ranked = run_confirmation(
            study,
            top=top,
            seeds=seeds,
            changes=ResumeSettings(**given, trust_files=trust_files),
            listener=ListedReporter(lambda line: out.print(line, markup=False, soft_wrap=True)),
        )
    if as_json:
        print_json({"study": study, "confirmations": [one.to_dict() for one in ranked]})
        return
    table = Table(title="Confirmed by fresh trainings", title_justify="left", header_style="bold", pad_edge=False)
    for heading in ("Network", "Parameters", "Trainings", "Mean accuracy", "95% interval"):
        table.add_column(heading, justify="left" if heading == "Network" else "right")
    for one in ranked:
        interval = one.interval
        table.add_row(
            candidate_name(one.trial),
            format_count(one.blueprint.num_params),
            str(interval.n if interval else 0),
            f"{interval.mean:.2%}" if interval else "-",
            f"{interval.low:.2%} to {interval.high:.2%}" if interval and interval.known else "-",
        )
    out.print(table)
