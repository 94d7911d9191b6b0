"""The context of a node's roles: its contacts, relationships, folders and seeds."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from string import Template
from threading import RLock
from typing import NamedTuple

from roleml_nb.role.checks.names import did_you_mean

from .errors import ActorNotFoundError, RoleMLError
from .forks import at_fork
from .identity import ActorProfile, RoleInstanceID
from .relationships import Relationships
from .running import running_role

__all__ = ["Contacts", "Context"]

_active: ContextVar[Context | None] = ContextVar("active context", default=None)


class Contacts:
    """The actors that can be reached. The actors of one host share one directory. Thread-safe."""

    def __init__(self, *initial_contacts: ActorProfile) -> None:
        self._profiles: dict[str, ActorProfile] = {}
        self._lock = RLock()
        at_fork(self)
        self.listeners: list[Callable[[ActorProfile], None]] = []
        """Called with each profile that was added or replaced, on the changer's thread."""
        for profile in initial_contacts:
            self._profiles[profile.name] = profile

    def forked(self) -> None:
        self._lock = RLock()

    def add_contact(self, profile: ActorProfile) -> ActorProfile | None:
        """Add a profile, or replace the one of its name; return the replaced one."""
        with self._lock:
            old = self._profiles.pop(profile.name, None)
            self._profiles[profile.name] = profile
        for listener in tuple(self.listeners):
            listener(profile)
        return old

    def remove_contact(self, name: str) -> ActorProfile | None:
        with self._lock:
            return self._profiles.pop(name, None)

    def get_actor_profile(self, name: str) -> ActorProfile:
        """Return an actor's profile; ActorNotFoundError, with the nearest names, for others."""
        try:
            return self._profiles[name]
        except KeyError:
            raise ActorNotFoundError(
                f"no node named {name!r}; {did_you_mean(name, self.all_actor_names())}"
            ) from None

    def all_actor_names(self) -> list[str]:
        with self._lock:
            return list(self._profiles)

    def all_actors(self) -> Iterator[ActorProfile]:
        with self._lock:
            profiles = list(self._profiles.values())
        yield from profiles


class Context(NamedTuple):
    """The context of the roles of one node.

    `start_time` is in seconds since the epoch. `workdir` is the folder of relative paths of
    elements, `src` that of the application's modules: building a context changes neither the
    process's working directory nor `sys.path`. `seed` is the node's, for roles that make generators
    of their own; no global generator is seeded. `testbed_seed` is that of the whole testbed, for
    draws that all nodes share. `handwaves` are actors to notify when the node ends.
    """

    start_time: float
    start_time_formatted: str
    workdir: str
    src: str
    seed: int
    contacts: Contacts
    relationships: Relationships
    handwaves: list[str]
    profile: ActorProfile
    testbed_seed: int = 0

    @staticmethod
    def build(
        profile: ActorProfile,
        *,
        workdir: str = ".",
        src: str | None = None,
        seed: int = -1,
        testbed_seed: int = 0,
        initial_relationships: Mapping[str, Iterable[RoleInstanceID]] | None = None,
        initial_relationship_links: Mapping[str, str] | None = None,
        initial_contacts: Iterable[ActorProfile] | Contacts = (),
        initial_handwaves: Iterable[str] | None = None,
        start_time: float | None = None,
    ) -> Context:
        """Make a context; `seed` -1 becomes a random one, `src` is `workdir` unless given."""
        began = time.time() if start_time is None else start_time
        home = os.path.abspath(workdir)
        contacts = initial_contacts
        if not isinstance(contacts, Contacts):
            contacts = Contacts(*contacts)
        return Context(
            began,
            time.strftime("%Y-%m-%d-%H-%M-%S", time.localtime(began)),
            home,
            os.path.abspath(src) if src else home,
            random.SystemRandom().randrange(2**63) if seed == -1 else seed,
            contacts,
            Relationships(initial_relationships, initial_relationship_links),
            list(initial_handwaves or ()),
            profile,
            testbed_seed,
        )

    def apply_general_template(self, template_str: str) -> str:
        """Fill in $random, $timestamp, $time, $workdir, $src and $seed.

        KeyError for any other name.
        """
        return Template(template_str).substitute(
            random=random.SystemRandom().randint(1, 2**31 - 1),
            timestamp=self.start_time,
            time=self.start_time_formatted,
            workdir=self.workdir,
            src=self.src,
            seed=self.seed,
        )

    @staticmethod
    def active_context() -> Context:
        """Return the context of the role whose handler runs here, else the one set for this thread.

        RoleMLError when there is neither.
        """
        role = running_role()
        context = _active.get() if role is None else role.ctx
        if context is None:
            raise RoleMLError(
                "no role runs here, so there is no active context: ask a role for its ctx"
            )
        return context

    @staticmethod
    def set_active_context(ctx: Context | None) -> None:
        """Set the context that is active in this thread outside of handlers."""
        _active.set(ctx)
