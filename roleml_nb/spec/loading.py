"""Read files and plain data as plans, and write specs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roleml_nb.role import TestbedError, did_you_mean
from roleml_nb.role.checks.visible import visible

from .definitions import Names, add_sources
from .entry import ConfigError, Entry
from .plan import Plan
from .readers import Reader, registered
from .scope import Scope
from .spec import SpecReader, check_plain, without_empty
from .yaml import dump, read_file

__all__ = ["FileName", "Source", "expand", "read", "write_spec"]

FileName = str | os.PathLike[str]
Source = FileName | Mapping[str, Any] | Sequence[Any]
"""A file, plain data, or several of these."""


def read(
    source: Source,
    names: Names | None = None,
    seed: int | None = None,
    usual_seed: int = 0,
    *,
    trust: bool = False,
    root: FileName | None = None,
) -> Plan:
    """Return the plan of a configuration of any kind; ConfigError when it makes no sense.

    Nothing is started or changed.

    Parameters
    ----------
    source
        A file, or plain data: our own spec, a run of RoleML (``appConfig``, expanded or not), an
        actor of RoleML (``ActorBootstrapSpec``); or several of the latter two.
    names
        The names under ``__main__``; default: the main module, where notebook cells define things.
    seed
        Of value templates that draw; default: the one that the configuration names, else
        `usual_seed`.
    trust
        True lets it name any class or function, and include and open any file. Otherwise it may
        name public classes and functions of `roleml_nb.library` and `roleml_nb.workload`, and those
        that were defined in the notebook or in modules below its folder.
    root
        The folder that files may include from; default: that of each file given.
    """
    entries = _entries(source, trust, root)
    scope = Scope(names, trust, entries)
    by_reader: dict[Reader, list[Entry]] = {reader: [] for reader in registered()}
    folders = []
    for entry in entries:
        by_reader[_reader(entry)].append(entry)
    for reader, own in by_reader.items():
        if isinstance(reader, SpecReader) and own and len(entries) > 1:
            raise own[0].fail("a spec is loaded alone")
        for entry in own:
            folders += reader.sources(entry, scope)
    plan = Plan()
    with add_sources(folders):
        for reader, own in reversed(by_reader.items()):  # actors come before runs
            if own:
                plan.add(reader.plan(own, scope, seed, usual_seed))
    plan.check_files(scope)
    if seed is not None:
        plan.seed = seed
    if plan.unused:
        plan.notes.append(_note_of_unused(entries, sorted(plan.unused)))
    return plan


def _note_of_unused(entries: list[Entry], keys: list[str]) -> str:
    files: dict[str, None] = {}
    for entry in entries:
        if entry.location:
            files[entry.location.rpartition(":")[0]] = None
    where = f"{', '.join(files)}: " if files else ""
    return (
        f"{where}not used, since nodes live on ipyparallel engines, where each reaches each:"
        f" {', '.join(keys)}"
    )


def _entries(source: Source, trust: bool, root: FileName | None) -> list[Entry]:
    items: Sequence[Any] = [source]
    if isinstance(source, Sequence) and not isinstance(source, str):
        items = source
    found: list[Entry] = []
    for item in items:
        if isinstance(item, (str, os.PathLike)):
            entry = read_file(item, root=root, trust=trust)
        else:
            entry = Entry.of(item)
        found += entry.value if isinstance(entry.value, list) else [entry]
    if not found:
        raise ConfigError("nothing to load: name a file, or give a mapping")
    return found


def _reader(entry: Entry) -> Reader:
    """Return the reader of an entry; ConfigError when no form is like it."""
    keys = list(entry.mapping())
    readers = registered()
    for reader in readers:
        if reader.reads(keys):
            return reader
    near = []
    for key in keys:
        if did_you_mean(key, [reader.key for reader in readers]).startswith("did you mean"):
            near.append(key)
    found = f"found {', '.join(map(repr, near or keys[:5]))}" if keys else "it is empty"
    forms = [f"{reader.form} (with {reader.key!r})" for reader in readers]
    raise entry.fail(f"neither {', nor '.join(forms)}: {found}")


def expand(
    source: FileName | Mapping[str, Any],
    to: FileName | None = None,
    *,
    seed: int | None = None,
    trust: bool = False,
    root: FileName | None = None,
) -> dict[str, Any]:
    """Return a run of RoleML with all patterns, rules and value templates written out (``fixed:
    true``), and save it in a file, if one is given.

    Parameters
    ----------
    to
        The file to write; its folder must exist.
    seed, trust, root
        As for `read`.
    """
    (entry,) = _entries(source, trust, root)
    run = _reader(entry).expand(entry, seed, trust)
    if to is not None:
        _write(to, run)
    return run


def write_spec(path: FileName, spec_of_testbed: dict[str, Any]) -> None:
    """Write a testbed's spec; ConfigError, and no file, when it is not plain data alone."""
    try:
        check_plain(spec_of_testbed)
    except ConfigError as error:
        raise ConfigError(f"cannot save {os.fspath(path)}: {error}") from None
    _write(path, without_empty(spec_of_testbed))


def _write(path: FileName, data: Any) -> None:
    if str(path).endswith(".json"):
        text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    else:
        text = dump(data)
    try:
        Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")  # as JSON does it
    except (OSError, ValueError) as error:  # of the latter kind: a name with a NUL
        raise TestbedError(
            f"cannot write {visible(os.fspath(path))}: {getattr(error, 'strerror', None) or error}"
        ) from None
