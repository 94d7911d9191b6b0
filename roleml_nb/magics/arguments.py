"""The sub-commands of %rml: what they take, and their help."""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import NoReturn

from roleml_nb.role import did_you_mean

from .parsing import BadLine, seconds
from .subcommands import modules

__all__ = ["HelpAsked", "overview", "parse", "parsers"]

_OVERVIEW = """\
%rml start  --engines 2                               start a testbed (0: all in this process)
%rml spawn  server client{1..8}                       make nodes
%rml assign client* trainer=Trainer --element dataset=digits(part=i, parts=n)
%rml relate server trainer=client*/trainer            let nodes know roles of other nodes
%rml wire   ring peer*/aggregator                     let nodes know their neighbours on a graph
%rml call   server/coordinator run num_rounds=20      call a service or a task, wait for its result
%rml update                                           take up changed modules; or Trainer: its cell
%rml migrate server/aggregator client1                move a role to another node, with its state
%rml status                                           nodes, roles, engines
%rml save   run.yaml                                  write down all that is deployed
%rml load   run.yaml                                  deploy it again, or RoleML's own files
%rml links                                            how hosts are linked, and why not better
%rml waiting                                          who waits for whom
%rml stop --run                                       end what handlers do, as an interrupt does
%rml stop                                             end everything that was started
"""
_ORDER = (
    "start attach load spawn assign relate wire board call runs wait status roles traffic metrics"
    " trace logs errors debug update terminate unrelate remove rename move migrate respawn links"
    " waiting doctor save export record checkpoint restore detach stop clean"
).split()
_NOTES = """
%%role                                                first line of a cell that defines roles
%%rml                                                 first line of a cell of lines: all or none

Values are Python expressions; i, n and node are the index, size and name in a selection of nodes.
In names, braces hold a range {1..8}, names {alice,bob}, or Python: client{1..count}, {name}/x.
# begins a comment.
result = %rml call … is the value.
%rml COMMAND --help explains a command. The testbed is `bed` in Python."""


def overview() -> str:
    """What ``%rml`` alone prints: all there is, on one screen."""
    lines = [
        line
        for text in (_OVERVIEW, *(getattr(module, "OVERVIEW", "") for module in modules()))
        for line in text.splitlines()
        if line
    ]
    return "\n".join([*sorted(lines, key=_place), _NOTES])


def _place(line: str) -> int:
    """Where a line of the overview stands: in the order in which one needs it."""
    command = line.split()[1]
    return _ORDER.index(command) if command in _ORDER else len(_ORDER)


