"""Figures 20, 21, 24 and 25: the best trials clustered, and the clusters' mean parameters beside the model's best."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from scipy.cluster.hierarchy import dendrogram as lay_out

from betanas.analysis.figures.palette import GREY, PURPLE, SeriesStyle, series_style
from betanas.analysis.figures.style import finish, plain
from betanas.analysis.figures.traces import series
from betanas.analysis.snapshot import Measure
from betanas.analysis.tables.clusters import Clustering, Member
from betanas.analysis.tables.parameters import normalise
from betanas.spaces import Range

# scipy takes colours for the links of a dendrogram: here the number of a link's cluster, or this.
_SHARED = "-"


def cluster_style(cluster: int) -> SeriesStyle:
    """A cluster's style, the same in every figure; purple is kept for the best trial, as in the report."""
    free = [place for place in range(7) if series_style(place).colour not in (PURPLE, GREY)]
    return series_style(free[cluster % len(free)])


def dendrogram(clustering: Clustering, measure: Measure) -> go.Figure:
    """The merging of the best trials; leaves are trials, marked by cluster, the best one in purple."""
    owners = _owners(clustering)
    layout = lay_out(clustering.merges, no_plot=True, link_color_func=lambda node: owners[node])
    figure = go.Figure()
    links = list(zip(layout["color_list"], layout["icoord"], layout["dcoord"], strict=True))
    for owner in sorted(set(layout["color_list"])):
        x, y = ([value for link in links if link[0] == owner for value in (*link[part], None)] for part in (1, 2))
        style = cluster_style(int(owner)) if owner != _SHARED else SeriesStyle(GREY)
        figure.add_trace(series(x, y, owner, style, width=1.8, showlegend=False))
    members = [clustering.members.rows[place] for place in clustering.order]
    leaves = {member.index: 5.0 + 10.0 * place for place, member in enumerate(members)}
    hover = "trial %{customdata[0]}: %{customdata[1]:.2f}"

    def add(name: str, chosen: list[Member], style: SeriesStyle, size: int) -> None:
        told = [[member.index, member.objective * measure.scale] for member in chosen]
        x = [leaves[member.index] for member in chosen]
        dots = series(x, [0.0] * len(x), name, style, "markers", hover=hover, size=size, customdata=told)
        figure.add_trace(dots)

    for cluster in range(clustering.count):
        own = [member for member in members if member.cluster == cluster]
        add(f"cluster {cluster}", own, cluster_style(cluster), 9)
    best = max(clustering.members, key=lambda member: member.objective)
    add(f"best: trial {best.index}", [best], SeriesStyle(PURPLE, "star"), 16)
    tallest = float(clustering.merges[-1, 2]) or 1.0
    return finish(
        figure,
        title=f"The best {len(members)} trials, clustered",
        caption=f"Ward's hierarchical clustering of the best {len(members)} trials on standardised parameters. Trials "
        f"that merge low are alike; each of the {clustering.count} clusters is a region of the space in which some of "
        "them lie.",
        alt=f"Dendrogram of {len(members)} trials in {clustering.count} clusters; the best, trial {best.index}, lies "
        f"in cluster {best.cluster}.",
        x="Trial",
        y="Distance (standard deviations)",
        xaxis={"tickvals": list(leaves.values()), "ticktext": [str(index) for index in leaves], "tickangle": -90},
        xaxis_tickfont_size=9,
        xaxis_showgrid=False,
        xaxis_zeroline=False,
        yaxis={"range": [-0.03 * tallest, 1.05 * tallest], "zeroline": False},
        legend_y=-0.27,
    )


def _owners(clustering: Clustering) -> dict[int, str]:
    """The cluster that holds everything under a node of the merging tree, as text; `_SHARED` where several do."""
    count = len(clustering.order)
    owners = {member: str(cluster) for member, cluster in enumerate(clustering.clusters.tolist())}
    for step, (left, right) in enumerate(clustering.merges[:, :2].astype(int).tolist()):
        owners[count + step] = owners[left] if owners[left] == owners[right] else _SHARED
    return owners


def cluster_parameters(
    clustering: Clustering,
    ranges: Mapping[str, Range],
    model_best: Mapping[str, float] | None,
    measure: Measure,
) -> go.Figure:
    """The clusters' mean parameters, normalised to their ranges, beside the model's best."""
    searched = {name: entry for name, entry in ranges.items() if not entry.fixed}
    names, figure = [plain(name) for name in searched], go.Figure()

    def add(name: str, vector: Mapping[str, float], style: SeriesStyle, width: float, size: float) -> None:
        values = [vector[parameter] for parameter in searched]
        shares = normalise(np.array([values]), searched)[0]
        mode, hover = "lines+markers", "%{x} = %{customdata:.3g}"
        figure.add_trace(
            series(names, shares, name, style, mode, hover=hover, width=width, size=size, customdata=values)
        )

    for cluster, row in enumerate(clustering.means):
        name = f"cluster {cluster} (n={row.trials}, {measure.text(row.mean_objective or 0.0)})"
        add(name, row.vector, cluster_style(cluster), 1.6, 7)
    if model_best is not None:
        add("model's best", model_best, SeriesStyle(PURPLE, "star"), 4, 11)
    beside = ", beside the vector that the model expects to be best" if model_best is not None else ""
    return finish(
        figure,
        title="Clusters of the best trials",
        caption=f"Mean parameters of each cluster as shares of the searched ranges{beside}. The legend gives each "
        "cluster's number of trials and mean evaluation.",
        alt=f"Line plot of {clustering.count} clusters' mean parameters over {len(searched)} parameters{beside}.",
        x="Parameter",
        y="Share of the searched range",
        height=480,
        xaxis={"type": "category", "tickangle": -60 if len(names) > 10 else 0},
        yaxis_range=[-0.03, 1.03],
        legend_y=-0.26,
    )
