"""Names that RoleML programs use in annotations, and its constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict, TypeVar

from roleml_nb.role import Role

from .config.bootstrap import KEYS
from .config.roles import ELEMENT_KEYS

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


ElementImplementationSpec = TypedDict(  # type: ignore[misc]
    "ElementImplementationSpec", dict.fromkeys(ELEMENT_KEYS, Any), total=False
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


ActorBootstrapSpec = TypedDict(  # type: ignore[misc]
    "ActorBootstrapSpec", dict.fromkeys(KEYS, Any), total=False
)
"""The configuration of one actor: see `ActorBuilder`."""
