"""Graphs by name: networkx graphs over 0 … n - 1, of any size down to a single node."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import networkx as nx

from roleml_nb.role import TestbedError, did_you_mean, standard_name
from roleml_nb.role.checks.numbers import check_count, check_number, check_seed

__all__ = ["GRAPHS", "draw_graph"]


def _full(n: int) -> nx.Graph:
    return nx.complete_graph(n)


def _star(n: int) -> nx.Graph:
    return nx.star_graph(n - 1)


def _ring(n: int) -> nx.Graph:
    return nx.cycle_graph(n) if n > 2 else nx.path_graph(n)


def _line(n: int) -> nx.Graph:
    return nx.path_graph(n)


def _grid(n: int) -> nx.Graph:
    return nx.convert_node_labels_to_integers(nx.grid_2d_graph(*_sides(n)))


def _torus(n: int) -> nx.Graph:
    return nx.convert_node_labels_to_integers(nx.grid_2d_graph(*_sides(n), periodic=True))


def _sides(n: int) -> tuple[int, int]:
    """Return the sides of the rectangle of n places that is closest to a square."""
    short = math.isqrt(n)
    while n % short:
        short -= 1
    return short, n // short


def _tree(n: int, branching: int = 2) -> nx.Graph:
    return nx.full_rary_tree(branching, n)


def _random_regular(n: int, degree: int | None = None, seed: int = 0) -> nx.Graph:
    degree = 3 + n % 2 if degree is None else degree
    if degree >= n - 1:
        return nx.complete_graph(n)
    if n * degree % 2:
        raise TestbedError(
            f"no graph of {n} nodes has degree {degree} everywhere: one of the two must be even"
        )
    return _connected(lambda draw: nx.random_regular_graph(degree, n, seed=draw), seed)


def _erdos_renyi(n: int, p: float | None = None, seed: int = 0) -> nx.Graph:
    if p is not None:
        return nx.gnp_random_graph(n, p, seed=seed)
    likely = min(1.0, 2 * math.log(n) / n) if n > 2 else 1.0  # twice the threshold of connectedness
    return _connected(lambda draw: nx.gnp_random_graph(n, likely, seed=draw), seed)


def _small_world(n: int, degree: int = 4, p: float = 0.2, seed: int = 0) -> nx.Graph:
    if degree >= n - 1:
        return nx.complete_graph(n)
    return nx.connected_watts_strogatz_graph(n, degree, p, tries=1000, seed=seed)


def _scale_free(n: int, degree: int = 2, seed: int = 0) -> nx.Graph:
    if degree >= n - 1:
        return nx.complete_graph(n)
    return nx.barabasi_albert_graph(n, degree, seed=seed)


def _directed_ring(n: int) -> nx.DiGraph:
    graph = nx.empty_graph(n, nx.DiGraph)
    if n > 1:
        nx.add_cycle(graph, range(n))
    return graph


def _exponential(n: int) -> nx.DiGraph:
    """Make the graph of stochastic gradient push: i sends to i + 1, i + 2, i + 4, … (Assran et al.
    2019).
    """
    graph = nx.empty_graph(n, nx.DiGraph)
    for i in range(n):
        for k in range((n - 1).bit_length()):
            graph.add_edge(i, (i + 2**k) % n)
    return graph


def _connected(draw: Callable[[int], nx.Graph], seed: int) -> nx.Graph:
    """Draw graphs with `seed`, `seed` + 1, … up to the first connected one, 100 at most."""
    for number in range(100):
        graph = draw(seed + number)
        if nx.is_connected(graph):
            return graph
    return graph


GRAPHS: dict[str, Callable[..., nx.Graph]] = {
    "full": _full,
    "star": _star,
    "ring": _ring,
    "line": _line,
    "grid": _grid,
    "torus": _torus,
    "tree": _tree,
    "random-regular": _random_regular,
    "erdos-renyi": _erdos_renyi,
    "small-world": _small_world,
    "scale-free": _scale_free,
    "directed-ring": _directed_ring,
    "exponential": _exponential,
}
"""By name; a function of the number of nodes, and options."""


MAX_EDGES = 20_000_000
"""Edges of a full graph."""
OPTION_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "degree": lambda name, value: None if value is None else check_count(name, value, 0, 1_000_000),
    "branching": lambda name, value: check_count(name, value, 1, 1_000_000),
    "p": lambda name, value: None if value is None else check_number(name, value, 0, 1),
    "seed": lambda name, value: check_seed(value, name),
}
"""Functions that check options which are numbers, by name of the option."""


def _accept_any(name: str, value: Any) -> Any:
    return value


def draw_graph(name: str, n: int, seed: int, options: dict[str, Any]) -> nx.Graph:
    """Return the graph of that name over 0 … n - 1; TestbedError for an unknown name or option."""
    key = standard_name(name.lower())
    if key not in GRAPHS:
        raise TestbedError(f"no graph {name!r}; {did_you_mean(key, GRAPHS)}")
    make = GRAPHS[key]
    known = make.__code__.co_varnames[1 : make.__code__.co_argcount]
    for option in options:
        if option not in known:
            raise TestbedError(
                f"a {key} graph has no option {option!r}; {did_you_mean(option, known)}"
            )
    if key == "full" and n * (n - 1) // 2 > MAX_EDGES:
        raise TestbedError(
            f"a full graph of {n} nodes would have {n * (n - 1) // 2} edges, and {MAX_EDGES} is"
            " the most"
        )
    given = {"seed": seed, **options} if "seed" in known else options
    try:
        checked = {}
        for option, value in given.items():
            checked[option] = OPTION_CHECKS.get(option, _accept_any)(option, value)
        return make(n, **checked)
    except (nx.NetworkXException, ValueError, TypeError) as error:
        described = ", ".join(f"{option}={value!r}" for option, value in options.items())
        raise TestbedError(
            f"no {key} graph of {n} nodes with {described or 'its defaults'}: {error}"
        ) from None
