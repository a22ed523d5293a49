"""Figures 20, 21, 24 and 25: the best trials clustered, and the clusters' mean parameters beside the model's best."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from scipy.cluster.hierarchy import dendrogram as lay_out

from betanas.analysis.figures.palette import GREY, PURPLE, SeriesStyle, series_style
from betanas.analysis.figures.style import finish, plain
from betanas.analysis.snapshot import Measure
from betanas.analysis.tables.clusters import Clustering
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
    drawn: dict[str, tuple[list[float | None], list[float | None]]] = {}
    for owner, xs, ys in zip(layout["color_list"], layout["icoord"], layout["dcoord"], strict=True):
        x, y = drawn.setdefault(owner, ([], []))
        x.extend([*xs, None])
        y.extend([*ys, None])
    for owner, (x, y) in sorted(drawn.items()):
        style = cluster_style(int(owner)) if owner != _SHARED else None
        figure.add_trace(
            go.Scatter(
                x=x,
                y=y,
                mode="lines",
                line={
                    "color": style.colour if style else GREY,
                    "width": 1.8,
                    "dash": style.dash if style else "solid",
                },
                hoverinfo="skip",
                showlegend=False,
            )
        )
    members = clustering.members.rows
    best = max(range(len(members)), key=lambda place: members[place].objective)
    for cluster in range(clustering.count):
        style = cluster_style(cluster)
        places = [place for place, member in enumerate(clustering.order) if clustering.clusters[member] == cluster]
        chosen = [members[clustering.order[place]] for place in places]
        figure.add_trace(
            go.Scatter(
                x=[5.0 + 10.0 * place for place in places],
                y=[0.0] * len(places),
                mode="markers",
                name=f"cluster {cluster}",
                customdata=[[member.index, member.objective * measure.scale] for member in chosen],
                marker={"color": style.colour, "symbol": style.symbol, "size": 9},
                hovertemplate="trial %{customdata[0]}: %{customdata[1]:.2f}<extra>%{fullData.name}</extra>",
            )
        )
    leaf = 5.0 + 10.0 * int(np.flatnonzero(clustering.order == best)[0])
    figure.add_trace(
        go.Scatter(
            x=[leaf],
            y=[0.0],
            mode="markers",
            name=f"best: trial {members[best].index}",
            marker={"color": PURPLE, "symbol": "star", "size": 16},
            hovertemplate=f"trial {members[best].index}: {measure.text(members[best].objective)}<extra>best</extra>",
        )
    )
    tallest = float(clustering.merges[-1, 2]) or 1.0
    labels = [str(members[member].index) for member in clustering.order]
    return finish(
        figure,
        title=f"The best {len(members)} trials, clustered",
        caption=f"Ward's hierarchical clustering of the best {len(members)} trials on standardised "
        "parameters. Trials that "
        f"merge low are alike; each of the {clustering.count} clusters is a region of the space that holds "
        "good networks.",
        alt=f"Dendrogram of {len(members)} trials in {clustering.count} clusters; the best, trial "
        f"{members[best].index}, "
        f"lies in cluster {members[best].cluster}.",
        xaxis={
            "title": {"text": "Trial"},
            "tickvals": [5.0 + 10.0 * place for place in range(len(labels))],
            "ticktext": labels,
            "tickangle": -90,
            "tickfont": {"size": 9},
            "showgrid": False,
            "zeroline": False,
        },
        yaxis={
            "title": {"text": "Distance (standard deviations)"},
            "range": [-0.03 * tallest, 1.05 * tallest],
            "zeroline": False,
        },
        legend={"y": -0.27},
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
    figure = go.Figure()

    def shares(vector: Mapping[str, float]) -> list[float]:
        row = np.array([[vector[name] for name in searched]])
        return [float(value) for value in normalise(row, searched)[0]]

    names = [plain(name) for name in searched]
    for cluster, row in enumerate(clustering.means):
        style = cluster_style(cluster)
        mean = measure.text(row.mean_objective or 0.0)
        figure.add_trace(
            go.Scatter(
                x=names,
                y=shares(row.vector),
                customdata=[row.vector[name] for name in searched],
                mode="lines+markers",
                name=f"cluster {cluster} (n={row.trials}, {mean})",
                line={"color": style.colour, "dash": style.dash, "width": 1.6},
                marker={"symbol": style.symbol, "size": 7},
                hovertemplate="%{x} = %{customdata:.3g}<extra>%{fullData.name}</extra>",
            )
        )
    if model_best is not None:
        figure.add_trace(
            go.Scatter(
                x=names,
                y=shares(model_best),
                customdata=[model_best[name] for name in searched],
                mode="lines+markers",
                name="model's best",
                line={"color": PURPLE, "width": 4},
                marker={"symbol": "star", "size": 11},
                hovertemplate="%{x} = %{customdata:.3g}<extra>%{fullData.name}</extra>",
            )
        )
    beside = ", beside the vector that the model expects to be best" if model_best is not None else ""
    return finish(
        figure,
        title="Clusters of the best trials",
        caption=f"Mean parameters of each cluster as shares of the searched ranges{beside}. The legend gives "
        "each cluster's "
        "number of trials and mean evaluation.",
        alt=f"Line plot of {clustering.count} clusters' mean parameters over {len(searched)} parameters{beside}.",
        height=480,
        xaxis={
            "title": {"text": "Parameter"},
            "type": "category",
            "tickangle": -60 if len(names) > 10 else 0,
        },
        yaxis={"title": {"text": "Share of the searched range"}, "range": [-0.03, 1.03]},
        legend={"y": -0.26},
    )
