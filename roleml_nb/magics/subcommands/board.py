"""``%rml board``, and what a hand does there that no other command says."""

from __future__ import annotations

from typing import Any

from roleml_nb.magics.parsing import pair
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.expressions import BadLine, evaluate

from ..completion import nodes_of

OVERVIEW = """\
%rml board                                            draw all that; drag roles onto nodes
%rml terminate client* trainer                        take roles off nodes
%rml unrelate server trainer=client1/trainer          let nodes forget roles of other nodes
%rml remove client8                                   take nodes away, with their roles
%rml rename client8 late                              give a node another name
%rml move   client{1..4} --on 1                       take nodes to another engine"""


def add(add: Any) -> None:
    add(
        "board",
        "Draw nodes, roles and relationships; roles are dragged onto nodes, and the board says it"
        " all as code.",
    )
    terminate = add("terminate", "Take roles off nodes; their running handlers end first.")
    terminate.add_argument("nodes", help="which nodes: client*")
    terminate.add_argument("roles", nargs="+", metavar="role", help="their names: trainer")
    unrelate = add("unrelate", "Let nodes forget roles of other nodes.")
    unrelate.add_argument("nodes", help="who shall forget: server")
    unrelate.add_argument(
        "relations", nargs="+", metavar="relationship=node/role", help="trainer=client1/trainer"
    )
    remove = add("remove", "Take nodes away, with their roles; other nodes forget them.")
    remove.add_argument("nodes", nargs="+", help="which nodes: client8")
    rename = add(
        "rename", "Give a node another name; relationships speak of its roles by their new address."
    )
    rename.add_argument("node", help="which node: client8")
    rename.add_argument("name", help="its new name: late")
    move = add("move", "Take nodes to another engine, with their roles and their state.")
    move.add_argument("nodes", nargs="+", help="which nodes: client{1..4}")
    move.add_argument("--on", required=True, metavar="ENGINE", help="the number of the engine")
    arrange = add(
        "arrange", "Put nodes somewhere on the board; without a place, wherever the board likes."
    )
    arrange.add_argument("places", nargs="+", metavar="node=(x, y)", help="server=(200, 40)")


def run(magics: Any, given: Any) -> None:
    _COMMANDS[given.command](magics, magics.running(), given)


def complete(bed: Testbed | None, command: str, words: list[str]) -> list[str]:
    nodes = nodes_of(bed)
    if command == "terminate" and words and bed is not None:
        return sorted({role for given in bed.spec()["nodes"].values() for role in given["roles"]})
    return [f"{node}=" for node in nodes] if command == "arrange" else nodes


def _board(magics: Any, bed: Testbed, given: Any) -> None:
    from IPython.display import display

    display(bed.board(names=magics.shell.user_ns))


def _terminate(magics: Any, bed: Testbed, given: Any) -> None:
    selected = bed.select(given.nodes)
    roles = list(dict.fromkeys(given.roles))
    for role in roles:
        bed.registry.instances([f"{node}/{role}" for node in selected])
    for role in roles:
        nodes = bed.terminate(selected, role)
        print(f"{role} taken off {', '.join(nodes)}")


def _unrelate(magics: Any, bed: Testbed, given: Any) -> None:
    nodes = bed.select(given.nodes)
    relations = [pair(item, "relationship=node/role") for item in given.relations]
    found = [bed.registry.instances(pattern.split(","), name) for name, pattern in relations]
    for (name, pattern), members in zip(relations, found, strict=True):
        bed.relate(nodes, name, members, remove=True)
        print(f"{', '.join(nodes)}: {name} without {pattern}")


def _remove(magics: Any, bed: Testbed, given: Any) -> None:
    print(f"removed {', '.join(bed.remove(given.nodes))}")


def _rename(magics: Any, bed: Testbed, given: Any) -> None:
    bed.rename(given.node, given.name)
    print(f"{given.node} is called {given.name}")


def _move(magics: Any, bed: Testbed, given: Any) -> None:
    moved = bed.move(given.nodes, given.on)
    print(f"moved to {given.on}: {', '.join(moved) or 'none, all were there'}")


def _arrange(magics: Any, bed: Testbed, given: Any) -> None:
    places = {}
    for item in given.places:
        node, _, source = item.partition("=")
        at = evaluate(source, magics.names()) if source else None
        if at is not None and not (isinstance(at, tuple) and len(at) == 2):
            raise BadLine(
                f"{item!r}: write node=(x, y), or the node alone for wherever the board likes"
            )
        places[node] = at
    bed.arrange(places)


_COMMANDS = {
    "board": _board,
    "terminate": _terminate,
    "unrelate": _unrelate,
    "remove": _remove,
    "rename": _rename,
    "move": _move,
    "arrange": _arrange,
}