class HelpAsked(Exception):
    """Asked for help: the text to print."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadLine(f"{message}; see {self.prog} --help")

    def format_usage(self) -> str:
        """For parse_intermixed_args, which formats it once more: the % of %rml must survive
        that.
        """
        return super().format_usage().replace("%", "%%")

    def print_help(self, file: object = None) -> None:
        raise HelpAsked(self.format_help().rstrip())


def parsers() -> dict[str, argparse.ArgumentParser]:
    """A parser for each sub-command; they raise BadLine, or HelpAsked with the text.

    Apart rather than as argparse's sub-parsers, which refuse a word that comes after an option:
    ``spawn a --on 0 b``.
    """
    commands: dict[str, argparse.ArgumentParser] = {}

    def add(name: str, about: str) -> argparse.ArgumentParser:
        commands[name] = _Parser(
            prog=f"%rml {name}",
            description=about,
            allow_abbrev=False,
            # not as wide as the terminal
            formatter_class=lambda prog: argparse.HelpFormatter(prog, width=100),
        )
        return commands[name]

    start = add(
        "start",
        "Start a testbed, or join a running ipyparallel cluster. It becomes the variable `bed`.",
    )
    start.add_argument(
        "--engines",
        type=int,
        default=None,
        metavar="N",
        help=(
            "engines to start (default 2), or of a cluster that is joined, to wait for (default:"
            " those that are there); 0 keeps everything in this process"
        ),
    )
    start.add_argument(
        "--start-timeout",
        type=seconds,
        default=None,
        metavar="SECONDS",
        help="that engines get to come (60)",
    )
    start.add_argument(
        "--seed", type=int, default=None, metavar="N", help="of all that is drawn at random (0)"
    )
    start.add_argument("--profile", help="join the running cluster of this IPython profile")
    start.add_argument("--cluster-id", help="join the running cluster of this id")
    start.add_argument(
        "--detach",
        action="store_true",
        help="engines go on when this kernel ends, for %%rml attach",
    )
    start.add_argument(
        "--pin",
        action="store_true",
        help=(
            "each engine keeps to one core: faster for many small models on a machine that does"
            " nothing else"
        ),
    )
    spawn = add("spawn", "Make nodes. Those that exist already are left as they are.")
    spawn.add_argument("nodes", nargs="+", help="names: server client{1..8}")
    spawn.add_argument(
        "--on", metavar="ENGINE", help="put all on this engine (default: spread over all)"
    )
    assign = add("assign", "Put roles on nodes; a role of that name on a node is replaced.")
    assign.add_argument("nodes", help="which nodes: client*")
    assign.add_argument(
        "roles", nargs="+", metavar="name=Class", help="or name=Class(option=value, …)"
    )
    assign.add_argument(
        "--element",
        action="append",
        default=[],
        metavar="name=value",
        help="what implements an element; a call is made on the node. Repeat for more",
    )
    relate = add("relate", "Let nodes know roles of other nodes, under the name of a relationship.")
    relate.add_argument("nodes", help="who shall know: server")
    relate.add_argument(
        "relations", nargs="+", metavar="relationship=node/role", help="trainer=client*/trainer"
    )
    wire = add(
        "wire", "Let nodes know their neighbours on a graph: those they had before are forgotten."
    )
    wire.add_argument(
        "graph",
        help=(
            "full, star, ring, line, grid, torus, tree, random-regular(degree=4),"
            " erdos-renyi(p=0.3), small-world, scale-free, directed-ring, exponential; or a"
            " networkx graph's variable"
        ),
    )
    wire.add_argument(
        "roles",
        metavar="nodes/role",
        help="which nodes, and their role that neighbours know: peer*/aggregator",
    )
    wire.add_argument(
        "--relationship", default="peer", metavar="NAME", help="what they know them as (peer)"
    )
    wire.add_argument(
        "--round",
        type=int,
        default=None,
        metavar="N",
        help="which graph of a topology that changes",
    )
    call = add("call", "Call a service or a task and print its result; a pattern calls many.")
    call.add_argument("target", help="server/coordinator, or client*/trainer")
    call.add_argument("channel", help="run")
    call.add_argument("args", nargs="*", metavar="name=value", help="num_rounds=20")
    call.add_argument("--timeout", type=seconds, default=None, metavar="SECONDS")
    call.add_argument(
        "--background", action="store_true", help="go on at once; see %%rml runs and %%rml wait"
    )
    load = add(
        "load",
        "Deploy what a file says: one of %rml save, or RoleML's, of a run or of actors. "
        "Starts a testbed unless one is running.",
    )
    load.add_argument(
        "files", nargs="+", metavar="FILE", help="run.yaml; several files of RoleML together"
    )
    load.add_argument(
        "--engines",
        type=int,
        default=None,
        metavar="N",
        help=(
            "engines to start (default: as the file says, else 2); 0 keeps everything in this"
            " process"
        ),
    )
    load.add_argument(
        "--seed",
        type=int,
        default=None,
        metavar="N",
        help="of what a run of RoleML draws at random",
    )
    load.add_argument(
        "--trust",
        action="store_true",
        help="let it call and include anything: from who wrote it you would run a program, too",
    )
    load.add_argument(
        "--root",
        metavar="FOLDER",
        help="what files may include from (default: each from its own folder)",
    )
    save = add(
        "save",
        "Write nodes, roles, elements and relationships into a file, as YAML, or as JSON if it is"
        " named so.",
    )
    save.add_argument("file", metavar="FILE", help="run.yaml")
    update = add(
        "update",
        "Have all roles of a class take up its newest version, as a %%role cell does by itself;"
        " without a class, all roles whose modules have changed.",
    )
    update.add_argument("role", nargs="?", help="Trainer")
    update.add_argument(
        "--was",
        metavar="NAME",
        help="what the class was called before: roles of that class become its",
    )
    update.add_argument(
        "--fresh",
        action="store_true",
        help="begin anew, with the options and elements that were given",
    )
    add("roles", "Print which version of which role class runs where.")
    migrate = add(
        "migrate", "Move a role to another node, with its state, while others go on calling it."
    )
    migrate.add_argument("role", help="server/aggregator")
    migrate.add_argument("to", help="node, or node/other-name")
    migrate.add_argument(
        "--keep",
        action="store_true",
        help="where relationships mean other roles over there, use those of that node",
    )
    migrate.add_argument(
        "--timeout",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="for its running handlers (60)",
    )
    status = add("status", "Print engines, nodes and roles.")
    status.add_argument("--json", action="store_true", help="as JSON, for programs")
    add("links", "Print which link each pair of hosts uses, and why it is no better one.")
    add("waiting", "Print which calls wait, for whom, and what is done about them there.")
    stop = add("stop", "End the testbed with its nodes and engines.")
    stop.add_argument(
        "--run", action="store_true", help="only end what handlers do; nodes and roles stay"
    )
    add("help", "Print an overview.")
    for module in modules():

        def declare(name: str, about: str, module: ModuleType = module) -> argparse.ArgumentParser:
            parser = add(name, about)
            parser.set_defaults(module=module)
            return parser

        module.add(declare)
    return commands


def parse(words: list[str], commands: dict[str, argparse.ArgumentParser]) -> argparse.Namespace:
    """What the words of a line say; `command` is the first one."""
    command = words[0]
    if command not in commands:
        raise BadLine(f"no command {command!r}; {did_you_mean(command, commands)}")
    given = commands[command].parse_intermixed_args(words[1:])
    return argparse.Namespace(command=command, **vars(given))
