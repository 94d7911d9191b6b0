"""The heat map of the messages of a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from roleml_nb.pictures.figure import Figure

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["draw_heat_map"]

MAX_NAMED_NODES = 60
"""Up to so many nodes, each has its name on both axes."""
SIDE_PIXELS = 520
"""Of the map without its colour bar; it is larger where many nodes have their names."""


def draw_heat_map(table: pd.DataFrame, value: str, title: str | None) -> go.Figure:
    """Draw a matrix of `Messages`, of "bytes" or "messages", without its diagonal."""
    amounts = table / 1e6 if value == "bytes" else table.astype(float)
    shown = amounts.mask(np.eye(len(table), dtype=bool))
    unit = "MB" if value == "bytes" else "messages"
    figure = Figure(
        go.Heatmap(
            z=shown.to_numpy(),
            x=list(table.columns),
            y=list(table.index),
            colorscale="Blues",
            xgap=1,
            ygap=1,
            colorbar={"title": unit},
            hovertemplate="%{y} → %{x}: %{z:.3g} " + unit + "<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", title="from", type="category")
    figure.update_xaxes(title="to", type="category", tickangle=-45)
    side = SIDE_PIXELS
    if 20 < len(table) <= MAX_NAMED_NODES:
        figure.update_xaxes(dtick=1).update_yaxes(dtick=1)
        side = max(side, 200 + 15 * len(table))
    return figure.update_layout(
        template="plotly_white",
        title=title or f"Who sent how much to whom ({unit})",
        height=side,
        width=side + 120,
    )
