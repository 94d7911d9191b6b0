"""Actors as RoleML programs make them: an `ActorBuilder`, a configuration, and ``actor.run()``.

The actors that one process builds are nodes of one embedded testbed, which lives as long as they
do: they use its links instead of the network.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from roleml_nb.actor import Actor
from roleml_nb.role import NATIVE, RoleMLError
from roleml_nb.role.identity import parse_instances
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.operations.load import load

from .config.bootstrap import COMPONENTS

__all__ = ["ActorBuilder", "BuiltActor"]


class _Process:
    """The testbed of this process, and the names of the actors on it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._bed: Testbed | None = None
        self._actors: set[str] = set()

    def add_actor(self, name: str) -> Testbed:
        with self._lock:
            if name in self._actors:
                raise RoleMLError(
                    f"this process has an actor named {name!r} already: stop() it first"
                )
            if self._bed is None:
                self._bed = Testbed(engines=0)
                # the program is not a notebook: its roles print where it does
                self._bed.fleet.home.log_buffer.echo = True
            self._bed.spawn(name)
            self._actors.add(name)
            return self._bed

    def remove_actor(self, name: str) -> None:
        with self._lock:
            self._actors.discard(name)
            if not self._actors and self._bed is not None:
                self._bed.stop()
                self._bed = None


_process = _Process()


class BuiltActor:
    """An actor with a configuration; other attributes come from the node's `Actor`."""

    def __init__(self, configuration: dict[str, Any]):
        self._configuration = configuration
        self._name = configuration["name"]
        self._bed = _process.add_actor(self._name)
        self._actor: Actor = self._bed.fleet.home.actors[self._name]
        self._stopped = threading.Event()
        relationships = self._actor.ctx.relationships
        for alias, target in (configuration.pop("relationship_links", None) or {}).items():
            relationships.link_relationship(alias, target)
        for relationship, members in (configuration.pop("relationships", None) or {}).items():
            instances = []
            for text in [members] if isinstance(members, str) else members:
                instances.append(f"{self._name}{text}" if text.startswith("/") else text)
            relationships.add_to_relationship(relationship, *parse_instances(instances))

    def run(self) -> None:
        """Start the roles, and return when `stop` is called or the wait is interrupted.

        RoleMLError if they fail.
        """
        try:
            load(self._bed, self._configuration, trust=True)  # it is the program's own
            self._stopped.wait()
        except KeyboardInterrupt:
            pass
        except RoleMLError:
            # otherwise `stop` has removed roles that were about to start
            if not self._stopped.is_set():
                raise
        finally:
            self.stop()

    def stop(self) -> None:
        """Stop the roles, and make `run` return. Idempotent."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        try:
            for name in list(self._actor.roles):
                if name != NATIVE:
                    self._actor.stop_role(name)
        finally:
            self._bed.registry.roles.pop(self._name, None)
            _process.remove_actor(self._name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._actor, name)


class ActorBuilder:
    """Builds one actor from the configuration given to `load_config`.

    Of its keys, addresses, contacts, components and logging have no effect.
    """

    __slots__ = ("_configuration",)

    def __init__(self) -> None:
        self._configuration: dict[str, Any] | None = None

    def load_config(self, config: Mapping[str, Any]) -> None:
        """Set the actor's configuration (`ActorBootstrapSpec`), once."""
        if self._configuration is not None:
            raise RoleMLError(
                "this builder has a configuration already: use one builder for each actor"
            )
        self._configuration = _copy(config)
        for key in COMPONENTS:
            component = config.get(key)
            if isinstance(component, type):
                self._configuration[key] = f"{component.__module__}.{component.__name__}"

    def build(self) -> BuiltActor:
        """Make the actor, with its relationships; its roles start with its `run`."""
        if self._configuration is None:
            raise RoleMLError("there is nothing to build: call load_config first")
        if not isinstance(self._configuration.get("name"), str):
            raise RoleMLError("an actor's configuration needs a 'name'")
        return BuiltActor(dict(self._configuration))


def _copy(value: Any) -> Any:
    """Copy containers, so that the caller may change them for the next actor, and no values."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
