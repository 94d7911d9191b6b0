"""``%rml relate``, ``unrelate`` and ``wire``: which node knows which roles of others."""

from __future__ import annotations

import ast
from argparse import ArgumentParser, Namespace
from typing import NamedTuple

from roleml_nb.role import RoleInstanceID
from roleml_nb.testbed import Testbed

from ..codegen import call_code, call_options, literals
from ..context import Context
from ..formatting import abbreviate, pluralize
from ..parsing import BadLine, graph, pair
from .subcommand import Subcommand

__all__ = ["Relate", "Unrelate", "Wire"]


class Relate(Subcommand):
    """Let nodes know roles of other nodes, under the name of a relationship."""

    name = "relate"
    overview = {"relate server trainer=client*/trainer": "let nodes know roles of other nodes"}
    effect = "undoable"
    names_after_equals = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("nodes", help="who shall know: server")
        parser.add_argument(
            "relations", nargs="+", metavar="relationship=node/role", help="trainer=client*/trainer"
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        bed = context.running()
        nodes = bed.select(arguments.nodes)
        for relation in _find(bed, arguments.relations):
            nodes.relate(relation.name, relation.members)
            known = pluralize(len(relation.members), "role")
            print(f"{abbreviate(nodes.names)}: {relation.name} → {known}")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return [*context.nodes(), *context.instances()]

    def to_python(self, arguments: Namespace) -> str:
        return _relate_code(arguments)


class Unrelate(Subcommand):
    """Let nodes forget roles of other nodes."""

    name = "unrelate"
    overview = {"unrelate server trainer=client1/trainer": "let nodes forget roles of other nodes"}
    effect = "undoable"
    names_after_equals = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("nodes", help="who shall forget: server")
        parser.add_argument(
            "relations", nargs="+", metavar="relationship=node/role", help="trainer=client1/trainer"
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        bed = context.running()
        nodes = bed.select(arguments.nodes)
        for relation in _find(bed, arguments.relations):
            bed.relate(nodes, relation.name, relation.members, remove=True)
            print(f"{', '.join(nodes)}: {relation.name} without {relation.pattern}")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return context.nodes()

    def to_python(self, arguments: Namespace) -> str:
        return _relate_code(arguments, remove="True")


class _Relation(NamedTuple):
    """A relationship of a line, ``name=pattern``, and the roles that the pattern names."""

    name: str
    pattern: str
    members: list[RoleInstanceID]


def _find(bed: Testbed, items: list[str]) -> list[_Relation]:
    """Find the roles of all relationships of a line before the first one is changed."""
    pairs = [pair(item, "relationship=node/role") for item in items]
    found = []
    for name, pattern in pairs:
        members = bed.registry.instances(pattern.split(","), name)
        found.append(_Relation(name, pattern, members))
    return found


def _relate_code(arguments: Namespace, **options: str) -> str:
    lines = []
    for item in arguments.relations:
        name, members = item.split("=", 1)
        args = [repr(arguments.nodes), repr(name), repr(members.split(","))]
        lines.append(call_code("bed.relate", *args, **options))
    return "\n".join(lines)


class Wire(Subcommand):
    """Let nodes know their neighbours on a graph: those they had before are forgotten."""

    name = "wire"
    overview = {"wire   ring peer*/aggregator": "let nodes know their neighbours on a graph"}
    effect = "undoable"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "graph",
            help=(
                "full, star, ring, line, grid, torus, tree, random-regular(degree=4),"
                " erdos-renyi(p=0.3), small-world, scale-free, directed-ring, exponential; or a"
                " networkx graph's variable"
            ),
        )
        parser.add_argument(
            "roles",
            metavar="nodes/role",
            help="which nodes, and their role that neighbours know: peer*/aggregator",
        )
        parser.add_argument(
            "--relationship", default="peer", metavar="NAME", help="what they know them as (peer)"
        )
        parser.add_argument(
            "--round",
            type=int,
            default=None,
            metavar="N",
            help="which graph of a topology that changes",
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        bed = context.running()
        nodes, slash, role = arguments.roles.partition("/")
        if not slash or not role:
            raise BadLine(
                f"{arguments.roles!r} names no role; write nodes/role, as in peer*/aggregator"
            )
        source, options = graph(arguments.graph, context.names())
        wired = bed.wire(
            source,
            relationship=arguments.relationship,
            nodes=nodes,
            role=role,
            round=arguments.round,
            **options,
        )
        print(f"{abbreviate(bed.select(nodes).names)}: {arguments.relationship} → neighbours")
        print(wired.report())

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return [*_graph_names(), *context.instances()]

    def to_python(self, arguments: Namespace) -> str:
        nodes, _, role = arguments.roles.partition("/")
        name, bracket, rest = arguments.graph.partition("(")
        options = {}
        if bracket:
            for option, value in call_options(f"graph({rest}").items():
                options[option] = ast.unparse(value)
        is_variable = arguments.graph.isidentifier() and name not in _graph_names()
        return call_code(
            "bed.wire",
            name if is_variable else repr(name),
            nodes=repr(nodes),
            role=repr(role),
            relationship=repr(arguments.relationship),
            **literals(round=arguments.round),
            **options,
        )


def _graph_names() -> list[str]:
    from roleml_nb.topologies.graphs import GRAPHS  # networkx takes a third of a second to import

    return list(GRAPHS)
