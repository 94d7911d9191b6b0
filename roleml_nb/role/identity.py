"""Identities of actors and role instances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

__all__ = [
    "NATIVE",
    "NOTEBOOK",
    "ActorProfile",
    "RoleInstanceID",
    "RoleInstanceIDTuple",
    "parse_instances",
]

NATIVE = "actor"
"""Instance name of the native role that every actor has."""
NOTEBOOK = "notebook"
"""Name of the actor of the notebook's kernel, and of its host."""


class ActorProfile(NamedTuple):
    """An actor's name and address, which is the id of its host. Equal by name."""

    name: str
    address: str = ""

    def __eq__(self, other: object) -> bool:
        return self.name == other.name if isinstance(other, ActorProfile) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.name)


class RoleInstanceID(NamedTuple):
    """Address of a role: ``client3/trainer``."""

    actor_name: str
    instance_name: str

    def __str__(self) -> str:
        return f"{self.actor_name}/{self.instance_name}"

    @staticmethod
    def of(fullname: str) -> RoleInstanceID:
        """Parse ``actor/instance``; ValueError for anything else."""
        names = fullname.split("/")
        if len(names) != 2 or not all(names):
            raise ValueError(f"{fullname!r} is not of the form 'node/role'")
        return RoleInstanceID(*names)


RoleInstanceIDTuple = tuple[str, str]


def parse_instances(
    spec: Iterable[str] | str, default_instance_name: str = NATIVE
) -> list[RoleInstanceID]:
    """Parse ``actor/instance`` or ``actor`` (then the default instance), one or many."""
    found = []
    for text in [spec] if isinstance(spec, str) else spec:
        fullname = text if "/" in text else f"{text}/{default_instance_name}"
        found.append(RoleInstanceID.of(fullname))
    return found
