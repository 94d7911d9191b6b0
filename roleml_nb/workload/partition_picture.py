"""A picture of a partition: the classes that each node has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from roleml_nb.pictures.palette import PALETTE
from roleml_nb.role import ArgumentError

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["draw_partition"]

COLOURS = (*PALETTE[:6], "#F0E442", PALETTE[7], "#44AA99", "#882255")
"""The palette with yellow in place of black, and two colours of Tol's."""


def draw_partition(
    parts: Sequence[Any],
    labels: Any = None,
    *,
    names: Sequence[str] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw stacked bars of the number of samples of each class on each node.

    Parameters
    ----------
    parts : sequence
        Data sets with targets `y`, such as ``[digits(i, 8) for i in range(8)]``; or, with `labels`,
        arrays of indices.
    labels : array of shape (n,), optional
        Class of each sample.
    names : sequence of str, optional
        Names of the nodes; 0, 1, … when not given.
    title : str, optional

    Raises
    ------
    ValueError
        When there are no parts, their targets are no classes, or names are too few or too many.
    """
    from roleml_nb.pictures.figure import Figure

    owned = []
    for part in parts:
        if labels is None:
            owned.append(_targets(part))
        else:
            owned.append(np.asarray(labels)[np.asarray(part, np.int64)])
    if not owned:
        raise ArgumentError("there are no parts to draw")
    if not all(np.issubdtype(one.dtype, np.integer) for one in owned if len(one)):
        raise ArgumentError("the targets are numbers, not classes: there are no classes to draw")
    shown = list(map(str, range(len(owned)))) if names is None else list(names)
    if len(shown) != len(owned):
        raise ArgumentError(
            f"there must be a name per part: {len(owned)} parts, but {len(shown)} names"
        )
    figure = Figure()
    for place, label in enumerate(np.unique(np.concatenate(owned))):
        figure.add_bar(
            x=shown,
            y=[int((one == label).sum()) for one in owned],
            name=str(label),
            marker_color=COLOURS[place % len(COLOURS)],
        )
    figure.update_xaxes(title="node", type="category")
    figure.update_yaxes(title="samples")
    return figure.update_layout(
        barmode="stack",
        template="plotly_white",
        title=title or "Samples of each class, by node",
        legend={"title": "class"},
        height=420,
    )


def _targets(part: Any) -> np.ndarray:
    if not hasattr(part, "y"):
        raise ArgumentError(
            f"a {type(part).__name__} has no targets y: give a data set, or arrays of indices and"
            " labels"
        )
    return np.asarray(part.y)
