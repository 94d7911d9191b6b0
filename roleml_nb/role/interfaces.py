"""What roles and workloads may offer beyond their channels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, runtime_checkable

__all__ = ["Deserializable", "PluginAttribute", "Runnable", "Serializable"]


class Runnable(ABC):
    """A role with work of its own: `run` is called on a thread of its own when the role is
    ready.
    """

    @abstractmethod
    def run(self) -> None:
        """Work until done, or until `stop` was called."""

    def stop(self) -> None:  # noqa: B027
        """Make `run` return soon.

        Called from another thread. Nothing, when `run` ends by itself.
        """


@runtime_checkable
class Serializable(Protocol):
    def serialize(self, destination: Any) -> None: ...


@runtime_checkable
class Deserializable(Protocol):
    def deserialize(self, source: Any, **options: Any) -> None: ...


class PluginAttribute:
    """Base of declarative attributes of one's own.

    `Role.plugin_attributes` lists them, under the subclass's name.

    A plain Python descriptor (with ``__get__``) is enough to act on a role; the list serves who
    looks at role classes.
    """

    PLUGIN_NAME: ClassVar[str] = "unknown"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.PLUGIN_NAME = cls.__name__
