"""An experiment's result for a reader: its figure, its tables, and a page of Markdown with the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from betanas.analysis.errors import AnalysisError
from betanas.analysis.extras import require_plotly
from betanas.analysis.tables.experiment import Experiment, parse_experiment
from betanas.analysis.tables.experiment_objective import arm_table, contrast_table
from betanas.analysis.tables.experiment_scaling import agreement_table, scale_table, uplift_table
from betanas.analysis.tables.experiment_search import difference_table, regret_curves, regret_table
from betanas.analysis.tables.table import Table
from betanas.analysis.wording import grid

if TYPE_CHECKING:
    import plotly.graph_objects as go


def experiment_figure(document: Mapping[str, Any]) -> go.Figure:
    """The figure of an experiment's result.

    Raises:
        AnalysisError: the result is damaged, or of an experiment that has no figure.
        MissingExtraError: plotly is not installed.
    """
    require_plotly("An experiment's figure")
    name = parse_experiment(document).name
    if name == "scaling":
        from betanas.analysis.figures.experiment_scaling import scales

        return scales(scale_table(document), agreement_table(document), uplift_table(document))
    if name == "search":
        from betanas.analysis.figures.experiment_search import strategies

        return strategies(regret_curves(document), difference_table(document))
    if name == "objective":
        from betanas.analysis.figures.experiment_objective import objectives

        return objectives(arm_table(document), contrast_table(document))
    raise _unknown(name)


def experiment_tables(document: Mapping[str, Any]) -> dict[str, Table[Any]]:
    """The tables of an experiment's result, by caption.

    Raises:
        AnalysisError: the result is damaged, or of an experiment that has no tables.
    """
    name = parse_experiment(document).name
    if name == "scaling":
        return {
            "Rank correlations between resolutions": agreement_table(document),
            "Uplift for each doubling of a cost": uplift_table(document),
            "Every network": scale_table(document),
        }
    if name == "search":
        return {"Regret at the end": regret_table(document), "Paired differences": difference_table(document)}
    if name == "objective":
        return {"Contrasts between the searches": contrast_table(document), "Every search": arm_table(document)}
    raise _unknown(name)


def experiment_page(document: Mapping[str, Any], *, figure: str) -> str:
    """A short page of Markdown: hypothesis, rule, verdicts, figure and tables.

    Args:
        document: the result.
        figure: file name of the figure, beside the page: an image, or `.html` for a link.

    Raises:
        AnalysisError: the result is damaged.
    """
    experiment = parse_experiment(document)
    lines = [f"# {_literal(experiment.title)}", "", _literal(experiment.hypothesis), ""]
    for each in experiment.verdicts:
        lines += [f"**{each.answer.capitalize()}.** {_literal(each.question)} {_literal(each.because)}", ""]
    lines += [*_rules(experiment), *_figure(document, figure)]
    for caption, table in experiment_tables(document).items():
        lines += [f"## {caption}", "", *_table(table.to_rows()), ""]
    lines += ["## Conditions", "", *_conditions(document), ""]
    return "\n".join(lines)


def _rules(experiment: Experiment) -> list[str]:
    rules = dict.fromkeys(each.rule for each in experiment.verdicts)
    return [line for rule in rules for line in (f"Rule, stated beforehand: {_literal(rule)}", "")]


def _figure(document: Mapping[str, Any], name: str) -> list[str]:
    meta = experiment_figure(document).layout.meta
    shown = f"[The figure]({name})" if name.endswith(".html") else f"![{_literal(meta['alt'])}]({name})"
    return [shown, "", _literal(meta["caption"]), ""]


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    found = grid(rows, "")
    marks = ["---:" if numeric else "---" for numeric in found.numeric]
    lines = [found.headings, marks, *found.cells]
    return ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]


def _conditions(document: Mapping[str, Any]) -> list[str]:
    facts = {**document["settings"], **document["hardware"], **document["versions"]}
    return [f"- {name.replace('_', ' ')}: {_literal(value)}" for name, value in facts.items() if value is not None]


def _cell(text: object) -> str:
    return _literal(text).replace("|", "\\|").replace("_", " ")


def _literal(text: object) -> str:
    """Words as Markdown shows them: a stranger's name must not become a tag or a link."""
    words = str(text).replace("&", "&amp;").replace("<", "&lt;").replace("[", "\\[")
    return " ".join(words.split())


def _unknown(name: str) -> AnalysisError:
    return AnalysisError("The experiments are scaling, search and objective.", value=name)
