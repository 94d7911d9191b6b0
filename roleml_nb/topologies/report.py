"""A report on a topology: numbers, a text, and a picture."""

from __future__ import annotations

import math
from typing import Any

import networkx as nx
import numpy as np

from .mixing_weights import second_eigenvalue

__all__ = ["TopologyReport"]

MAX_KAMADA_KAWAI_NODES = 200
"""Nodes; larger graphs are laid out by a faster method."""
MAX_NAMED_NODES = 30
"""Nodes; a picture of more shows their names on hovering only."""


class TopologyReport:
    """The numbers of a topology; ``str()`` makes a table of them.

    Attributes
    ----------
    nodes, edges : int
    degree : tuple of (int, float, int)
        Smallest, mean and largest number of nodes that a node sends to.
    diameter : int or None
        Length of the longest of the shortest ways; None when a node cannot be reached from another.
    rate : float
        Predicted consensus rate: a round of mixing multiplies the distance from the mean by it. It
        is the second largest modulus of the eigenvalues of W (Xiao and Boyd 2004).
    spectral_gap : float
        1 - `rate`.
    rounds_per_tenth : float
        Rounds of mixing until a tenth of the distance is left; infinite when the graph is not
        connected.
    """

    def __init__(self, name: str, graph: nx.Graph, mixing: np.ndarray, rounds: int):
        self.name = name
        self._graph = graph
        self.nodes = graph.number_of_nodes()
        self.edges = graph.number_of_edges()
        degrees = list(dict(graph.out_degree if graph.is_directed() else graph.degree).values())
        self.degree = min(degrees), sum(degrees) / len(degrees), max(degrees)
        connected = (
            nx.is_strongly_connected(graph) if graph.is_directed() else nx.is_connected(graph)
        )
        self.diameter: int | None = nx.diameter(graph) if connected else None
        self.rate = min(1.0, _without_rounding_error(second_eigenvalue(mixing))) ** (1 / rounds)
        self.spectral_gap = _without_rounding_error(1 - self.rate)
        self.rounds_per_tenth = _rounds_per_tenth(self.rate, self.spectral_gap)

    def __str__(self) -> str:
        low, mean, high = self.degree
        degree = str(low) if low == high else f"{low} to {high}, mean {mean:.2f}"
        diameter = "none: not connected" if self.diameter is None else self.diameter
        return "\n".join(
            [
                f"{self.name}: {self.nodes} nodes, {self.edges} edges",
                f"degree          {degree}",
                f"diameter        {diameter}",
                f"spectral gap    {self.spectral_gap:.4f}",
                f"consensus rate  {self.rate:.4f} per round, a tenth is left after"
                f" {self.rounds_per_tenth:.1f} rounds",
            ]
        )

    __repr__ = __str__

    def draw(self) -> Any:
        """Return the graph as a plotly figure, with the names and degrees of its nodes.

        Arrows show edges that lead one way.
        """
        from roleml_nb.pictures.figure import Figure

        places = _layout(self._graph)
        figure = Figure(
            layout={
                "title": self.name,
                "template": "plotly_white",
                "height": 420,
                "showlegend": False,
                "margin": {"l": 20, "r": 20, "t": 60, "b": 20},
                "xaxis": {"visible": False},
                "yaxis": {"visible": False, "scaleanchor": "x"},
            }
        )
        ends = [(places[a], places[b]) for a, b in self._graph.edges]
        x: list[float | None] = []
        y: list[float | None] = []
        for (x0, y0), (x1, y1) in ends:
            x += x0, x1, None
            y += y0, y1, None
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            line={"color": "#999999", "width": 1},
            hoverinfo="skip",
        )
        if self._graph.is_directed():
            for (x0, y0), (x1, y1) in ends:
                figure.add_annotation(
                    x=0.3 * x0 + 0.7 * x1,
                    y=0.3 * y0 + 0.7 * y1,
                    ax=x0,
                    ay=y0,
                    xref="x",
                    yref="y",
                    axref="x",
                    ayref="y",
                    text="",
                    showarrow=True,
                    arrowhead=2,
                    arrowcolor="#999999",
                )
        self._add_nodes(figure, places)
        return figure

    def _add_nodes(self, figure: Any, places: dict[str, tuple[float, float]]) -> None:
        x: list[float] = []
        y: list[float] = []
        text_positions: list[str] = []
        hover_texts: list[str] = []
        for node in self._graph:
            place = places[node]
            x.append(place[0])
            y.append(place[1])
            text_positions.append(_outwards(*place))
            hover_texts.append(f"{node}: degree {self._graph.degree[node]}")
        few = self.nodes <= MAX_NAMED_NODES
        figure.add_scatter(
            x=x,
            y=y,
            mode="markers+text" if few else "markers",
            text=list(self._graph),
            textposition=text_positions,
            marker={"size": 12 if few else 6, "color": "#0072B2"},
            hovertext=hover_texts,
            hoverinfo="text",
        )


def _rounds_per_tenth(rate: float, spectral_gap: float) -> float:
    if not spectral_gap:
        return math.inf
    return 1.0 if rate == 0 else math.log(0.1, rate)


def _layout(graph: nx.Graph) -> dict[str, tuple[float, float]]:
    plain = graph.to_undirected()
    places = (
        nx.kamada_kawai_layout(plain)
        if len(plain) <= MAX_KAMADA_KAWAI_NODES and nx.is_connected(plain)
        else nx.spring_layout(plain, seed=0)
    )
    return {node: (float(x), float(y)) for node, (x, y) in places.items()}


def _outwards(x: float, y: float) -> str:
    """Return the position of a node's name, away from the middle, where most edges are."""
    vertical = "top" if y >= 0 else "bottom"
    if x < -0.3:
        return f"{vertical} left"
    return f"{vertical} right" if x > 0.3 else f"{vertical} center"


def _without_rounding_error(value: float) -> float:
    """Return 0 for a value that differs from it by a rounding error."""
    return 0.0 if abs(value) < 1e-9 else value
