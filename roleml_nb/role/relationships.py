"""Relationships: named sets of role instances, as one node knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import RLock

from .forks import at_fork
from .identity import RoleInstanceID

__all__ = ["Relationships"]

Listener = Callable[[str, str, tuple[RoleInstanceID, ...]], None]


class Relationships:
    """Named sets of role instances. Thread-safe; usable as a lock in a ``with`` statement."""

    def __init__(
        self,
        initial_relationships: Mapping[str, Iterable[RoleInstanceID]] | None = None,
        initial_relationship_links: Mapping[str, str] | None = None,
    ) -> None:
        self._members: dict[str, dict[RoleInstanceID, None]] = {}
        for name, instances in (initial_relationships or {}).items():
            self._members[name] = dict.fromkeys(map(RoleInstanceID._make, instances))
        self._links: dict[str, str] = {}
        self._lock = RLock()
        at_fork(self)
        self.listeners: list[Listener] = []
        """Called after a change, on its thread: (relationship, "add" or "remove", instances)."""
        for name, target in (initial_relationship_links or {}).items():
            self.link_relationship(name, target)

    def forked(self) -> None:
        self._lock = RLock()

    def __enter__(self) -> Relationships:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _resolve(self, name: str) -> str:
        while name in self._links:
            name = self._links[name]
        return name

    def add_to_relationship(self, relationship_name: str, *instances: RoleInstanceID) -> None:
        """Add instances; ValueError for none. Instances that are members already stay in place."""
        _require_instances(instances, "add to", relationship_name)
        with self._lock:
            members = self._members.setdefault(self._resolve(relationship_name), {})
            new = []
            for item in map(RoleInstanceID._make, instances):
                if item not in members:
                    members[item] = None
                    new.append(item)
        if new:
            self._notify(relationship_name, "add", tuple(new))

    def remove_from_relationship(self, relationship_name: str, *instances: RoleInstanceID) -> None:
        """Remove instances; ValueError for none. Instances that are not members are ignored."""
        _require_instances(instances, "remove from", relationship_name)
        with self._lock:
            members = self._members.get(self._resolve(relationship_name), {})
            removed = []
            for item in map(RoleInstanceID._make, instances):
                if item in members:
                    del members[item]
                    removed.append(item)
        if removed:
            self._notify(relationship_name, "remove", tuple(removed))

    def replace(self, old: RoleInstanceID, new: RoleInstanceID) -> list[str]:
        """Replace `old` by `new`, in the same position, in every relationship; return their names.

        Listeners are not notified: it is the same role, at another address.
        """
        changed = []
        with self._lock:
            for name, members in self._members.items():
                if old in members:
                    order = list(members)
                    order[order.index(old)] = new
                    self._members[name] = dict.fromkeys(order)
                    changed.append(name)
        return changed

    def _notify(self, name: str, operation: str, instances: tuple[RoleInstanceID, ...]) -> None:
        for known in self.names_of(name):
            for listener in tuple(self.listeners):
                listener(known, operation, instances)

    def names_of(self, name: str) -> list[str]:
        """Return all names, links included, of the relationship called `name`."""
        with self._lock:
            target = self._resolve(name)
            aliases = [alias for alias in self._links if self._resolve(alias) == target]
        return [target, *aliases]

    def get_relationship(self, relationship_name: str) -> Iterator[RoleInstanceID]:
        """Yield the present members."""
        yield from self.members(relationship_name)

    def members(self, relationship_name: str) -> list[RoleInstanceID]:
        """Return a snapshot of the members, in the order of addition."""
        with self._lock:
            return list(self._members.get(self._resolve(relationship_name), ()))

    def get_relationship_view(self, relationship_name: str) -> frozenset[RoleInstanceID]:
        """Return a snapshot of the members as a set."""
        return frozenset(self.members(relationship_name))

    get_relationship_unsafe = get_relationship_view

    def all_relationships(self) -> dict[str, frozenset[RoleInstanceID]]:
        """Return a snapshot of all relationships, links included."""
        with self._lock:
            return {name: frozenset(self.members(name)) for name in (*self._members, *self._links)}

    def all_links(self) -> dict[str, str]:
        """Return a snapshot of the links: {alias: relationship}."""
        with self._lock:
            return dict(self._links)

    def instance_belongs_to_relationship(
        self, instance: RoleInstanceID, relationship_name: str
    ) -> bool:
        with self._lock:
            return instance in self._members.get(self._resolve(relationship_name), ())

    def link_relationship(self, from_relationship_name: str, to_relationship_name: str) -> None:
        """Make one name an alias of another, for good.

        ValueError for a circle or a name already in use.
        """
        with self._lock:
            if self._resolve(to_relationship_name) == from_relationship_name:
                raise ValueError(
                    f"link {from_relationship_name!r} → {to_relationship_name!r} would be a circle"
                )
            if self._members.get(from_relationship_name):
                raise ValueError(
                    f"relationship {from_relationship_name!r} has members and cannot become a link"
                )
            self._links[from_relationship_name] = to_relationship_name
            instances = tuple(self.members(to_relationship_name))
        if instances:
            for listener in tuple(self.listeners):
                listener(from_relationship_name, "add", instances)


def _require_instances(instances: tuple, what: str, relationship_name: str) -> None:
    if not instances:
        raise ValueError(f"no role instances to {what} relationship {relationship_name!r}")
