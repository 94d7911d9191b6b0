"""Engines get the texts of the user's own modules, so that objects can be sent to them by name and
key.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from roleml_nb.messaging.modules.module_text import ModuleText
from roleml_nb.messaging.modules.module_versions import module_versions
from roleml_nb.messaging.modules.source_modules import Closure, source_modules

if TYPE_CHECKING:
    from roleml_nb.host.host import Host
    from roleml_nb.testbed.cluster.fleet import Fleet

__all__ = ["Shared", "known_versions", "own_versions", "share", "share_modules"]

K = TypeVar("K")
V = TypeVar("V")


@dataclass
class Shared:
    """Versions of own modules, as data."""

    texts: dict[tuple[str, str], ModuleText] = field(default_factory=dict)
    """{(module, digest): text}."""
    closures: dict[tuple[str, str], Closure] = field(default_factory=dict)
    """{(module, key): its imports}."""
    latest: dict[str, str] = field(default_factory=dict)
    """{module: the key that its name means now}."""


_known: weakref.WeakKeyDictionary[Fleet, tuple[int, Shared]] = weakref.WeakKeyDictionary()
"""The texts on the engines of a fleet, and the refresh that they are of."""


def own_versions() -> Shared:
    """Return the own modules of this process, as they are loaded."""
    texts, closures = source_modules.versions_to_send()
    return Shared(texts, closures, dict(closures.keys()))


def share_modules(fleet: Fleet) -> None:
    """Give the fleet's engines the versions that they do not have yet."""
    if fleet.engines is None:
        return
    revision, known = _known.get(fleet, (-1, Shared()))
    if revision == source_modules.revision:
        return
    now = own_versions()
    new = Shared(
        _without(now.texts, known.texts),
        _without(now.closures, known.closures),
        {name: key for name, key in now.latest.items() if known.latest.get(name) != key},
    )
    if new.latest:
        share(fleet, new)
    _known[fleet] = (
        source_modules.revision,
        Shared({**known.texts, **now.texts}, {**known.closures, **now.closures}, now.latest),
    )


def _without(table: dict[K, V], known: dict[K, V]) -> dict[K, V]:
    """Return the entries whose keys are not known."""
    return {key: value for key, value in table.items() if key not in known}


def known_versions(fleet: Fleet) -> Shared:
    """Return all versions that the fleet's engines were given, and name none of them the latest."""
    known = _known.get(fleet, (-1, Shared()))[1]
    return Shared(known.texts, known.closures)


def share(fleet: Fleet, versions: Shared) -> None:
    """Give the fleet's engines these versions."""
    # a text that was edited back is not new, but the latest
    if fleet.engines is not None and (versions.closures or versions.latest):
        fleet.run_on_all(_add, versions.texts, versions.closures, versions.latest)


def _add(host: Host, texts: dict, closures: dict, latest: dict[str, str]) -> None:
    module_versions.add(texts, closures, latest)
