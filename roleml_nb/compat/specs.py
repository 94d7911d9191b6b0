"""Names that RoleML programs use in annotations, and its constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict, TypeVar

from roleml_nb.role import Role

__all__ = [
    "LOG_LEVEL_INTERNAL",
    "MODEL_VERSION",
    "ActorBootstrapSpec",
    "ActorProfileSpec",
    "ElementImplementationSpec",
    "LogConsoleType",
    "LogLevel",
    "ParsedElementImplementationSpec",
    "RoleDescriptor",
    "RoleSpec",
    "T",
    "Tags",
]

MODEL_VERSION = "0.3.1"
"""The version of RoleML whose programs run here."""

LOG_LEVEL_INTERNAL = 5
LogLevel = Literal["DISABLED", "INTERNAL", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
LogConsoleType = Literal["single", "shared"]
T = TypeVar("T")
Tags = Mapping[str, str]
RoleDescriptor = str | type[Role]


class ActorProfileSpec(TypedDict):
    """An actor's name and address."""

    name: str
    address: str


ElementImplementationSpec = TypedDict(
    "ElementImplementationSpec",
    {
        "class": Any,
        "impl": Any,
        "constructor": Any,
        "construct_strategy": Any,
        "constructor_args": Any,
        "initializer": Any,
        "initialize_strategy": Any,
        "serializer": Any,
        "serializer_destination": Any,
        "serializer_mode": Any,
        "deserializer": Any,
        "deserializer_source": Any,
        "deserializer_mode": Any,
        "destructor": Any,
    },
    total=False,
)
ParsedElementImplementationSpec = ElementImplementationSpec
RoleSpec = TypedDict(
    "RoleSpec",
    {
        "class": Any,
        "options": dict[str, Any],
        "impl": dict[str, Any],
    },
    total=False,
)


class ActorBootstrapSpec(TypedDict, total=False):
    """The configuration of one actor: see `ActorBuilder`."""

    name: str
    address: str
    roles: dict[str, Any]
    relationships: dict[str, Any]
    relationship_links: dict[str, str]
    contacts: dict[str, str]
    handshakes: list[str]
    handwaves: list[str]
    element_preset: dict[str, Any]
    procedure_invoker: Any
    procedure_provider: Any
    messaging_component: Any
    collective_implementor: Any
    workdir: str
    src: str
    log_file_path: str
    log_file_level: LogLevel
    log_console_type: LogConsoleType
    log_console_level: LogLevel
    debug: bool
    seed: int
