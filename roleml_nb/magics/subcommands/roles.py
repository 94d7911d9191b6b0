"""``%rml assign``, ``terminate`` and ``migrate``: which node has which roles."""

from __future__ import annotations

import ast
from argparse import ArgumentParser, Namespace
from typing import Any, NamedTuple

from roleml_nb.role import Role, did_you_mean, standard_name
from roleml_nb.testbed.operations.assign import check_sendable, plan_assignment

from ..codegen import (
    call_code,
    call_options,
    dict_code,
    element_code,
    literals,
    per_node_code,
)
from ..context import Context
from ..formatting import abbreviate, pluralize
from ..parsing import BadLine, element, evaluate, pair, seconds
from .subcommand import Subcommand

__all__ = ["Assign", "Migrate", "Terminate"]


class Assign(Subcommand):
    """Put roles on nodes; a role of that name on a node is replaced."""

    name = "assign"
    overview = {"assign client* trainer=Trainer --element dataset=digits(part=i, parts=n)": ""}
    effect = "undoable"  # where it replaces no role

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("nodes", help="which nodes: client*")
        parser.add_argument(
            "roles", nargs="+", metavar="name=Class", help="or name=Class(option=value, …)"
        )
        parser.add_argument(
            "--element",
            action="append",
            default=[],
            metavar="name=value",
            help="what implements an element; a call is made on the node. Repeat for more",
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        bed = context.running()
        names = context.names()
        nodes = bed.select(arguments.nodes)
        elements = {}
        for item in arguments.element:
            name, source = pair(item, "--element name=value")
            elements[name] = element(source, names, nodes.names)
        wanted = [_wanted_role(context, item, nodes.names) for item in arguments.roles]
        _check(wanted, nodes.names, elements)
        for name, cls, options in wanted:
            nodes.assign(name, cls, options=options, elements=elements)
            where = f"{pluralize(len(nodes), 'node')}: {abbreviate(nodes.names)}"
            print(f"{name}={cls.__name__} ready on {where}")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        if context.running_bed is None:
            return []
        classes = context.role_classes()
        if words[-1:] != ["--element"]:
            return [*context.nodes(), *classes]
        offered: list[str] = []
        for word in words:
            class_name = word.partition("=")[2].partition("(")[0]
            if class_name in classes:
                names = classes[class_name].elements
                offered += [f"{name.replace('-', '_')}=" for name in names]
        return offered

    def to_python(self, arguments: Namespace) -> str:
        lines = [f"selected = bed.select({arguments.nodes!r})"]
        elements = {}
        for item in arguments.element:
            name, source = item.split("=", 1)
            elements[name] = element_code(source)
        for item in arguments.roles:
            name, _, source = item.partition("=")
            cls, _, _ = source.partition("(")
            given = {}
            options = {}
            if "(" in source:
                for option, value in call_options(source).items():
                    options[option] = per_node_code(value)
            if options:
                given["options"] = dict_code(options)
            if elements:
                given["elements"] = dict_code(elements)
            lines.append(call_code("selected.assign", repr(name), cls, **given))
        return "\n".join(lines)


class _WantedRole(NamedTuple):
    """A role that a line asks for, ``name=Class(option=value)``."""

    name: str
    cls: type[Role]
    options: dict[str, Any]


def _wanted_role(context: Context, item: str, nodes: list[str]) -> _WantedRole:
    name, source = pair(item, "name=Class")
    class_name, bracket, _ = source.partition("(")
    classes = context.role_classes()
    if class_name not in classes:
        raise BadLine(f"no role class {class_name!r}; {did_you_mean(class_name, classes)}")
    options: dict[str, Any] = {}
    if bracket:
        names = context.names()
        for word in _keywords(source):
            options[str(word.arg)] = evaluate(ast.unparse(word.value), names, nodes)
    return _WantedRole(name, classes[class_name], options)


def _keywords(source: str) -> list[ast.keyword]:
    """Return the options of ``Class(option=value)``; BadLine when there is anything else."""
    try:
        made = ast.parse(source, mode="eval").body
    except SyntaxError:
        raise BadLine(f"{source!r}: write Class(option=value, …)") from None
    if (
        not isinstance(made, ast.Call)
        or made.args
        or any(word.arg is None for word in made.keywords)
    ):
        raise BadLine(f"{source!r}: name the options, as in Class(option=value)")
    return made.keywords


def _check(wanted: list[_WantedRole], nodes: list[str], elements: dict[str, Any]) -> None:
    """Check all roles of a line before the first one is assigned."""
    standard = {standard_name(name): value for name, value in elements.items()}
    for name, cls, options in wanted:
        planned = plan_assignment(nodes, name, cls, options, standard)
        if len(wanted) == 1:
            continue  # values that cannot be sent fail before anything is changed
        for node, values in planned.items():
            check_sendable(f"assign {name}={cls.__name__} on {node}", *values)


class Terminate(Subcommand):
    """Take roles off nodes; their running handlers end first."""

    name = "terminate"
    overview = {"terminate client* trainer": "take roles off nodes"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("nodes", help="which nodes: client*")
        parser.add_argument("roles", nargs="+", metavar="role", help="their names: trainer")

    def run(self, context: Context, arguments: Namespace) -> None:
        bed = context.running()
        selected = bed.select(arguments.nodes)
        roles = list(dict.fromkeys(arguments.roles))
        for role in roles:  # BadLine for a role that is missing, before anything is changed
            bed.registry.instances([f"{node}/{role}" for node in selected])
        for role in roles:
            nodes = bed.terminate(selected, role)
            print(f"{role} taken off {', '.join(nodes)}")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        if not words or context.running_bed is None:
            return context.nodes()
        roles = {instance.partition("/")[2] for instance in context.instances()}
        return sorted(roles)

    def to_python(self, arguments: Namespace) -> str:
        lines = []
        for role in dict.fromkeys(arguments.roles):
            lines.append(call_code("bed.terminate", repr(arguments.nodes), repr(role)))
        return "\n".join(lines)


class Migrate(Subcommand):
    """Move a role to another node, with its state, while others go on calling it."""

    name = "migrate"
    overview = {"migrate server/aggregator client1": "move a role to another node, with its state"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("role", help="server/aggregator")
        parser.add_argument("to", help="node, or node/other-name")
        parser.add_argument(
            "--keep",
            action="store_true",
            help="where relationships mean other roles over there, use those of that node",
        )
        parser.add_argument(
            "--timeout",
            type=seconds,
            default=60.0,
            metavar="SECONDS",
            help="for its running handlers (60)",
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        new = context.running().migrate(
            arguments.role,
            arguments.to,
            conflicts="keep" if arguments.keep else "refuse",
            timeout=arguments.timeout,
        )
        print(f"{arguments.role} → {new}")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return [*context.instances(), *context.nodes()]

    def to_python(self, arguments: Namespace) -> str:
        return call_code(
            "bed.migrate",
            repr(arguments.role),
            repr(arguments.to),
            **literals(conflicts="keep" if arguments.keep else None, timeout=arguments.timeout),
        )
