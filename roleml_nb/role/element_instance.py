"""An element at run time: the object that a role instance works with, and how it comes and goes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, replace
from io import BytesIO, StringIO
from threading import RLock
from typing import Any, Generic, TypeVar

from roleml_nb.role.randomness.torch_generator import own_torch_generator

from .elements import ConstructStrategy, Element, ElementImplementation, InitializeStrategy, label
from .errors import ElementError
from .forks import at_fork
from .serialization import usual_mode

__all__ = ["ElementInstance"]

T = TypeVar("T")


class ElementInstance(Generic[T]):
    """An element of a role instance. Calling it hands out the object, and builds it when it is due.

    Files are found relative to `directory`.
    """

    def __init__(
        self,
        element: Element[T],
        given: ElementImplementation[T] | None,
        where: str,
        directory: str = "",
    ):
        given = given or ElementImplementation()
        narrow = _narrow(given)
        if narrow is not None and element.type_check and not _is_subclass(narrow, element.cls):
            raise ElementError(
                f"{where}: element {element.name!r} must be {label(element.cls)}, "
                f"and {label(narrow)} is no such class"
            )
        self.where, self.directory = where, directory
        self._lock = RLock()
        at_fork(self)
        self._initialized = False
        self._object = given.impl
        self._configure(element, given)
        if self._object is None and self._constructor is None and given.deserializer_source is None:
            self._object = element.default_impl
        if self._object is not None:
            self._check(self._object)

    def _configure(self, element: Element[T], given: ElementImplementation[T]) -> None:
        """Note what the object is built and checked with."""
        narrow = _narrow(given)
        self.element, self.given = element, given
        self._types = [element.cls] if narrow is None else [element.cls, narrow]
        self._constructor = given.constructor or narrow or element.default_constructor
        keywords = (
            element.default_constructor_args
            if given.constructor_args is None
            else given.constructor_args
        )
        self._keywords = dict(keywords or {})
        self._initializer: Any = given.initializer or element.default_initializer
        self._initialize_strategy = given.initialize_strategy or element.default_initialize_strategy
        self._serializer: Any = given.serializer or element.default_serializer
        self._deserializer: Any = given.deserializer or element.default_deserializer
        self._destructor = given.destructor or element.default_destructor
        self.strategy = given.construct_strategy or element.default_construct_strategy

    # what a role uses

    def forked(self) -> None:
        self._lock = RLock()

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        """The object, built and initialized as the strategies say; `args` and `kwargs` replace
        those of the constructor.
        """
        with self._lock:
            every_time = (
                self.strategy is ConstructStrategy.EVERY_CALL and self._constructor is not None
            )
            if self._object is None or every_time:
                return self._initialize(self.construct(*args, **kwargs))
            if args or kwargs:
                raise ElementError(
                    f"{self.where}: element {self.element.name!r} is built already; arguments are"
                    " taken by construct(), or by every call with ConstructStrategy.EVERY_CALL"
                )
            return self._initialize(self._object)

    @property
    def implemented(self) -> bool:
        return (
            self._object is not None
            or self._constructor is not None
            or self.given.deserializer_source is not None
        )

    @property
    def constructible(self) -> bool:
        """Whether it can be built anew: it was not given as an object, nor read from a file."""
        return self._constructor is not None and self.given.impl is None

    @property
    def serializable(self) -> bool:
        return self._serializer is not None

    @property
    def deserializable(self) -> bool:
        return self._deserializer is not None

    def construct(self, *args: Any, **kwargs: Any) -> T:
        """Build a new object in the place of the old one, which is destroyed.

        The given arguments replace all others.
        """
        with self._lock:
            if self._constructor is None:
                raise ElementError(
                    f"{self.where}: element {self.element.name!r} is not implemented"
                )
            self.reset()
            if not args and not kwargs:
                args, kwargs = self.given.arguments, self._keywords
            with own_torch_generator():
                made = self._constructor(*args, **kwargs)
            self._object = self._check(made)
            return self._object

    def reset(self) -> None:
        """Destroy and forget the object, so that the next use builds a new one."""
        with self._lock:
            made, self._object = self._object, None
            self._initialized = False
            if made is not None and self._destructor is not None:
                self._destructor(made)

    def serialize(self, file: Any = None) -> None:
        """Write the object to `file` (open), or to the implementation's
        `serializer_destination`.
        """
        with self._lock:
            if self._serializer is None or self._object is None:
                raise ElementError(
                    f"{self.where}: element {self.element.name!r} has no "
                    f"{'serializer' if self._serializer is None else 'object to serialize'}"
                )
            if file is not None:
                self._serializer(self._object, file)
                return
            with self._open(self.given.serializer_destination, "serializer", "w") as opened:
                self._serializer(self._object, opened)

    def deserialize(self, file: Any = None) -> T:
        """Take the object from `file` (open), or from the implementation's `deserializer_source`,
        and return it.
        """
        with self._lock:
            if self._deserializer is None:
                raise ElementError(
                    f"{self.where}: element {self.element.name!r} has no deserializer"
                )
            if file is not None:
                made = self._deserializer(file)
            else:
                with self._open(self.given.deserializer_source, "deserializer", "r") as opened:
                    made = self._deserializer(opened)
            self._object, self._initialized = self._check(made), True
            return self._object

    # what the actor uses

    def prepare(self) -> None:
        """The role starts: read what is to be read, build what is to be built now."""
        if self._object is None and self.given.deserializer_source is not None:
            self.deserialize()
        elif (
            self.strategy is ConstructStrategy.ONCE_EAGER
            and self._object is None
            and self._constructor is not None
        ):
            self()

    def finalize(self) -> None:
        """The role ends: serialize if there is a destination, then destroy."""
        try:
            if self.given.serializer_destination is not None and self._object is not None:
                self.serialize()
        finally:
            self.reset()

    def get_state(self) -> tuple[str, Any]:
        """What travels with a role that moves: ("file", bytes or text), ("object", it), or ("",
        None) when not built.

        Through the serializer where there are serializer and deserializer, else the object itself.
        """
        with self._lock:
            if self._object is None:
                return "", None
            if self._serializer is None or self._deserializer is None:
                return "object", self._object
            file = StringIO() if self._mode("serializer") == "text" else BytesIO()
            self._serializer(self._object, file)
            return "file", file.getvalue()

    def set_state(self, state: tuple[str, Any]) -> None:
        """Take over what `get_state` gave on another node."""
        kind, content = state
        with self._lock:
            if kind == "file":
                self.deserialize(
                    StringIO(content) if isinstance(content, str) else BytesIO(content)
                )
            elif kind == "object":
                self._object, self._initialized = self._check(content), True

    def update(self, element: Element[T], convert: Callable[[Any], Any]) -> None:
        """Go on as an element of a new version of the role's class: the object stays, and what it
        was given is `convert`.
        """
        with self._lock:
            given = self.given
            changes = {item.name: convert(getattr(given, item.name)) for item in fields(given)}
            self._configure(element, replace(given, **changes))
            self._object = convert(self._object)

    def release(self) -> None:
        """Let the object go without destroying it: it lives on elsewhere."""
        with self._lock:
            self._object = None

    def _mode(self, kind: str) -> str:
        function = self._serializer if kind == "serializer" else self._deserializer
        return (
            getattr(self.given, f"{kind}_mode")
            or getattr(self.element, f"default_{kind}_mode")
            or usual_mode(function)
            or "binary"
        )

    def _open(self, path: str | None, kind: str, access: str) -> Any:
        if path is None:
            raise ElementError(
                f"{self.where}: element {self.element.name!r} has no {kind} file; give one to the"
                " call, or say in its implementation where it is"
            )
        full = os.path.join(self.directory, path)
        return (
            open(full, access, encoding="utf-8")
            if self._mode(kind) == "text"
            else open(full, access + "b")
        )

    def _initialize(self, made: T) -> T:
        every_time = self._initialize_strategy is InitializeStrategy.EVERY_CALL
        if self._initializer is not None and (every_time or not self._initialized):
            self._initializer(made)
        self._initialized = True
        return made

    def _check(self, made: T) -> T:
        for wanted in self._types if self.element.type_check else ():
            if not _fits(made, wanted):
                raise ElementError(
                    f"{self.where}: element {self.element.name!r} must be {label(wanted)}, "
                    f"not {type(made).__name__}{_lacking(made, wanted)}"
                )
        return made


def _narrow(given: ElementImplementation) -> Any:
    """The class that an implementation says; None if it says none."""
    return given.cls if given.cls not in (None, Any, object) else None


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


def _is_subclass(narrow: Any, wanted: Any) -> bool:
    if not isinstance(narrow, type):
        return False
    if getattr(wanted, "_is_protocol", False):
        return True  # a protocol's attributes are looked for on the object
    try:
        return issubclass(narrow, wanted)
    except TypeError:
        return True
