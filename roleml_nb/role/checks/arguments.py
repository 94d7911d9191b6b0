"""Types of arguments, checked where public functions begin.

An argument of a wrong type is an `ArgumentTypeError` that names it. The annotations are the rules;
see `annotations`.
"""

from __future__ import annotations

import inspect
import os
import re
import sysconfig
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, wraps
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from roleml_nb.role.errors import ArgumentError, ArgumentTypeError, InternalError, RoleMLError

from .annotations import allows, description_of, is_number, rules_of
from .names import did_you_mean
from .numbers import short

__all__ = ["check_types", "checked", "checked_methods", "wrong_argument"]

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)
PACKAGE = str(Path(__file__).resolve().parents[2]) + os.sep
STANDARD_LIBRARY = (
    "<frozen ",
    sysconfig.get_path("stdlib") + os.sep,
    sysconfig.get_path("platstdlib") + os.sep,
)
INSTALLED_LIBRARY = re.compile(r"[\\/](?:site|dist)-packages[\\/](\w+)")
USED_LIBRARIES = (
    "IPython",
    "anywidget",
    "cloudpickle",
    "ipykernel",
    "ipyparallel",
    "ipywidgets",
    "jupyter_core",
    "mnist1d",
    "nacl",
    "nbconvert",
    "nbformat",
    "nbval",
    "networkx",
    "numpy",
    "packaging",
    "pandas",
    "plotly",
    "psutil",
    "pyarrow",
    "pytest",
    "rcssmin",
    "re2",
    "resvg_py",
    "rjsmin",
    "scipy",
    "sklearn",
    "torch",
    "torchvision",
    "traitlets",
    "yaml",
    "zmq",
)
"""Installed libraries that we call.

Any other installed package may be the user's own, such as a package of roles.
"""


def checked(function: F, exempt: tuple[str, ...] = ()) -> F:
    """Decorate a function: ArgumentTypeError, before it begins, for arguments of a wrong type.

    Errors that our own code, or a library that it calls, raises later because of an argument become
    ArgumentErrors as well; errors of a user's own code stay as they are. A TypeError or
    AttributeError of our own becomes an InternalError, which says where it was raised, when no
    argument can be of a wrong type, since all are texts and numbers that were checked. The function
    itself checks the arguments named in `exempt`, with better texts.

    Our own errors come without our frames, unless code of users stands among them.
    """

    @wraps(function)
    def begin(*args: Any, **kwargs: Any) -> Any:
        _check(function, args, kwargs, exempt)
        try:
            return function(*args, **kwargs)
        except RoleMLError as error:
            if not _is_of_arguments(error):
                raise
            # it says what to do, and a dozen frames of ours would bury it
            raise error.with_traceback(None) from error.__cause__
        except (TypeError, AttributeError, ValueError, LookupError) as error:
            if not _is_of_arguments(error):
                raise
            is_of_type = isinstance(error, TypeError | AttributeError)
            if is_of_type and _all_plain(function, args, kwargs, exempt):
                raise InternalError(
                    f"{_name(function)} failed, and no argument is to blame:"
                    f" {type(error).__name__}: {error} ({_raised_at(error)}); this is a fault of"
                    " roleml_nb: please report it"
                ) from error
            kind = ArgumentError if isinstance(error, ValueError) else ArgumentTypeError
            raise kind(_error_text(function, error)) from error

    begin.is_checked = True  # type: ignore[attr-defined]
    return begin  # type: ignore[return-value]


def checked_methods(cls: C) -> C:
    """Decorate a class: its constructor and its public methods are `checked`."""
    for name, value in list(vars(cls).items()):
        if name != "__init__" and name.startswith("_"):
            continue
        if isinstance(value, types.FunctionType) and not hasattr(value, "is_checked"):
            setattr(cls, name, checked(value))
        elif isinstance(value, classmethod):
            setattr(cls, name, classmethod(checked(value.__func__)))
    return cls


def check_types(package: dict[str, Any]) -> None:
    """Make the public functions and constructors of a package `checked`.

    `package` are its globals; ``__all__`` names its public functions and classes. A function is
    replaced in the module that defines it, too, so that it is found there when it is sent by its
    name.
    """
    for name in package["__all__"]:
        value = package[name]
        if isinstance(value, types.FunctionType) and not hasattr(value, "is_checked"):
            package[name] = value.__globals__[name] = checked(value)
        elif isinstance(value, type):
            for base in value.__mro__:
                if base.__module__.startswith(f"{package['__name__']}."):
                    _check_class(base)


