"""What a role knows of its surroundings: contacts and relationships of its node."""

from __future__ import annotations

from collections.abc import Iterator
from threading import RLock
from typing import NamedTuple

from .errors import ActorNotFoundError, RoleMLError
from .identity import ActorProfile
from .names import did_you_mean
from .relationships import Relationships
from .running import running_role

__all__ = ["Contacts", "Context"]


class Contacts:
    """The actors that can be reached. The actors of one host share one directory. Thread-safe."""

    def __init__(self) -> None:
        self._profiles: dict[str, ActorProfile] = {}
        self._lock = RLock()

    def add_contact(self, profile: ActorProfile) -> ActorProfile | None:
        """Add or replace; returns what was replaced."""
        with self._lock:
            old = self._profiles.pop(profile.name, None)
            self._profiles[profile.name] = profile
            return old

    def remove_contact(self, name: str) -> ActorProfile | None:
        with self._lock:
            return self._profiles.pop(name, None)

    def get_actor_profile(self, name: str) -> ActorProfile:
        """ActorNotFoundError, with the nearest names, when the actor is not known."""
        try:
            return self._profiles[name]
        except KeyError:
            raise ActorNotFoundError(f"no node named {name!r}; {did_you_mean(name, self.all_actor_names())}") from None

    def all_actor_names(self) -> list[str]:
        with self._lock:
            return list(self._profiles)

    def all_actors(self) -> Iterator[ActorProfile]:
        with self._lock:
            profiles = list(self._profiles.values())
        yield from profiles


class Context(NamedTuple):
    """The surroundings of the roles of one node. `start_time` is in seconds since the epoch."""

    profile: ActorProfile
    contacts: Contacts
    relationships: Relationships
    start_time: float

    @staticmethod
    def active_context() -> Context:
        """The context of the role whose handler runs here; RoleMLError outside of any handler."""
        role = running_role()
        if role is None:
            raise RoleMLError("no role runs here, so there is no active context: ask a role for its ctx")
        return role.ctx
