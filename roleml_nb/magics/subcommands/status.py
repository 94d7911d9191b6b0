"""``%rml status``, ``links`` and ``waiting``: the state of the testbed."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from typing import Any

from ..context import Context
from .subcommand import Subcommand

__all__ = ["Links", "Status", "Waiting"]


class Status(Subcommand):
    """Print engines, nodes and roles."""

    name = "status"
    overview = {"status": "nodes, roles, engines"}
    effect = "none"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="as JSON, for programs")

    def run(self, context: Context, arguments: Namespace) -> Any:
        status = context.running().status()
        if arguments.json:
            print(json.dumps(status.to_dict(), indent=1, ensure_ascii=False))
        else:
            print(status)
        return status

    def to_python(self, arguments: Namespace) -> str | None:
        return "bed.status()" if arguments.value_wanted else None


class Links(Subcommand):
    """Print which link each pair of hosts uses, and why it is no better one."""

    name = "links"
    overview = {"links": "how hosts are linked, and why not better"}
    effect = "none"

    def run(self, context: Context, arguments: Namespace) -> None:
        print("\n".join(context.running().links()) or "no links: all in this process")


class Waiting(Subcommand):
    """Print which calls wait, for whom, and what is done about them there."""

    name = "waiting"
    overview = {"waiting": "who waits for whom"}
    effect = "none"

    def run(self, context: Context, arguments: Namespace) -> None:
        print("\n".join(context.running().waiting()) or "nobody waits")
