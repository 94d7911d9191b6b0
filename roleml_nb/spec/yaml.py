"""YAML with ``!include``, read into entries that know their file and line."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from roleml_nb.role import check_file_name, did_you_mean

from .entry import MAX_DEPTH, ConfigError, Entry
from .trust import is_below

__all__ = ["dump", "read_file"]

MERGE = "tag:yaml.org,2002:merge"
MAX_ENTRIES = 1_000_000
MAX_FILES = 1000
MAX_BYTES = 64_000_000
TOO_DEEP = f"has more than {MAX_DEPTH} mappings and lists within each other"
PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, for which a plain value may also begin with ``@[``, as in templates."""

    def check_plain(self) -> bool:
        return bool(super().check_plain()) or self.prefix(2) == "@["


def read_file(
    path: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None, trust: bool = False
) -> Entry:
    """Return the content of a file, with its includes; ConfigError when it cannot be read.

    Unless it is trusted, files are included from below `root` alone, by default the file's own
    folder, wherever links lead.
    """
    name = os.path.normpath(os.fspath(path))
    if root:
        check_file_name(os.fspath(root))
    within = os.path.realpath(os.path.dirname(name) if root is None else root)
    return _File(name, (), (), _Limits(None if trust else within)).read().moved(())


def dump(data: Any) -> str:
    """Return plain data as YAML, keys in their order."""
    return yaml.dump(
        data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None
    )


class Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes texts with rare line breaks, to be read as they are."""


Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style='"' if set(text) & set("\x85\u2028\u2029") else None
    ),
)


@dataclass
class _Limits:
    """Counts of a file with all files that it includes; an alias, or a file, counts each time."""

    root: str | None
    """The folder that files are included from; None for any."""
    entries: int = 0
    files: int = 0


class _File:
    """One file on its way into entries; `above` are the files that include it, and `keys` where."""

    def __init__(self, name: str, above: tuple[str, ...], keys: tuple[str, ...], limits: _Limits):
        self.name, self.above, self._keys, self._limits = name, above, keys, limits
        self._building: set[int] = set()

    def read(self) -> Entry:
        try:
            text = _read(self.name)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{self.name}: cannot be read: {_reason(error)}{_near_files(self.name)}"
            ) from None
        try:
            self._loader = Loader(text)
            root = self._loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            location = error.problem_mark or error.context_mark
            line = f":{location.line + 1}" if location else ""
            raise ConfigError(
                f"{self.name}{line}: not YAML: {error.problem or error.context}"
            ) from None
        except yaml.YAMLError as error:
            raise ConfigError(f"{self.name}: not YAML: {str(error).splitlines()[0]}") from None
        except RecursionError:
            raise ConfigError(f"{self.name}: {TOO_DEEP}") from None
        location = self._location(root)
        return Entry(None, (), location) if root is None else self._entry(root, location)

    def _location(self, node: Any) -> str:
        return f"{self.name}:{node.start_mark.line + 1 if node is not None else 1}"

    def _fail(self, location: str, message: str) -> ConfigError:
        return Entry(None, self._keys, location).fail(message)

    def _child(self, key: object, node: Any, location: str) -> Entry:
        above, self._keys = self._keys, (*self._keys, str(key))
        try:
            return self._entry(node, location)
        finally:
            self._keys = above

    def _entry(self, node: Any, location: str) -> Entry:
        """Return the entry of a node, at the location of its key, where it has one."""
        self._limits.entries += 1
        if self._limits.entries > MAX_ENTRIES:
            raise self._fail(
                location,
                f"has more than {MAX_ENTRIES:,} values, aliases and included files counted wherever"
                " they stand",
            )
        if len(self._keys) > MAX_DEPTH:
            raise ConfigError(f"{location}: {TOO_DEEP}")
        if node.tag == "!include":
            return Entry(self._include(node, location).value, (), location)
        if id(node) in self._building:
            raise self._fail(location, "an alias that contains itself")
        self._building.add(id(node))
        try:
            if isinstance(node, yaml.ScalarNode):
                return Entry(self._scalar(node, location), (), location)
            if node.tag not in PLAIN_TAGS:
                raise self._fail(location, f"unknown tag {node.tag!r}; known: !include")
            if isinstance(node, yaml.SequenceNode):
                items = []
                for at, item in enumerate(node.value):
                    items.append(self._child(at, item, self._location(item)))
                return Entry(items, (), location)
            return Entry(self._mapping(node), (), location)
        finally:
            self._building.discard(id(node))

    def _scalar(self, node: Any, location: str) -> Any:
        try:
            return self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            reason = getattr(error, "problem", None) or error
            raise self._fail(location, f"cannot read {node.value!r}: {reason}") from None

    def _mapping(self, node: Any) -> dict[Any, Entry]:
        merged: dict[Any, Entry] = {}
        own: dict[Any, Entry] = {}
        for key_node, value_node in node.value:
            location = self._location(key_node)
            if key_node.tag == MERGE:
                several = isinstance(value_node, yaml.SequenceNode)
                for item in value_node.value if several else [value_node]:
                    found = self._child("<<", item, location)
                    if not isinstance(found.value, dict):
                        raise self._fail(
                            location, "<<: only a mapping can be merged into a mapping"
                        )
                    merged = {**found.value, **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "!include":
                raise self._fail(location, "a key must be a plain value")
            key = self._scalar(key_node, location)
            if key in own:
                raise self._fail(
                    location,
                    f"the key {key!r} stands here a second time (first: {own[key].location})",
                )
            own[key] = self._child(key, value_node, location)
        return {**merged, **own}  # as in YAML, own keys win over merged ones

    def _include(self, node: Any, location: str) -> Entry:
        words = str(node.value).split() if isinstance(node, yaml.ScalarNode) else []
        if not 1 <= len(words) <= 2:
            raise self._fail(location, "write !include FILE or !include FILE key.key")
        name = os.path.normpath(os.path.join(os.path.dirname(self.name), words[0]))
        chain = (*self.above, self.name)
        if os.path.realpath(name) in map(os.path.realpath, chain):
            raise self._fail(location, f"!include in a circle: {' → '.join((*chain, name))}")
        root = self._limits.root
        if root is not None and not is_below(name, [root]):
            raise self._fail(
                location,
                f"!include: {name} does not lie below {root}; give a folder that has both as root=,"
                " or, if you trust who wrote this, load it with trust=True, or %rml load --trust",
            )
        if not os.path.isfile(name):
            raise self._fail(location, f"!include: no file {name}{_near_files(name)}")
        self._limits.files += 1
        if self._limits.files > MAX_FILES:
            raise self._fail(
                location,
                f"!include: more than {MAX_FILES:,} files, counted wherever they are included",
            )
        found = _File(name, chain, self._keys, self._limits).read()
        for key in words[1].split(".") if len(words) == 2 else []:
            found = self._step(found, key, location, " ".join(words))
        return found

    def _step(self, entry: Entry, key: str, location: str, words: str) -> Entry:
        value = entry.value
        if isinstance(value, list) and key.isdigit() and int(key) < len(value):
            return value[int(key)]
        keys = {}
        if isinstance(value, dict):
            for known, item in value.items():
                keys[str(known)] = item
        if key not in keys:
            raise self._fail(
                location, f"!include {words}: no key {key!r} there; {did_you_mean(key, keys)}"
            )
        return keys[key]


def _read(name: str) -> str:
    about = os.stat(name)
    if not stat.S_ISREG(about.st_mode):
        raise OSError("it is no file" if not stat.S_ISDIR(about.st_mode) else "it is a folder")
    if about.st_size > MAX_BYTES:
        raise OSError(f"it has {about.st_size:,} bytes, and at most {MAX_BYTES:,} are read")
    return Path(name).read_text(encoding="utf-8")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)


def _near_files(name: str) -> str:
    """Return a hint at the nearest file beside one that is missing."""
    folder = Path(name).parent
    if os.path.exists(name) or not folder.is_dir():
        return ""
    beside = [item.name for item in folder.iterdir() if item.suffix in (".yaml", ".yml", ".json")]
    return f"; {did_you_mean(Path(name).name, beside)}" if beside else ""
