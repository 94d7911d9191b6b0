"""``%rml spawn``, ``remove``, ``rename``, ``move`` and ``respawn``: nodes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from roleml_nb.testbed import Nodes

from ..codegen import call_code, literals
from ..context import Context
from ..formatting import abbreviate, pluralize
from .subcommand import Subcommand

__all__ = ["Move", "Remove", "Rename", "Respawn", "Spawn"]


class Spawn(Subcommand):
    """Make nodes. Those that exist already are left as they are."""

    name = "spawn"
    overview = {"spawn  server client{1..8}": "make nodes"}
    effect = "undoable"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("nodes", nargs="+", help="names: server client{1..8}")
        parser.add_argument(
            "--on", metavar="ENGINE", help="put all on this engine (default: spread over all)"
        )

    def run(self, context: Context, arguments: Namespace) -> Nodes:
        nodes = context.running().spawn(*arguments.nodes, on=arguments.on)
        print(f"{pluralize(len(nodes), 'node')}: {abbreviate(nodes.names)}")
        return nodes

    def to_python(self, arguments: Namespace) -> str:
        return call_code("bed.spawn", *map(repr, arguments.nodes), **literals(on=arguments.on))


class Remove(Subcommand):
    """Take nodes away, with their roles; other nodes forget them."""

    name = "remove"
    overview = {"remove client8": "take nodes away, with their roles"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("nodes", nargs="+", help="which nodes: client8")

    def run(self, context: Context, arguments: Namespace) -> None:
        print(f"removed {', '.join(context.running().remove(arguments.nodes))}")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return context.nodes()

    def to_python(self, arguments: Namespace) -> str:
        return call_code("bed.remove", repr(arguments.nodes))


class Rename(Subcommand):
    """Give a node another name; relationships speak of its roles by their new address."""

    name = "rename"
    overview = {"rename client8 late": "give a node another name"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("node", help="which node: client8")
        parser.add_argument("name", help="its new name: late")

    def run(self, context: Context, arguments: Namespace) -> None:
        context.running().rename(arguments.node, arguments.name)
        print(f"{arguments.node} is called {arguments.name}")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return context.nodes()

    def to_python(self, arguments: Namespace) -> str:
        return call_code("bed.rename", repr(arguments.node), repr(arguments.name))


class Move(Subcommand):
    """Take nodes to another engine, with their roles and their state."""

    name = "move"
    overview = {"move   client{1..4} --on 1": "take nodes to another engine"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("nodes", nargs="+", help="which nodes: client{1..4}")
        parser.add_argument(
            "--on", required=True, metavar="ENGINE", help="the number of the engine"
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        moved = context.running().move(arguments.nodes, arguments.on)
        print(f"moved to {arguments.on}: {', '.join(moved) or 'none, all were there'}")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return context.nodes()

    def to_python(self, arguments: Namespace) -> str:
        return call_code("bed.move", repr(arguments.nodes), repr(arguments.on))


class Respawn(Subcommand):
    """Make nodes of lost engines anew on others, with the roles, elements and relationships that
    they had. Their roles begin anew; %rml restore goes on from a checkpoint.
    """

    name = "respawn"
    overview = {"respawn": "make nodes of lost engines anew on others"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("nodes", nargs="*", default=["*"], help="which of them: client* (all)")
        parser.add_argument(
            "--on", metavar="ENGINE", help="put all on this engine (default: spread over all)"
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        nodes = context.running().respawn(arguments.nodes, arguments.on)
        if nodes:
            print(f"{pluralize(len(nodes), 'node')} made anew: {', '.join(nodes)}")
        else:
            print("no node is lost")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        bed = context.running_bed
        if bed is None:
            return []
        return [node for node, place in bed.registry.places.items() if place in bed.lost]

    def to_python(self, arguments: Namespace) -> str:
        return call_code("bed.respawn", repr(arguments.nodes), **literals(on=arguments.on))
