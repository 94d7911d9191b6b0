"""Completion of a line that begins with %rml."""

from __future__ import annotations

from .arguments import parsers
from .context import Context

__all__ = ["complete"]


def complete(line: str, context: Context) -> list[str]:
    """Return words for the end of `line`: sub-commands, options, and completions of a
    sub-command.
    """
    words = line.split()
    begun = "" if line.endswith(" ") or not words else words.pop()
    if len(words) <= 1:
        return list(parsers())
    parser = parsers().get(words[1])
    if parser is None:
        return []
    offered = parser.get_default("subcommand").complete(context, words[2:], begun)
    return [*parser.options, *offered]
