"""An element at run time: the object of one role instance, from construction to its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, replace
from io import BytesIO, StringIO
from threading import RLock
from typing import Any, Generic, TypeVar

from roleml_nb.role.checks.annotations import may_be
from roleml_nb.role.randomness.torch_generator import own_torch_generator

from .elements import ConstructStrategy, Element, ElementImplementation, InitializeStrategy, label
from .errors import ElementError
from .forks import at_fork
from .serialization import usual_mode

__all__ = ["ElementInstance"]

T = TypeVar("T")
PROTOCOL_METHODS = ("__call__", "__iter__", "__len__", "__getitem__")
"""Special methods that a protocol may ask for."""


class ElementInstance(Generic[T]):
    """An element of a role instance; calling it returns the object, and builds it when necessary.

    Paths of files are relative to `directory`.
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
        """Combine the declaration and the implementation into rules for construction and checks."""
        narrow = _narrow(given)
        self.element, self.given = element, given
        self._types = [element.cls] if narrow is None else [element.cls, narrow]
        self._constructor = given.constructor or narrow or element.default_constructor
        keywords = given.constructor_args
        if keywords is None:
            keywords = element.default_constructor_args
        self._keywords = dict(keywords or {})
        self._initializer: Any = given.initializer or element.default_initializer
        self._initialize_strategy = given.initialize_strategy or element.default_initialize_strategy
        self._serializer: Any = given.serializer or element.default_serializer
        self._deserializer: Any = given.deserializer or element.default_deserializer
        self._destructor = given.destructor or element.default_destructor
        self.strategy = given.construct_strategy or element.default_construct_strategy

    # called by roles

    def forked(self) -> None:
        self._lock = RLock()

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        """Return the object, built and initialized according to the strategies.

        `args` and `kwargs` replace those of the constructor.
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
        """True when the object can be built anew: it was not given as such."""
        return self._constructor is not None and self.given.impl is None

    @property
    def serializable(self) -> bool:
        return self._serializer is not None

    @property
    def deserializable(self) -> bool:
        return self._deserializer is not None

    def construct(self, *args: Any, **kwargs: Any) -> T:
        """Destroy the object and build a new one; the given arguments replace all others."""
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
        """Destroy the object; the next use builds a new one."""
        with self._lock:
            made, self._object = self._object, None
            self._initialized = False
            if made is not None and self._destructor is not None:
                self._destructor(made)

    def serialize(self, file: Any = None) -> None:
        """Write the object to the open `file`, else to the `serializer_destination`."""
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
        """Read the object from the open `file`, else the `deserializer_source`; return it."""
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
            self._object = self._check(made)
            self._initialized = True
            return self._object

    # called by the actor

    def prepare(self) -> None:
        """Read the object from its file, or build an eager one: the role starts."""
        if self._object is None and self.given.deserializer_source is not None:
            self.deserialize()
        elif (
            self.strategy is ConstructStrategy.ONCE_EAGER
            and self._object is None
            and self._constructor is not None
        ):
            self()

    def finalize(self) -> None:
        """Serialize the object if there is a destination, and destroy it: the role ends."""
        try:
            if self.given.serializer_destination is not None and self._object is not None:
                self.serialize()
        finally:
            self.reset()

    def get_state(self) -> tuple[str, Any, bool]:
        """Return the state that travels with a role that moves.

        ("file", bytes or text) where there are serializer and deserializer, else ("object", the
        object); ("", None) when it is not built. The last item is True if it is initialized.
        """
        with self._lock:
            if self._object is None:
                return "", None, False
            if self._serializer is None or self._deserializer is None:
                return "object", self._object, self._initialized
            file = StringIO() if self._mode("serializer") == "text" else BytesIO()
            self._serializer(self._object, file)
            return "file", file.getvalue(), self._initialized

    def set_state(self, state: tuple[Any, ...]) -> None:
        """Restore the state that `get_state` returned on another node; files of earlier versions
        have no last item, since all of it was initialized.
        """
        kind, content, *initialized = state
        with self._lock:
            if kind == "file":
                self.deserialize(
                    StringIO(content) if isinstance(content, str) else BytesIO(content)
                )
            elif kind == "object":
                self._object = self._check(content)
            self._initialized = all(initialized)

    def update(self, element: Element[T], convert: Callable[[Any], Any]) -> None:
        """Become an element of a new version of the role's class; the object stays.

        `convert` is applied to the object and to each field of its implementation.
        """
        with self._lock:
            given = self.given
            changes = {}
            for item in fields(given):
                changes[item.name] = convert(getattr(given, item.name))
            self._configure(element, replace(given, **changes))
            self._object = convert(self._object)

    def release(self) -> None:
        """Drop the object without destroying it: it lives on elsewhere."""
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
        if self._mode(kind) == "text":
            return open(full, access, encoding="utf-8")
        return open(full, access + "b")

    def _initialize(self, made: T) -> T:
        every_time = self._initialize_strategy is InitializeStrategy.EVERY_CALL
        if self._initializer is not None and (every_time or not self._initialized):
            self._initializer(made)
        self._initialized = True
        return made

    def _check(self, made: T) -> T:
        for wanted in self._types if self.element.type_check else ():
            if not _fits(made, wanted):
                missing = ", ".join(_missing_names(made, wanted))
                raise ElementError(
                    f"{self.where}: element {self.element.name!r} must be {label(wanted)}, "
                    f"not {type(made).__name__}{missing and f' (it has no {missing})'}"
                )
        return made


def _narrow(given: ElementImplementation) -> Any:
    """Return the class of an implementation; None if it gives none."""
    return given.cls if given.cls not in (None, Any, object) else None


def _missing_names(made: Any, cls: Any) -> list[str]:
    """Return the names of a protocol that the object lacks, sorted."""
    return [name for name in sorted(_protocol_names(cls)) if not hasattr(made, name)]


def _protocol_names(cls: Any) -> set[str]:
    found: set[str] = set()
    if not _is_protocol(cls):
        return found
    for base in filter(_is_protocol, cls.__mro__):
        found.update(vars(base), vars(base).get("__annotations__", ()))
    return {name for name in found if name in PROTOCOL_METHODS or not name.startswith("_")}


def _is_protocol(cls: Any) -> bool:
    return getattr(cls, "_is_protocol", False)


def _fits(made: Any, cls: Any) -> bool:
    if _is_protocol(cls):
        return not _missing_names(made, cls)
    return may_be(made, cls)


def _is_subclass(narrow: Any, wanted: Any) -> bool:
    if not isinstance(narrow, type):
        return False
    if _is_protocol(wanted):
        return True  # a protocol's attributes are looked for on the object
    try:
        return issubclass(narrow, wanted)
    except TypeError:
        return True
