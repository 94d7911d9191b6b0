"""The picture of a comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from roleml_nb.pictures.palette import PALETTE, translucent

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from .comparison import Comparison

__all__ = ["draw"]

PANELS_PER_ROW = 3


def draw(comparison: Comparison, target: float | None, title: str | None) -> go.Figure:
    """Draw the figure of `Comparison.plot`, without panels for values that no run has."""
    from plotly.subplots import make_subplots

    from roleml_nb.pictures.figure import Figure

    panels = _panels(comparison, target)
    names, fills = zip(*panels, strict=True)
    rows = -(-len(panels) // PANELS_PER_ROW)
    figure = make_subplots(
        rows=rows,
        cols=min(PANELS_PER_ROW, len(panels)),
        subplot_titles=names,
        horizontal_spacing=0.08,
        vertical_spacing=0.16,
        figure=Figure(),
    )
    figure.update_annotations(font_size=13)
    for place, fill in enumerate(fills):
        fill(figure, {"row": place // PANELS_PER_ROW + 1, "col": place % PANELS_PER_ROW + 1})
    heading = title or f"{comparison.metric} of {', '.join(comparison.names)}"
    # so that panels have the whole width
    below = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"}
    return figure.update_layout(
        template="plotly_white",
        height=100 + 320 * rows,
        margin={"b": 110, "l": 50, "r": 20},
        legend={"groupclick": "togglegroup", **below},
        title=f"{heading}<br><sup>{comparison.note}</sup>",
    )


def _panels(comparison: Comparison, target: float | None) -> list[tuple[str, Callable[..., None]]]:
    table = comparison.to_pandas()
    metric = comparison.metric
    panels: list[tuple[str, Callable[..., None]]] = []
    for axis, label, unit in (
        ("round", "rounds", 1.0),
        ("bytes", "MB sent", 1e6),
        ("time", "seconds", 1.0),
    ):
        if table[axis].notna().any():
            panels.append(
                (f"{metric} against {label}", _curves(comparison, axis, label, unit, target))
            )
    if table["worst"].notna().any():
        panels.append((f"{metric} over the nodes", _bars(comparison)))
    if table["consensus_distance"].notna().any():
        panels.append(("consensus distance", _consensus(comparison)))
    if target is not None and table["bytes"].notna().any():
        panels.append((f"MB sent until {metric} {target:g}", _to_target(comparison, target)))
    return panels


def _colour(place: int) -> str:
    return PALETTE[place % len(PALETTE)]


def _curves(
    comparison: Comparison, axis: str, label: str, unit: float, target: float | None
) -> Callable[..., None]:
    def fill(figure: go.Figure, at: dict[str, int]) -> None:
        for place, name in enumerate(comparison.names):
            band = comparison.band(name, axis)
            x = band[axis] / unit
            style: dict[str, Any] = {"legendgroup": name, "mode": "lines"}
            if band["low"].notna().any():
                edge = {"line": {"width": 0}, "showlegend": False, "hoverinfo": "skip", **style}
                figure.add_scatter(x=x, y=band["high"], **edge, **at)
                figure.add_scatter(
                    x=x,
                    y=band["low"],
                    fill="tonexty",
                    fillcolor=translucent(_colour(place)),
                    **edge,
                    **at,
                )
            figure.add_scatter(
                x=x,
                y=band["mean"],
                name=name,
                line={"color": _colour(place), "width": 2},
                showlegend=axis == "round",
                **style,
                **at,
            )
        if target is not None:
            figure.add_hline(target, line={"dash": "dot", "color": "#888888"}, **at)
        figure.update_xaxes(title=label, **at)

    return fill


def _bars(comparison: Comparison) -> Callable[..., None]:
    def fill(figure: go.Figure, at: dict[str, int]) -> None:
        last = comparison.summary()
        for place, name in enumerate(comparison.names):
            row = last.loc[name]
            figure.add_bar(
                x=["worst", "10 %", "mean"],
                y=[row["worst"], row["p10"], row[comparison.metric]],
                name=name,
                marker_color=_colour(place),
                legendgroup=name,
                showlegend=False,
                **at,
            )

    return fill


def _consensus(comparison: Comparison) -> Callable[..., None]:
    def fill(figure: go.Figure, at: dict[str, int]) -> None:
        table = comparison.to_pandas()
        for place, name in enumerate(comparison.names):
            mean = (
                table[table["run"] == name].groupby("round")["consensus_distance"].mean().dropna()
            )
            figure.add_scatter(
                x=mean.index,
                y=mean,
                mode="lines",
                line={"color": _colour(place), "width": 2},
                legendgroup=name,
                name=name,
                showlegend=False,
                **at,
            )
        figure.update_xaxes(title="rounds", **at)
        figure.update_yaxes(type="log", **at)

    return fill


def _to_target(comparison: Comparison, target: float) -> Callable[..., None]:
    """Draw a dot per seed that reached the target, and a bar of their mean where all did.

    Where some did not, the label says how many did.
    """

    def fill(figure: go.Figure, at: dict[str, int]) -> None:
        summary = comparison.summary(target)
        took = comparison.to_target(target)
        means = summary["bytes_to_target"]
        colours = list(map(_colour, range(len(comparison.names))))
        labels = {}
        for name in comparison.names:
            some = "" if means.notna()[name] else f"<br>{summary['reached'][name]}"
            labels[name] = f"{name}{some}"
        figure.add_bar(
            x=list(labels.values()), y=means / 1e6, marker_color=colours, showlegend=False, **at
        )
        figure.add_scatter(
            x=took["run"].map(labels),
            y=took["bytes"] / 1e6,
            mode="markers",
            showlegend=False,
            hovertext=list(map("seed {}".format, took["seed"])),
            marker={"color": "#333333", "size": 5},
            **at,
        )

    return fill
