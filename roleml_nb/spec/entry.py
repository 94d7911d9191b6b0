"""A value of a configuration with its place: each check reads entries, so that errors can point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from roleml_nb.role import TestbedError, did_you_mean

__all__ = ["MAX_DEPTH", "ConfigError", "Entry", "mapping_at", "sequence_at", "texts_at"]

MAX_DEPTH = 100
"""Mappings and lists within each other."""


class ConfigError(TestbedError):
    """A configuration is wrong. The message begins with file, line and key."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A value with its keys from the top, and its place in a file.

    `path` holds the keys; `location` is "file:line", or empty without a file. `value` is a dict of
    entries, a list of entries, or a scalar.
    """

    value: Any
    path: tuple[str, ...] = ()
    location: str = ""

    @classmethod
    def of(cls, data: Any, path: tuple[str, ...] = (), location: str = "") -> Entry:
        """Return the entries of plain data, all at one location."""
        if isinstance(data, Entry):
            return data.moved(path)
        if len(path) > MAX_DEPTH:
            raise cls(None, path[:5], location).fail(
                f"goes on deeper than {MAX_DEPTH} mappings and lists; does it hold itself?"
            )
        if isinstance(data, Mapping):
            data = {key: cls.of(item, (*path, str(key)), location) for key, item in data.items()}
        elif isinstance(data, (list, tuple)):
            data = [cls.of(item, (*path, str(index)), location) for index, item in enumerate(data)]
        return cls(data, path, location)

    def moved(self, path: tuple[str, ...]) -> Entry:
        """Return the same entries under another path; locations stay."""
        value = self.value
        if isinstance(value, dict):
            value = {key: item.moved((*path, str(key))) for key, item in value.items()}
        elif isinstance(value, list):
            value = [item.moved((*path, str(index))) for index, item in enumerate(value)]
        return Entry(value, path, self.location)

    def with_value(self, value: Any) -> Entry:
        """Return an entry with another value, in the place of this one."""
        return replace(self, value=value)

    def plain(self) -> Any:
        """Return the value without paths and locations."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return list(map(Entry.plain, self.value))
        return self.value

    @property
    def where(self) -> str:
        """``file:line: key.key``; either part may be missing."""
        return ": ".join(filter(None, (self.location, ".".join(self.path))))

    def fail(self, message: object) -> ConfigError:
        """Return the error to raise about this entry."""
        return ConfigError(f"{self.where}: {message}" if self.where else str(message))

    # values of one type

    def mapping(self) -> dict[str, Entry]:
        """Return the entries by key; nothing at all is an empty mapping."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.fail(f"must be a mapping (key: value), not {_kind(self.value)}")
        for key, item in self.value.items():
            if not isinstance(key, str):
                raise item.fail(f"the key {key!r} must be text; write it in quotes")
        return self.value

    def fields(self, known: Iterable[str], required: Iterable[str] = ()) -> dict[str, Entry]:
        """Return a mapping with known keys alone, and all required ones."""
        found, known = self.mapping(), list(known)
        for key, item in found.items():
            if key not in known:
                raise item.fail(f"unknown key; {did_you_mean(key, known)}")
        for key in required:
            if key not in found:
                raise self.fail(f"needs a key {key!r}")
        return found

    def sequence(self) -> list[Entry]:
        """Return a list of entries; nothing at all is an empty list."""
        if self.value is None:
            return []
        return self._checked(list, "a list")

    def texts(self) -> list[Entry]:
        """Return one text or a list of texts."""
        items = [self] if isinstance(self.value, str) else self.sequence()
        for item in items:
            item.text()
        return items

    def text(self) -> str:
        return self._checked(str, "text")

    def integer(self) -> int:
        return self._checked(int, "a whole number")

    def flag(self) -> bool:
        return self._checked(bool, "true or false")

    def _checked(self, kind: type, wanted: str) -> Any:
        is_flag = isinstance(self.value, bool)
        if not isinstance(self.value, kind) or (is_flag and kind is not bool):
            raise self.fail(f"must be {wanted}, not {_kind(self.value)}")
        return self.value

    def choice(self, known: Iterable[str]) -> str:
        """Return one of the known words, as it is known; small and capital letters are equal."""
        by_lower = {word.lower(): word for word in known}
        word = str(self.value)
        if word.lower() not in by_lower:
            raise self.fail(f"no such choice: {word!r}; {did_you_mean(word, by_lower.values())}")
        return by_lower[word.lower()]


def mapping_at(given: Mapping[str, Entry], key: str) -> dict[str, Entry]:
    """Return the mapping under a key; an empty one where there is no such key."""
    return given[key].mapping() if key in given else {}


def sequence_at(given: Mapping[str, Entry], key: str) -> list[Entry]:
    """Return the list under a key; an empty one where there is no such key."""
    return given[key].sequence() if key in given else []


def texts_at(given: Mapping[str, Entry], key: str) -> list[Entry]:
    """Return the texts under a key; none where there is no such key."""
    return given[key].texts() if key in given else []


def _kind(value: Any) -> str:
    kinds = {dict: "a mapping", list: "a list", str: f"the text {value!r}", type(None): "nothing"}
    return kinds.get(type(value), repr(value))
