"""The scope of a configuration: the objects of its dotted names, as far as it may use them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .definitions import UPSTREAM, Names, find
from .entry import ConfigError, Entry
from .trust import folders, foreign, foreign_text, is_below, judge

__all__ = ["Scope"]

MAX_REFUSALS = 10
"""Names that one error lists."""
TRUST_HINT = "if you trust who wrote this, load it with trust=True, or %rml load --trust"
CALL_HINT = (
    "neither public in roleml_nb.library or roleml_nb.workload, nor defined in this notebook or"
    f" below its folder{{more}}; {TRUST_HINT}"
)
PLACE_HINT = f"which does not lie below the notebook's folder; {TRUST_HINT}"


class Untrusted(ConfigError):
    """A configuration would call something that it has to be trusted for."""


class Scope:
    """Looks up dotted names of a configuration, and refuses those that it has to be trusted for.

    Parameters
    ----------
    names
        The names under ``__main__``; default: the main module, where notebook cells define things.
    trust
        True lets a configuration name anything, and read any file.
    entries
        The configuration as a whole: an error about one name also lists the others.
    """

    def __init__(
        self, names: Names | None = None, trust: bool = False, entries: Iterable[Entry] = ()
    ):
        self.names = names
        self.trust = trust
        self._entries = entries
        self._found: dict[str, Any] = {}
        self._texts: dict[str, str | None] = {}

    def find(self, entry: Entry) -> Any:
        """Return the object of a dotted name; ConfigError for none, or one that is refused."""
        path = entry.text()
        if path in self._found:
            return self._found[path]
        refused, owner = (None, None) if self.trust else foreign(path, self.names)
        if refused is not None:
            raise self._refused(entry, "would call", path, refused)
        try:
            found = find(path, self.names)
        except LookupError as error:
            raise entry.fail(error.args[0]) from None
        refused = None if self.trust else judge(found, owner)
        if refused is not None:
            raise self._refused(entry, "would call", path, refused)
        self._found[path] = found
        return found

    def plain(self, entry: Entry) -> Any:
        """Return plain data for a callable, which may look up the dotted names in it."""
        for item in () if self.trust else _texts(entry):
            refused = self._foreign_text(item.value)
            if refused is not None:
                raise self._refused(item, "has what is made with it call", item.value, refused)
        return entry.plain()

    def plain_mapping(self, entries: Mapping[str, Entry]) -> dict[str, Any]:
        """Return plain data by key, as `plain` does."""
        return {key: self.plain(item) for key, item in entries.items()}

    def check_place(self, entry: Entry, path: str, action: str) -> None:
        """Check a file or folder that the action is about; ConfigError where it lies elsewhere."""
        if not self.trust and not is_below(path, folders()):
            raise entry.fail(f"would {action} {path}, {PLACE_HINT}")

    def _foreign_text(self, text: str) -> str | None:
        if text not in self._texts:
            self._texts[text] = foreign_text(text, self.names)
        return self._texts[text]

    def _refused(self, entry: Entry, what: str, path: str, definition: str) -> ConfigError:
        names: dict[str, None] = {}
        for each in self._entries:
            for item in _texts(each):
                names[item.value] = None
        others = []
        for name in names:
            other = self._foreign_text(name)
            if other is not None and name != path and not name.startswith(f"{UPSTREAM}."):
                others.append(_described(name, other))
        more = ""
        if others:
            ellipsis = " …" if len(others) > MAX_REFUSALS else ""
            more = f" (and so is {', '.join(others[:MAX_REFUSALS])}{ellipsis})"
        hint = CALL_HINT.format(more=more)
        error = entry.fail(f"{what} {_described(path, definition)}, {hint}")
        return Untrusted(error.args[0])


def _texts(entry: Entry) -> Iterator[Entry]:
    """Yield the texts that an entry holds, at any depth."""
    if isinstance(entry.value, str):
        yield entry
    items: Iterable[Entry] = ()
    if isinstance(entry.value, dict):
        items = entry.value.values()
    elif isinstance(entry.value, list):
        items = entry.value
    for item in items:
        yield from _texts(item)


def _described(path: str, definition: str) -> str:
    return path if definition == path else f"{path} = {definition}"
