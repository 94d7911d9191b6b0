"""Distributed machine learning in notebooks: roles, on actors, on ipyparallel engines."""

from typing import TYPE_CHECKING, Any

from . import former_names
from .role import (
    CallerError,
    CallTimeout,
    Deadlock,
    Element,
    Event,
    EventHandler,
    Factory,
    HandlerError,
    IterableDataset,
    Message,
    NodeLost,
    Role,
    RoleInstanceID,
    RoleMLError,
    Runnable,
    Service,
    Task,
    TestableModel,
    TrainableModel,
    attribute,
)
from .spec import readers
from .testbed import Each, Testbed, impl
from .trace import Recording, compare

if TYPE_CHECKING:
    from roleml_nb.topologies.topology import Topology, topology

former_names.install()
readers.register("roleml_nb.compat.config")

__version__ = "0.1.0"

__all__ = [
    "CallTimeout",
    "CallerError",
    "Deadlock",
    "Each",
    "Element",
    "Event",
    "EventHandler",
    "Factory",
    "HandlerError",
    "IterableDataset",
    "Message",
    "NodeLost",
    "Recording",
    "Role",
    "RoleInstanceID",
    "RoleMLError",
    "Runnable",
    "Service",
    "Task",
    "TestableModel",
    "Testbed",
    "Topology",
    "TrainableModel",
    "attribute",
    "compare",
    "impl",
    "topology",
]


def __getattr__(name: str) -> Any:
    # they need networkx, which takes a third of a second to import
    if name in ("Topology", "topology"):
        from .topologies import topology as module

        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ip: Any) -> None:
    """Register the magics ``%rml`` and ``%%role``: ``%load_ext roleml_nb``."""
    from .magics import load_ipython_extension as load

    load(ip)


def unload_ipython_extension(ip: Any) -> None:
    """Remove the magics."""
    from .magics import unload_ipython_extension as unload

    unload(ip)
