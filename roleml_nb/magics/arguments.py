"""The words of a line as arguments of a sub-command, and the help on both."""

from __future__ import annotations

import inspect
from argparse import ArgumentParser, HelpFormatter, Namespace
from functools import cache
from typing import NoReturn

from roleml_nb.role import did_you_mean

from .parsing import BadLine
from .subcommands import subcommands

__all__ = ["HelpRequested", "overview", "parse", "parsers"]

SUMMARY_COLUMN = 54
HELP_COLUMNS = 100
NOTES = """
%%role                                                first line of a cell that defines roles
%%rml                                                 first line of a cell of lines: all or none

Values are Python expressions; i, n and node are the index, size and name in a selection of nodes.
In names, braces hold a range {1..8}, names {alice,bob}, or Python: client{1..count}, {name}/x.
# begins a comment.
result = %rml call … is the value.
%rml COMMAND --help explains a command. The testbed is `bed` in Python."""


class HelpRequested(Exception):
    """A line asks for help; the text is the exception's."""


class _Parser(ArgumentParser):
    """A parser that raises instead of ending the process, and takes no abbreviated options."""

    @property
    def options(self) -> list[str]:
        """All options, such as "--engines", in the order of their definition."""
        return list(self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        mistyped = message.removeprefix("unrecognized arguments: ").split()[0]
        if mistyped.startswith("--"):
            proposal = did_you_mean(mistyped, self.options)
            if proposal.startswith("did you mean"):
                raise BadLine(f"{message}; {proposal} See {self.prog} --help")
        raise BadLine(f"{message}; see {self.prog} --help")

    def format_usage(self) -> str:
        """Escape the % of %rml, since parse_intermixed_args formats the usage once more."""
        return super().format_usage().replace("%", "%%")

    def print_help(self, file: object = None) -> None:
        raise HelpRequested(self.format_help().rstrip())


def overview() -> str:
    """Return the overview that ``%rml`` alone prints: all sub-commands, on one screen."""
    lines = []
    for subcommand in subcommands().values():
        for typed, summary in subcommand.overview.items():
            lines.append(f"{f'%rml {typed}':{SUMMARY_COLUMN}}{summary}".rstrip())
    return "\n".join([*lines, NOTES])


@cache
def parsers() -> dict[str, _Parser]:
    """Return a parser for each sub-command; they raise BadLine, or HelpRequested with the text.

    They are separate rather than argparse's sub-parsers, which refuse a word that comes after an
    option: ``spawn a --on 0 b``.
    """
    made: dict[str, _Parser] = {}
    for name, subcommand in subcommands().items():
        made[name] = _Parser(
            prog=f"%rml {name}",
            description=inspect.getdoc(subcommand),
            allow_abbrev=False,
            formatter_class=_formatter,
        )
        made[name].set_defaults(subcommand=subcommand, value_wanted=False)
        subcommand.add_arguments(made[name])
    return made


def _formatter(prog: str) -> HelpFormatter:
    """Return a formatter of the same width in every terminal."""
    return HelpFormatter(prog, width=HELP_COLUMNS)


def parse(words: list[str]) -> Namespace:
    """Return the arguments that the words of a line give, with the `subcommand` that takes them."""
    name = words[0]
    if name not in parsers():
        raise BadLine(f"no command {name!r}; {did_you_mean(name, parsers())}")
    return parsers()[name].parse_intermixed_args(words[1:])
