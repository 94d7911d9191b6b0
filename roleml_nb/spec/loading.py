"""Read files and plain data as plans, and write specs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roleml_nb.role import TestbedError, did_you_mean
from roleml_nb.role.checks.visible import visible

from . import bootstrap, conductor, spec
from .definitions import Names, add_sources
from .entry import ConfigError, Entry
from .plan import Plan
from .scope import Scope
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
        What ``__main__`` means in dotted names; default: the main module, where notebook cells
        define things.
    seed
        Of value templates that draw; default: the one that the configuration names, else
        `usual_seed`.
    trust
        Whether it may name any class or function, and include and open any file. Otherwise it may
        name what is public in `roleml_nb.library` and `roleml_nb.workload`, and what was defined in
        the notebook or in modules below its folder.
    root
        The folder that files may include from; default: that of each file given.
    """
    entries = _entries(source, trust, root)
    scope = Scope(names, trust, entries)
    kinds = [_kind(entry) for entry in entries]
    if spec in kinds and len(entries) > 1:
        raise entries[kinds.index(spec)].fail("a spec is loaded alone")
    plan = Plan()
    actors = [entry for entry, kind in zip(entries, kinds, strict=True) if kind is bootstrap]
    with add_sources([folder for entry in actors for folder in bootstrap.sources(entry, scope)]):
        if actors:
            plan.add(bootstrap.plan_actors(actors, scope))
        for entry, kind in zip(entries, kinds, strict=True):
            if kind is conductor:
                plan.add(conductor.plan_run(entry, scope, seed, usual_seed))
            elif kind is spec:
                plan.add(spec.plan_spec(entry, scope))
    plan.check_files(scope)
    if seed is not None:
        plan.seed = seed
    if plan.unused:
        files = ", ".join(
            dict.fromkeys(entry.location.rpartition(":")[0] for entry in entries if entry.location)
        )
        plan.notes.append(
            f"{files}{': ' * bool(files)}not used, since nodes live on ipyparallel engines, where"
            f" each reaches each: {', '.join(sorted(plan.unused))}"
        )
    return plan


def _entries(source: Source, trust: bool, root: FileName | None) -> list[Entry]:
    items = (
        list(source) if isinstance(source, Sequence) and not isinstance(source, str) else [source]
    )
    found: list[Entry] = []
    for item in items:
        entry = (
            read_file(item, root=root, trust=trust)
            if isinstance(item, (str, os.PathLike))
            else Entry.of(item)
        )
        found += entry.value if isinstance(entry.value, list) else [entry]
    if not found:
        raise ConfigError("nothing to load: name a file, or give a mapping")
    return found


def _kind(entry: Entry) -> Any:
    """Return the module that reads it."""
    keys = list(entry.mapping())
    if "nodes" in keys or "roleml_nb" in keys:
        return spec
    if "name" in keys:
        return bootstrap
    if any(key.startswith("profiles") for key in keys):
        return conductor
    near = [
        key
        for key in keys
        if did_you_mean(key, ("nodes", "name", "profiles")).startswith("did you mean")
    ]
    found = f"found {', '.join(map(repr, near or keys[:5]))}" if keys else "it is empty"
    raise entry.fail(
        "neither a spec (with 'nodes'), nor a run of RoleML (with 'profiles'), nor an actor of"
        f" RoleML (with 'name'): {found}"
    )


def expand(
    source: FileName | Mapping[str, Any],
    to: FileName | None = None,
    *,
    seed: int | None = None,
    trust: bool = False,
    root: FileName | None = None,
) -> dict[str, Any]:
    """Return a run of RoleML with all patterns, rules and value templates written out (``fixed:
    true``), also saved in a file.

    Parameters
    ----------
    to
        The file to write; its folder must exist.
    seed, trust, root
        As for `read`.
    """
    (entry,) = _entries(source, trust, root)
    if _kind(entry) is not conductor:
        raise entry.fail("only a run of RoleML (with 'profiles') can be expanded")
    run = conductor.Expansion(entry, seed, trust=trust).run.plain()
    if to is not None:
        _write(to, run)
    return run


def write_spec(path: FileName, spec_of_testbed: dict[str, Any]) -> None:
    """Write a testbed's spec; ConfigError, and no file, when it holds what is not plain data."""
    try:
        spec.check_plain(spec_of_testbed)
    except ConfigError as error:
        raise ConfigError(f"cannot save {os.fspath(path)}: {error}") from None
    _write(path, spec.without_empty(spec_of_testbed))


def _write(path: FileName, data: Any) -> None:
    text = (
        json.dumps(data, indent=2, ensure_ascii=False) + "\n"
        if str(path).endswith(".json")
        else dump(data)
    )
    try:
        Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")  # as JSON does it
    except (OSError, ValueError) as error:  # of the latter kind: a name with a NUL
        raise TestbedError(
            f"cannot write {visible(os.fspath(path))}: {getattr(error, 'strerror', None) or error}"
        ) from None
