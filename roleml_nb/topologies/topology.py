"""Topologies: graphs of senders and receivers, which may change from round to round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import networkx as nx
import numpy as np

from roleml_nb.role import RoleMLError, TestbedError, did_you_mean, natural_key
from roleml_nb.role.checks.arguments import checked, checked_methods
from roleml_nb.role.checks.numbers import check_count, check_seed

from .graphs import draw_graph
from .mixing_weights import column_stochastic, metropolis_hastings, mixing_matrix
from .report import TopologyReport

__all__ = ["Topology", "topology"]


@checked_methods
class Topology:
    """A graph over nodes, the same in all rounds or a new one in each; made by `topology`.

    Attributes
    ----------
    nodes : list of str
        Their names, in order.
    name : str
        Of the graph.
    changes : bool
        True when each round has a graph of its own.
    """

    def __init__(self, name: str, nodes: Sequence[str], source: nx.Graph | Callable[[int], Any]):
        self.name = name
        self.nodes = list(nodes)
        self.changes = not isinstance(source, nx.Graph)
        self._source = source

    def __repr__(self) -> str:
        many = "a graph per round" if self.changes else f"{self.graph().number_of_edges()} edges"
        return f"<Topology: {self.name}, {len(self.nodes)} nodes, {many}>"

    def graph(self, round: int = 0) -> nx.Graph:
        """Return the graph of a round, over the names of the nodes.

        It is a `networkx.DiGraph` when its edges lead one way.
        """
        round = check_count("round", round)
        graph = self._source if isinstance(self._source, nx.Graph) else self._source(round)
        return _relabel(self.nodes, graph)

    def neighbours(self, round: int = 0) -> dict[str, list[str]]:
        """Return the receivers of each node in a round: {node: nodes}."""
        graph = self.graph(round)
        return {node: sorted(graph[node], key=natural_key) for node in self.nodes}

    def check(self, round: int = 0) -> Topology:
        """Raise TestbedError, which names the components, unless all nodes reach one another."""
        components = _components(self.graph(round))
        if len(components) > 1:
            parts = " and ".join(map(_in_braces, components[:3]))
            more = f" and {len(components) - 3} more" if len(components) > 3 else ""
            kind = "strongly connected" if self.graph(round).is_directed() else "connected"
            raise TestbedError(
                f"the {self.name} graph is not {kind}: its components are {parts}{more}; "
                "add edges between them, or wire each by itself"
            )
        return self

    def weights(self, round: int = 0) -> np.ndarray:
        """Return the mixing matrix W, of shape (n, n), in the order of `nodes`.

        It has Metropolis–Hastings weights (doubly stochastic), or, where edges lead one way, those
        of push-sum (the columns sum to 1).
        """
        weigh = column_stochastic if self.graph(round).is_directed() else metropolis_hastings
        return mixing_matrix(weigh(self.neighbours(round)))

    def report(self, rounds: int = 1) -> TopologyReport:
        """Return degree, diameter, spectral gap and predicted consensus rate.

        The report prints as text; its ``draw()`` makes a picture. For a topology that changes,
        degree and diameter are those of the union of `rounds` graphs, and the rate is that of
        mixing through all of them, one after the other.
        """
        rounds = check_count("rounds", rounds, 1, 1_000_000)
        count = rounds if self.changes else 1
        graphs = list(map(self.graph, range(count)))
        product = np.eye(len(self.nodes))
        for number in range(count):
            product = self.weights(number) @ product
        return TopologyReport(self.name, nx.compose_all(graphs), product, count)

    # topologies made of this one

    def bipartite(self) -> Topology:
        """Return a connected bipartite part: edges lead from the active half to the other.

        AD-PSGD needs such a graph. The halves are the nodes at even and at odd distance from the
        first node.
        """
        graph = self.check().graph()
        level = nx.single_source_shortest_path_length(graph.to_undirected(), self.nodes[0])
        halves = nx.DiGraph()
        halves.add_nodes_from(self.nodes)
        for a, b in graph.edges:
            if (level[a] - level[b]) % 2:
                active, passive = (a, b) if level[a] % 2 == 0 else (b, a)
                halves.add_edge(active, passive)
        return Topology(f"bipartite {self.name}", self.nodes, halves)

    def spanning_tree(self, root: str | None = None) -> Topology:
        """Return the tree of shortest ways from `root` (default: the first node).

        Its edges lead from each node to its children.
        """
        if root is not None and root not in self.nodes:
            raise TestbedError(f"no node {root!r} in {self.name}; {did_you_mean(root, self.nodes)}")
        graph = self.check().graph()
        tree = nx.DiGraph()
        tree.add_nodes_from(self.nodes)
        tree.add_edges_from(nx.bfs_tree(graph, self.nodes[0] if root is None else root).edges)
        return Topology(f"tree in {self.name}", self.nodes, tree)


MAX_NODES = 100_000
"""Nodes of a topology that is given their number."""


@partial(checked, exempt=("source",))
def topology(
    source: str | nx.Graph | Callable[[int], Any] | Topology,
    nodes: int | Iterable[str],
    *,
    seed: int = 0,
    **options: Any,
) -> Topology:
    """Make a topology.

    Parameters
    ----------
    source
        The name of a graph (full, star, ring, line, grid, torus, tree, random-regular, erdos-renyi,
        small-world, scale-free, directed-ring, exponential), any networkx graph, or a callable that
        returns either for a round (0, 1, …). A graph is over the names of the nodes, or over as
        many other things, which then stand for the nodes in their order (numbers in numerical
        order).
    nodes
        Names of the nodes, or their number ("node1", …).
    seed
        Of random graphs.
    options
        Of a graph that is given by name: ``degree``, ``p``, ``branching``.

    Raises
    ------
    TestbedError
        For an unknown name or option, a graph that cannot be made, or one that is over other nodes.
    """
    seed = check_seed(seed)
    if isinstance(nodes, Iterable) and not hasattr(nodes, "__index__"):
        names = list(nodes)
    else:
        count = check_count("nodes", nodes, 0, MAX_NODES)
        names = [f"node{number}" for number in range(1, count + 1)]
    if not names:
        raise TestbedError("a topology needs at least one node")
    if isinstance(source, Topology):
        source = source._source
    if isinstance(source, str):
        return Topology(source, names, draw_graph(source, len(names), seed, options))
    if options:
        raise TestbedError(
            f"{', '.join(options)}: options are for graphs given by name, such as 'random-regular'"
        )
    if isinstance(source, nx.Graph):
        return Topology(source.name or "given", names, _relabel(names, source))
    if not callable(source):
        raise TestbedError(
            f"a topology is a name, a networkx graph or a callable of the round, not {source!r}"
        )

    name = getattr(source, "__name__", "changing").replace("<lambda>", "changing")

    def of_round(number: int) -> Any:
        try:
            found = source(number)
        except RoleMLError:
            raise
        except Exception as error:  # of the user's code
            raise TestbedError(
                f"{name} gave no graph for round {number}: {type(error).__name__}: {error}"
            ) from error
        return draw_graph(found, len(names), seed + number, {}) if isinstance(found, str) else found

    made = Topology(name, names, of_round)
    made.graph()  # raises where the callable does not fit
    return made


def _relabel(names: list[str], graph: Any) -> nx.Graph:
    """Return the graph over `names`, without loops and parallel edges."""
    if not isinstance(graph, nx.Graph):
        raise TestbedError(f"a round's graph is a name or a networkx graph, not {graph!r}")
    if set(graph) == set(names):
        name_of = dict(zip(names, names, strict=True))
    elif len(graph) == len(names):
        numbered = all(isinstance(node, int) for node in graph)
        name_of = dict(zip(sorted(graph) if numbered else graph, names, strict=True))
    else:
        raise TestbedError(
            f"the graph has {len(graph)} nodes, but there are {len(names)} to wire:"
            f" {_join_names(names, 8)}"
        )
    made = nx.DiGraph() if graph.is_directed() else nx.Graph()
    made.add_nodes_from(names)
    for a, b in graph.edges():
        if a != b:
            made.add_edge(name_of[a], name_of[b])
    return made


def _components(graph: nx.Graph) -> list[list[str]]:
    find = nx.strongly_connected_components if graph.is_directed() else nx.connected_components
    parts = [sorted(part, key=natural_key) for part in find(graph)]
    return sorted(parts, key=lambda part: natural_key(part[0]))


def _in_braces(names: Sequence[str]) -> str:
    return f"{{{_join_names(names, 6)}}}"


def _join_names(names: Sequence[str], limit: int) -> str:
    more = f", … ({len(names)} nodes)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
