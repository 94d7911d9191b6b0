"""``%rml respawn``: nodes of lost engines, made anew on others."""

from __future__ import annotations

from typing import Any

from roleml_nb.testbed import Testbed

OVERVIEW = """\
%rml respawn                                          make nodes of lost engines anew on others
"""


def add(add: Any) -> None:
    respawn = add(
        "respawn",
        "Make nodes of lost engines anew on others, with the roles, elements and relationships that"
        " they had. Their roles begin anew; %%rml restore goes on from a checkpoint.",
    )
    respawn.add_argument("nodes", nargs="*", default=["*"], help="which of them: client* (all)")
    respawn.add_argument(
        "--on", metavar="ENGINE", help="put all on this engine (default: spread over all)"
    )


def run(magics: Any, given: Any) -> None:
    nodes = magics.running().respawn(given.nodes, given.on)
    said = f"{len(nodes)} node{'s' * (len(nodes) != 1)} made anew: {', '.join(nodes)}"
    print(said if nodes else "no node is lost")


def complete(bed: Testbed | None, command: str, words: list[str]) -> list[str]:
    if bed is None:
        return []
    return [node for node, place in bed.registry.places.items() if place in bed.lost]
