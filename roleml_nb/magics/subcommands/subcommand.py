"""A sub-command of ``%rml``: a class in a module of this folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from ..context import Context

__all__ = ["Effect", "Subcommand"]

Effect = Literal["none", "undoable", "lasting"]


class Subcommand(ABC):
    """A sub-command. A subclass has `run`, and a docstring, which ``--help`` prints.

    It is found by being in a module of this folder, and is offered, explained, listed and exported
    from then on.

    Attributes
    ----------
    name
        The word after ``%rml``.
    overview
        {words after ``%rml``: their effect}, each a line of the overview that ``%rml`` alone
        prints.
    effect
        For the lines of a ``%%rml`` cell, which are undone when a later one fails: "none" changes
        nothing, "undoable" can be undone, "lasting" cannot.
    names_after_equals
        True where names of nodes come after a ``=``, too, and not Python.
    """

    name: ClassVar[str]
    overview: ClassVar[Mapping[str, str]] = {}
    effect: ClassVar[Effect] = "lasting"
    names_after_equals: ClassVar[bool] = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments. In ``help=``, a % is written %%."""
        return

    @abstractmethod
    def run(self, context: Context, arguments: Namespace) -> Any:
        """Carry out a line, and print plain text, the same for the same input.

        The returned value is that of ``r = %rml …``; `arguments.value_wanted` is True there, and a
        result is not to be printed.
        """

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        """Return completions after `words`, beside options; `begun` is the part that is typed."""
        return []

    def to_python(self, arguments: Namespace) -> str | None:
        """Return the same as Python, for ``%rml export``; None when a program need not do it."""
        return None
