"""Check of received models: their entries must be those of the model that training began with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from roleml_nb.role import RoleInteractionError
from roleml_nb.role.checks.entry_names import difference_of_names

__all__ = ["EntriesDiffer", "check_entries"]


class EntriesDiffer(RoleInteractionError):
    """A model lacks entries that others have, or has entries that others lack."""


def check_entries(who: Any, names: Iterable[str], expected: Iterable[str], of: str) -> None:
    """Raise an error that names `who` and the entries if the names differ from those of `of`."""
    problem = difference_of_names(names, expected)
    if problem is not None:
        raise EntriesDiffer(
            f"{who} returned a model whose entries are not those of {of}: {problem}; give all the"
            " same model, and the same option 'local'"
        )
