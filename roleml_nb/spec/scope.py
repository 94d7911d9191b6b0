"""What the dotted names of a configuration stand for, and which of them it may use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .definitions import UPSTREAM, Names, find
from .entry import ConfigError, Entry
from .trust import folders, foreign, foreign_text, is_below, judge

__all__ = ["Scope"]

TRUST = "if you trust who wrote this, load it with trust=True, or %rml load --trust"
HINTS = (
    "neither public in roleml_nb.library or roleml_nb.workload, nor defined in this notebook or"
    f" below its folder{{more}}; {TRUST}"
)
OUTSIDE = f"which does not lie below the notebook's folder; {TRUST}"


class Untrusted(ConfigError):
    """A configuration would call what it may not call without being trusted."""


class Scope:
    """What dotted names of a configuration stand for, and which of them may be looked up.

    Parameters
    ----------
    names
        What ``__main__`` means; default: the main module, where notebook cells define things.
    trust
        Whether a configuration may name anything, and read any file.
    entries
        The configuration as a whole: an error about one name also tells of the others.
    """

    def __init__(
        self, names: Names | None = None, trust: bool = False, entries: Iterable[Entry] = ()
    ):
        self.names, self.trust, self._entries = names, trust, entries
        self._found: dict[str, Any] = {}
        self._texts: dict[str, str | None] = {}

    def find(self, entry: Entry) -> Any:
        """Return the object of a dotted name; ConfigError when there is none, or it may not be
        named.
        """
        path = entry.text()
        if path in self._found:
            return self._found[path]
        said, owner = (None, None) if self.trust else foreign(path, self.names)
        if said is not None:
            raise self._refused(entry, "would call", path, said)
        try:
            found = find(path, self.names)
        except LookupError as error:
            raise entry.fail(error.args[0]) from None
        said = None if self.trust else judge(found, owner)
        if said is not None:
            raise self._refused(entry, "would call", path, said)
        self._found[path] = found
        return found

    def plain(self, entry: Entry) -> Any:
        """Return plain data for what is called, which may in its turn look up the dotted names in
        it.
        """
        for item in () if self.trust else _texts(entry):
            said = self._foreign_text(item.value)
            if said is not None:
                raise self._refused(item, "has what is made with it call", item.value, said)
        return entry.plain()

    def file(self, entry: Entry, path: str) -> None:
        """Check a file that a node would read or write; ConfigError for one that lies elsewhere."""
        if not self.trust and not is_below(path, folders()):
            raise entry.fail(f"would open {path}, {OUTSIDE}")

    def folder(self, entry: Entry, path: str) -> str:
        """Return a folder that modules are to be looked for in; ConfigError for one that lies
        elsewhere.
        """
        if not self.trust and not is_below(path, folders()):
            raise entry.fail(f"would import from {path}, {OUTSIDE}")
        return path

    def _foreign_text(self, text: str) -> str | None:
        if text not in self._texts:
            self._texts[text] = foreign_text(text, self.names)
        return self._texts[text]

    def _refused(self, entry: Entry, what: str, path: str, said: str) -> ConfigError:
        others = []
        for name in dict.fromkeys(item.value for one in self._entries for item in _texts(one)):
            other = self._foreign_text(name)
            if other is not None and name != path and not name.startswith(f"{UPSTREAM}."):
                others.append(_said(name, other))
        more = (
            f" (and so is {', '.join(others[:MAX_REFUSALS])}{' …' * (len(others) > MAX_REFUSALS)})"
            if others
            else ""
        )
        return Untrusted(
            entry.fail(f"{what} {_said(path, said)}, {HINTS.format(more=more)}").args[0]
        )


MAX_REFUSALS = 10
"""Names that one error tells."""


def _texts(entry: Entry) -> Iterator[Entry]:
    """Yield the texts that an entry holds, at any depth."""
    if isinstance(entry.value, str):
        yield entry
    items = (
        entry.value.values()
        if isinstance(entry.value, dict)
        else entry.value
        if isinstance(entry.value, list)
        else ()
    )
    for item in items:
        yield from _texts(item)


def _said(path: str, said: str) -> str:
    return path if said == path else f"{path} = {said}"
