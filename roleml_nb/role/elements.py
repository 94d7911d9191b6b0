"""Elements: what a role needs, and what is given for it at deployment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from threading import RLock
from typing import Any, Generic, TypeVar

from .errors import ElementError
from .names import standard_name

__all__ = [
    "ConstructStrategy", "Element", "ElementImplementation", "ElementInstance", "Factory", "InitializeStrategy",
]

T = TypeVar("T")


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
    """Declare a need of a role; on an instance, ``role.model()`` hands out the object given for it.

    `cls` is a class or a protocol; with `type_check` the object built is checked against it.
    """

    cls: Any
    default_impl: T | None = None
    default_constructor: Callable[..., T] | None = None
    default_construct_strategy: ConstructStrategy = ConstructStrategy.DEFAULT
    default_constructor_args: Mapping[str, Any] | None = None
    default_initializer: Callable[[T], None] | None = None
    default_initialize_strategy: InitializeStrategy = InitializeStrategy.DEFAULT
    default_destructor: Callable[[T], None] | None = None
    optional: bool = False
    type_check: bool = True
    name: str = field(default="", init=False)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = standard_name(name)

    def __get__(self, role: Any, owner: type | None = None) -> Any:
        return self if role is None else role.__dict__.get("_elements", {}).get(self.name, self)

    @property
    def implemented(self) -> bool:
        return False

    @property
    def has_default(self) -> bool:
        """Whether the element works with nothing given for it."""
        return self.default_impl is not None or self.default_constructor is not None

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        raise ElementError(f"element {self.name!r} ({_label(self.cls)}) is not implemented: the role is on no node")


@dataclass(eq=False)
class Factory(Element[T]):
    """An element that is built anew at each use."""

    default_construct_strategy: ConstructStrategy = ConstructStrategy.EVERY_CALL


@dataclass
class ElementImplementation(Generic[T]):
    """What is given for an element: an object (`impl`), or how to build one on the node."""

    cls: Any = None
    impl: T | None = None
    constructor: Callable[..., T] | None = None
    construct_strategy: ConstructStrategy | None = None
    constructor_args: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[Any, ...] = ()
    initializer: Callable[[T], None] | None = None
    initialize_strategy: InitializeStrategy | None = None
    destructor: Callable[[T], None] | None = None


class ElementInstance(Generic[T]):
    """An element of a role instance. Calling it hands out the object, and builds it when it is due."""

    def __init__(self, element: Element[T], given: ElementImplementation[T] | None, where: str):
        self.element = element
        self.where = where
        given = given or ElementImplementation()
        default = element
        self._object: T | None = given.impl
        self._constructor = given.constructor or given.cls
        self._arguments = given.arguments
        self._keywords = dict(given.constructor_args)
        if self._object is None and self._constructor is None:
            self._object = default.default_impl
            self._constructor = default.default_constructor
            self._keywords = {**(default.default_constructor_args or {}), **self._keywords}
        self._initializer = given.initializer or default.default_initializer
        self._initialize_strategy = given.initialize_strategy or default.default_initialize_strategy
        self._destructor = given.destructor or default.default_destructor
        self.strategy = given.construct_strategy or default.default_construct_strategy
        self._given = self._object
        self._initialized = False
        self._lock = RLock()
        if self._object is not None:
            self._check(self._object)

    @property
    def implemented(self) -> bool:
        return self._object is not None or self._constructor is not None

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        with self._lock:
            if self._given is None and self.strategy is ConstructStrategy.EVERY_CALL:
                return self._initialize(self.construct(*args, **kwargs), fresh=True)
            fresh = self._object is None
            if self._object is None:
                self._object = self.construct(*args, **kwargs)
            return self._initialize(self._object, fresh)

    def construct(self, *args: Any, **kwargs: Any) -> T:
        """Build a new object, with the given arguments over those of the implementation."""
        if self._constructor is None:
            raise ElementError(f"{self.where}: element {self.element.name!r} is not implemented")
        return self._check(self._constructor(*(args or self._arguments), **{**self._keywords, **kwargs}))

    def reset(self) -> None:
        """Forget the object, so that the next use builds a new one."""
        with self._lock:
            self.destroy()
            self._object = self._given

    def destroy(self) -> None:
        """Run the destructor on the object, if there is one."""
        with self._lock:
            made, self._object = self._object, None
            self._initialized = False
            if made is not None and self._destructor is not None:
                self._destructor(made)

    def _initialize(self, made: T, fresh: bool) -> T:
        every = self._initialize_strategy is InitializeStrategy.EVERY_CALL
        if self._initializer is not None and (fresh or every or not self._initialized):
            self._initializer(made)
        self._initialized = True
        return made

    def _check(self, made: T) -> T:
        if self.element.type_check and not _fits(made, self.element.cls):
            raise ElementError(
                f"{self.where}: element {self.element.name!r} must be {_label(self.element.cls)}, "
                f"not {type(made).__name__}{_lacking(made, self.element.cls)}"
            )
        return made


def _label(cls: Any) -> str:
    return getattr(cls, "__name__", str(cls))


def _lacking(made: Any, cls: Any) -> str:
    names = [name for name in _protocol_names(cls) if not hasattr(made, name)]
    return f" (it has no {', '.join(sorted(names))})" if names else ""


def _protocol_names(cls: Any) -> set[str]:
    if not getattr(cls, "_is_protocol", False):
        return set()
    return {
        name
        for base in cls.__mro__
        if getattr(base, "_is_protocol", False)
        for name in (*vars(base), *vars(base).get("__annotations__", ()))
        if name in ("__call__", "__iter__", "__len__", "__getitem__") or not name.startswith("_")
    }


def _fits(made: Any, cls: Any) -> bool:
    if getattr(cls, "_is_protocol", False):
        return all(hasattr(made, name) for name in _protocol_names(cls))
    try:
        return isinstance(made, cls)
    except TypeError:  # a typing construct that cannot be checked
        return True
