"""What a sub-command of ``%rml`` is: a class in a module of this folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from ..context import Context

__all__ = ["Effect", "Subcommand"]

Effect = Literal["none", "undoable", "lasting"]


class Subcommand(ABC):
    """A sub-command. A subclass has a docstring, which is what ``--help`` says, and `run`.

    It is found by being in a module of this folder, and is offered, explained, listed and exported
    from then on.

    Attributes
    ----------
    name
        The word after ``%rml``.
    overview
        {what to type after ``%rml``: what it does}, a line each of what ``%rml`` alone prints.
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
        """Declare what may follow the name. In ``help=``, a % is written %%."""
        return

    @abstractmethod
    def run(self, context: Context, arguments: Namespace) -> Any:
        """Carry out a line, and print plain text, the same for the same input.

        What is returned is the value of ``r = %rml …``; `arguments.value_wanted` is True there, and
        a result is not to be printed.
        """

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        """Return what may come after `words`, beside options; `begun` is what is typed of it."""
        return []

    def to_python(self, arguments: Namespace) -> str | None:
        """Return the same as Python, for ``%rml export``; None when a program need not do it."""
        return None
