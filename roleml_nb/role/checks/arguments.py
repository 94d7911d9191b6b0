"""Types of arguments, checked where public functions begin: a wrong one is an `ArgumentTypeError`
that names it.

The annotations are the rule. What a caller would expect to work does: a NumPy integer is an int,
whatever has ``float()`` a float, a list serves where a tuple is asked for. A name that the type
checker alone knows, such as one of torch, allows anything. Neither beartype nor typeguard is used:
both refuse NumPy's numbers as ``int``, and lists as ``tuple``.
"""

from __future__ import annotations

import builtins
import collections.abc as abc
import inspect
import operator
import os
import re
import sysconfig
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import Any, Literal, TypeVar

from roleml_nb.role.errors import ArgumentError, ArgumentTypeError, InternalError, RoleMLError

from .names import did_you_mean
from .numbers import short

__all__ = ["Constraint", "check_types", "checked", "checked_methods", "wrong_argument"]

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)
PACKAGE = str(Path(__file__).resolve().parents[2]) + os.sep
STANDARD_LIBRARY = (
    "<frozen ",
    *{sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")},
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

What else is installed may be the user's own, such as a package of roles.
"""
MAX_CHECKED_ITEMS = 1000
"""Entries of a container that are looked at."""


@dataclass(frozen=True)
class Constraint:
    """In ``Annotated``: what a value must be beyond its type, and how an error says all that is
    allowed.
    """

    description: str
    fits: Callable[[Any], bool] = lambda value: True


def checked(function: F, exempt: tuple[str, ...] = ()) -> F:
    """Decorate a function: ArgumentTypeError for arguments that its annotations do not allow,
    before it begins.

    What our own code, or a library that it calls, says later of a value is an ArgumentError as
    well; what a user's own code raises stays as it is. A TypeError or AttributeError of our own is
    an InternalError, which says where it was raised, when no argument can be of a wrong type, since
    all are texts and numbers that were checked. Arguments named in `exempt` are checked by the
    function itself, which knows better what to say.
    """

    @wraps(function)
    def begin(*args: Any, **kwargs: Any) -> Any:
        _check(function, args, kwargs, exempt)
        try:
            return function(*args, **kwargs)
        except RoleMLError:
            raise
        except (TypeError, AttributeError, ValueError, LookupError) as error:
            if not _is_of_arguments(error):
                raise
            if isinstance(error, TypeError | AttributeError) and _all_plain(
                function, args, kwargs, exempt
            ):
                raise InternalError(
                    f"{_name(function)} failed, and no argument is to blame:"
                    f" {type(error).__name__}: {error} ({_raised_at(error)}); this is a fault of"
                    " roleml_nb: please report it"
                ) from error
            wrong = ArgumentError if isinstance(error, ValueError) else ArgumentTypeError
            raise wrong(_error_text(function, error)) from error

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
    """Have the public functions of a package, and the constructors of its public classes, be
    `checked`.

    `package` are its globals; what is public, ``__all__`` says. A function is replaced in the
    module that defines it, too, so that it is found there when it is sent by its name.
    """
    for name in package["__all__"]:
        value = package[name]
        if isinstance(value, types.FunctionType) and not hasattr(value, "is_checked"):
            package[name] = value.__globals__[name] = checked(value)
        elif isinstance(value, type):
            for base in value.__mro__:
                made = vars(base).get("__init__")
                if not base.__module__.startswith(f"{package['__name__']}."):
                    continue
                if isinstance(made, types.FunctionType):
                    init = made if hasattr(made, "is_checked") else checked(made)
                    base.__init__ = init  # type: ignore[misc]
                for member in vars(base).values():
                    if hasattr(member, "handler"):
                        member.handler.typed = True


def wrong_argument(function: Callable[..., Any], given: Mapping[str, Any]) -> str | None:
    """Say which of the arguments, given by name, the annotations of a channel's handler do not
    allow; None if all fit.

    Numbers are left to the handler, which knows their range.
    """
    hints = _rules(function)[1]
    for name, value in given.items():
        hint = hints.get(name, Any)
        if not _is_number(hint) and not _allows(hint, value):
            return f"{name} must be {_describe(hint)}, got {short(value)}"
    return None


def _check(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    exempt: tuple[str, ...],
) -> None:
    signature, hints = _rules(function)
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise ArgumentTypeError(
            f"{_name(function)}: {error}{_nearest(signature, kwargs)}"
        ) from None
    for name, value in given.items():
        hint, kind = (
            Any if name in exempt else hints.get(name, Any),
            signature.parameters[name].kind,
        )
        items: Iterable[tuple[str, Any]] = [(name, value)]
        if kind is kind.VAR_POSITIONAL:
            items = [(name, item) for item in value]
        elif kind is kind.VAR_KEYWORD:
            items = value.items()
        for shown, item in items:
            if not _allows(hint, item):
                raise ArgumentTypeError(
                    f"{_name(function)}: {shown} must be {_describe(hint)}, got {short(item)}"
                )


def _is_of_arguments(error: Exception) -> bool:
    """Whether no code of users' has run between the function and the error."""
    frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
    while frames is not None:
        if not _is_known(frames.tb_frame.f_code.co_filename):
            return False
        frames = frames.tb_next
    return True


@cache
def _is_known(filename: str) -> bool:
    """Whether a file is of ours, of Python, or of a library that we use."""
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
    """Whether all arguments are texts, numbers and None which an annotation allows: then none is of
    a wrong type.
    """
    signature, hints = _rules(function)
    given = signature.bind(*args, **kwargs).arguments
    return all(
        name == "self"
        or (
            isinstance(value, str | int | float | None)
            and name not in exempt
            and hints.get(name, Any) is not Any
        )
        for name, value in given.items()
    )


def _raised_at(error: Exception) -> str:
    """File and line where it was raised."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        frames = frames.tb_next
    return (
        "" if frames is None else f"{frames.tb_frame.f_code.co_filename}, line {frames.tb_lineno}"
    )


def _error_text(function: Callable[..., Any], error: Exception) -> str:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    ours = _raised_at(error).startswith(PACKAGE)
    if ours and isinstance(error, ValueError):
        return text
    return f"{_name(function)} cannot use what it was given: {text}"


@cache
def _rules(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Any]]:
    return inspect.signature(function), {
        name: _resolved(annotation, function)
        for name, annotation in function.__annotations__.items()
        if name != "return"
    }


class _Names(dict[str, Any]):
    """The names that an annotation may use; any other one stands for anything."""

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, Any)


def _resolved(annotation: Any, function: Callable[..., Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, {}, _Names(inspect.unwrap(function).__globals__))
    except (AttributeError, TypeError):  # of a name that is not known when the program runs
        return Any


def _allows(hint: Any, value: Any) -> bool:
    """True unless `value` is certainly none of what the annotation means."""
    if hint is Any or hint is object or isinstance(hint, TypeVar | str):
        return True
    if hint is None or hint is type(None):
        return value is None
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return any(value == item for item in inner if type(value) is type(item))
    if origin in (typing.Union, types.UnionType):
        return any(_allows(item, value) for item in inner)
    if origin is typing.Annotated:
        kind = typing.get_origin(inner[0]) or inner[0]
        return _is_instance(kind, value) and all(
            constraint.fits(value) for constraint in inner[1:] if isinstance(constraint, Constraint)
        )
    if origin is type:
        return isinstance(value, type) and (
            not isinstance(inner[0], type) or issubclass(value, inner[0])
        )
    kind = origin or hint
    return _is_instance(kind, value) and _allows_items(kind, inner, value)


def _is_instance(kind: Any, value: Any) -> bool:
    if not isinstance(kind, type):
        return True
    if kind is int:
        return _succeeds(operator.index, value)
    if kind is float:
        return (
            hasattr(type(value), "__float__")
            and _succeeds(float, value)
            or _succeeds(operator.index, value)
        )
    if kind is bool:
        return (isinstance(value, int) and value in (0, 1)) or type(value).__name__ in (
            "bool",
            "bool_",
        )
    if issubclass(kind, os.PathLike) and isinstance(value, str):
        return True
    if kind is abc.Iterable or kind is abc.Collection:
        return isinstance(value, abc.Iterable) and getattr(value, "ndim", 1) != 0
    if kind in (tuple, list, abc.Sequence) or kind.__name__ == "ndarray":
        return (
            not isinstance(value, str | bytes | Mapping)
            and (isinstance(value, abc.Iterable) or hasattr(value, "__getitem__"))
            and (kind.__name__ == "ndarray" or getattr(value, "ndim", 1) != 0)
        )
    if kind is dict:
        return isinstance(value, Mapping)
    # a RoleInstanceID, as it may be written
    if issubclass(kind, tuple) and isinstance(value, tuple | str):
        return True
    try:
        return isinstance(value, kind)
    except TypeError:  # a protocol that says nothing at run time
        return True


def _allows_items(kind: Any, inner: tuple[Any, ...], value: Any) -> bool:
    """Whether the entries are right, as far as they can be looked at without using them up."""
    if not inner or kind is abc.Callable:
        return True
    if isinstance(value, dict) and len(inner) == 2:
        return all(
            _allows(inner[0], key) and _allows(inner[1], item)
            for key, item in list(value.items())[:MAX_CHECKED_ITEMS]
        )
    if isinstance(value, str):
        return _allows(inner[0], value[:1])
    if isinstance(value, list | tuple | set | frozenset | dict):
        if kind is tuple and inner[-1] is not Ellipsis:
            return len(value) == len(inner) and all(map(_allows, inner, value))
        return all(_allows(inner[0], item) for item in list(value)[:MAX_CHECKED_ITEMS])
    return True


def _is_number(hint: Any) -> bool:
    of_several = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return any(one in (int, float) for one in (typing.get_args(hint) if of_several else (hint,)))


def _succeeds(function: Callable[[Any], Any], value: Any) -> bool:
    try:
        function(value)
    except Exception:  # whatever the conversion of somebody's object raises
        return False
    return True


def _describe(hint: Any) -> str:
    if hint is None or hint is type(None):
        return "None"
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return next(
            (
                constraint.description
                for constraint in inner[1:]
                if isinstance(constraint, Constraint)
            ),
            _describe(inner[0]),
        )
    if origin in (typing.Union, types.UnionType):
        *texts, last = map(_describe, inner)
        return f"{', '.join(texts)} or {last}"
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if isinstance(hint, type) and not inner:
        return {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}.get(
            hint, hint.__name__
        )
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", str(hint))


def _name(function: Callable[..., Any]) -> str:
    return function.__qualname__.removesuffix(".__init__")


def _nearest(signature: inspect.Signature, kwargs: Iterable[str]) -> str:
    unknown = [name for name in kwargs if name not in signature.parameters]
    return (
        f"; {did_you_mean(unknown[0], [name for name in signature.parameters if name != 'self'])}"
        if unknown
        else ""
    )