def _check_class(cls: type) -> None:
    """Make a class's own constructor `checked`, and its channels' arguments typed."""
    init = vars(cls).get("__init__")
    if isinstance(init, types.FunctionType) and not hasattr(init, "is_checked"):
        cls.__init__ = checked(init)  # type: ignore[misc]
    for member in vars(cls).values():
        if hasattr(member, "handler"):
            member.handler.typed = True


def wrong_argument(function: Callable[..., Any], given: Mapping[str, Any]) -> str | None:
    """Return the error's text for an argument that a handler's annotations do not allow, or None.

    Numbers are left to the handler, which knows their range.
    """
    hints = rules_of(function)[1]
    for name, value in given.items():
        hint = hints.get(name, Any)
        if not is_number(hint) and not allows(hint, value):
            return f"{name} must be {description_of(hint)}, got {short(value)}"
    return None


def _check(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    exempt: tuple[str, ...],
) -> None:
    """Raise ArgumentTypeError unless the annotations allow the arguments of a call."""
    signature, hints = rules_of(function)
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise ArgumentTypeError(
            f"{_name(function)}: {error}{_nearest(signature, kwargs)}"
        ) from None
    for name, value in given.items():
        hint = Any if name in exempt else hints.get(name, Any)
        kind = signature.parameters[name].kind
        items: Iterable[tuple[str, Any]] = [(name, value)]
        if kind is kind.VAR_POSITIONAL:
            items = [(name, item) for item in value]
        elif kind is kind.VAR_KEYWORD:
            items = value.items()
        for shown, item in items:
            if not allows(hint, item):
                raise ArgumentTypeError(
                    f"{_name(function)}: {shown} must be {description_of(hint)}, got {short(item)}"
                )


def _is_of_arguments(error: Exception) -> bool:
    """Return whether no code of users has run between the function and the error."""
    frames = list(_frames(error))[1:]
    return all(_is_known(frame.f_code.co_filename) for frame, _ in frames)


def _frames(error: Exception) -> Iterator[tuple[FrameType, int]]:
    """Yield the frames of a traceback, from the outermost on, with their lines."""
    place = error.__traceback__
    while place is not None:
        yield place.tb_frame, place.tb_lineno
        place = place.tb_next


@cache
def _is_known(filename: str) -> bool:
    """Return whether a file is ours, Python's, or of a library that we use."""
    if filename.startswith(PACKAGE):
        return True
    installed = INSTALLED_LIBRARY.findall(filename)
    if installed:
        return installed[-1] in USED_LIBRARIES
    return filename.startswith(STANDARD_LIBRARY)


def _all_plain(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    exempt: tuple[str, ...],
) -> bool:
    """Return whether all arguments are texts, numbers and None that an annotation allows.

    Then none has a wrong type.
    """
    signature, hints = rules_of(function)
    given = signature.bind(*args, **kwargs).arguments
    given.pop("self", None)
    for name, value in given.items():
        is_checked = name not in exempt and hints.get(name, Any) is not Any
        if not is_checked or not isinstance(value, str | int | float | None):
            return False
    return True


def _raised_at(error: Exception) -> str:
    """Return the file and line where an error was raised."""
    text = ""
    for frame, line in _frames(error):
        text = f"{frame.f_code.co_filename}, line {line}"
    return text


def _error_text(function: Callable[..., Any], error: Exception) -> str:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    is_ours = _raised_at(error).startswith(PACKAGE)
    if is_ours and isinstance(error, ValueError):
        return text
    return f"{_name(function)} cannot use what it was given: {text}"


def _name(function: Callable[..., Any]) -> str:
    return function.__qualname__.removesuffix(".__init__")


def _nearest(signature: inspect.Signature, kwargs: Iterable[str]) -> str:
    for name in kwargs:
        if name not in signature.parameters:
            known = signature.parameters.keys() - {"self"}
            return f"; {did_you_mean(name, known)}"
    return ""
