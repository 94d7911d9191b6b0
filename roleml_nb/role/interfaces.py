"""Interfaces that roles and workloads may offer beside their channels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, runtime_checkable

__all__ = ["Deserializable", "PluginAttribute", "Runnable", "Serializable"]


class Runnable(ABC):
    """A role with work of its own: `run` is called on its own thread when the role is ready."""

    @abstractmethod
    def run(self) -> None:
        """Work until done, or until `stop` is called."""

    def stop(self) -> None:  # noqa: B027
        """Make `run` return soon; called from another thread.

        Does nothing by default, for a `run` that ends by itself.
        """


@runtime_checkable
class Serializable(Protocol):
    """A workload object that writes itself to a file."""

    def serialize(self, destination: Any) -> None: ...


@runtime_checkable
class Deserializable(Protocol):
    """A workload object that reads itself from a file."""

    def deserialize(self, source: Any, **options: Any) -> None: ...


class PluginAttribute:
    """Base class of declarative attributes of your own.

    `Role.plugin_attributes` lists them under the subclass's name, for tools that examine role
    classes. To act on a role, a plain Python descriptor (with ``__get__``) is enough.
    """

    PLUGIN_NAME: ClassVar[str] = "unknown"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.PLUGIN_NAME = cls.__name__
