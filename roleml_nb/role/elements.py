"""Elements: needs that a role declares, and the implementations given for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Generic, Literal, TypeVar

from roleml_nb.role.checks.names import standard_name

from .errors import ElementError
from .serialization import find

__all__ = ["ConstructStrategy", "Element", "ElementImplementation", "Factory", "InitializeStrategy"]

T = TypeVar("T")
Mode = Literal["binary", "text"]


class ConstructStrategy(Enum):
    """When a workload object is built: at first use, when the role starts, or anew at each use."""

    ONCE = auto()
    ONCE_EAGER = auto()
    EVERY_CALL = auto()
    DEFAULT = ONCE


class InitializeStrategy(Enum):
    """When the initializer runs: after the construction, or at each use."""

    ONCE = auto()
    EVERY_CALL = auto()
    DEFAULT = ONCE


@dataclass(eq=False)
class Element(Generic[T]):
    """Declares a need of a role; on an instance, ``role.model()`` returns the object given for it.

    `cls` is a class or a protocol; with `type_check` the object is checked against it. A
    `default_…` field applies where the implementation leaves that field out (see
    `ElementImplementation`). Without an implementation or a default, a role starts only if the
    element is `optional`.

    Examples
    --------
    >>> from roleml_nb import Element, Role, Service, Testbed
    >>> class Reader(Role):
    ...     book = Element(list)
    ...     @Service
    ...     def count_pages(self, caller, args, payloads):
    ...         return len(self.book())
    >>> with Testbed(engines=0) as bed:
    ...     node = bed.spawn("ada")
    ...     node = node.assign("reader", Reader, elements={"book": ["page 1", "page 2"]})
    ...     print(bed.call("ada/reader", "count-pages"))
    2
    """

    cls: Any
    default_impl: T | None = None
    default_constructor: Callable[..., T] | None = None
    default_construct_strategy: ConstructStrategy = ConstructStrategy.DEFAULT
    default_constructor_args: Mapping[str, Any] | None = None
    default_initializer: Callable[[T], None] | str | None = None
    default_initialize_strategy: InitializeStrategy = InitializeStrategy.DEFAULT
    default_serializer: Callable[[T, Any], None] | str | None = None
    default_serializer_mode: Mode | None = None
    default_deserializer: Callable[[Any], T] | str | None = None
    default_deserializer_mode: Mode | None = None
    default_destructor: Callable[[T], None] | None = None
    optional: bool = False
    type_check: bool = True
    name: str = field(default="", init=False)

    def __post_init__(self) -> None:
        for kind in ("initializer", "serializer", "deserializer"):
            setattr(self, f"default_{kind}", find(kind, getattr(self, f"default_{kind}")))

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = standard_name(name)

    def __get__(self, role: Any, owner: type | None = None) -> Any:
        return self if role is None else role.__dict__.get("_elements", {}).get(self.name, self)

    @property
    def implemented(self) -> bool:
        return False

    @property
    def has_default(self) -> bool:
        """True when the element works without an implementation."""
        return self.default_impl is not None or self.default_constructor is not None

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        raise ElementError(
            f"element {self.name!r} ({label(self.cls)}) is not implemented: the role is on no node"
        )


@dataclass(eq=False)
class Factory(Element[T]):
    """An element that is built anew at each use."""

    default_construct_strategy: ConstructStrategy = ConstructStrategy.EVERY_CALL


@dataclass
class ElementImplementation(Generic[T]):
    """The implementation of an element of one role instance.

    The first of these that is given provides the object:

    - `impl`: an object;
    - `deserializer_source`: a file on the node, read when the role starts by `deserializer(file)`,
      which is opened in `deserializer_mode`, "binary" (the default) or "text";
    - `constructor`, else `cls`, else the element's default: called on the node, according to
      `construct_strategy`, with `constructor_args` (those given, or else the element's default
      ones; the two are not mixed).

    `cls` also narrows the type. `initializer(object)` runs before the object is returned, according
    to `initialize_strategy`. When the role ends, `serializer(object, file)` writes to
    `serializer_destination` if there is one, then `destructor(object)` is called. Initializer,
    serializer and deserializer may be names ("self", "pickle", "json", or registered ones).
    `arguments` are positional arguments of the constructor.
    """

    cls: Any = None
    impl: T | None = None
    constructor: Callable[..., T] | None = None
    construct_strategy: ConstructStrategy | None = None
    constructor_args: Mapping[str, Any] | None = None
    initializer: Callable[[T], None] | str | None = None
    initialize_strategy: InitializeStrategy | None = None
    serializer: Callable[[T, Any], None] | str | None = None
    serializer_destination: str | None = None
    serializer_mode: Mode | None = None
    deserializer: Callable[[Any], T] | str | None = None
    deserializer_source: str | None = None
    deserializer_mode: Mode | None = None
    destructor: Callable[[T], None] | None = None
    arguments: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        for kind in ("initializer", "serializer", "deserializer"):
            setattr(self, kind, find(kind, getattr(self, kind)))


def label(cls: Any) -> str:
    """Return the name of a type for error messages."""
    return getattr(cls, "__name__", str(cls))
