"""Advice that is woven into methods: it runs before them, after them, or when they raise."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial, wraps
from types import MethodType
from typing import Any, Literal, NamedTuple

__all__ = ["InvocationActivity", "after", "aspect", "before", "catch"]

logger = logging.getLogger("roleml_nb.compat.aspects")
Kind = Literal["before", "after", "catch"]


class InvocationActivity(NamedTuple):
    """The call that advice is about.

    `invoker` is the object or class that the method belongs to, None for a static method.
    """

    method: Callable[..., Any]
    invoker: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Pointcut(NamedTuple):
    """The method that a function is advice for.

    A `target` given as text is an attribute of the aspect's instance.
    """

    kind: Kind
    target: Any
    method: str


@dataclass
class Woven:
    """The advice of one method."""

    before: list[Callable[..., Any]] = field(default_factory=list)
    after: list[Callable[..., Any]] = field(default_factory=list)
    catch: list[Callable[..., Any]] = field(default_factory=list)

    def call(self, activity: InvocationActivity, call: Callable[[], Any]) -> Any:
        _advise(self.before, activity)
        try:
            result = call()
        except Exception as error:
            _advise(self.catch, activity, error)
            raise
        _advise(self.after, activity, result)
        return result


def _advise(functions: list[Callable[..., Any]], activity: InvocationActivity, *more: Any) -> None:
    for function in functions:
        try:
            function(activity, *more)
        except Exception:  # advice never changes the method that it advises
            logger.exception("advice on %s failed", activity.method.__name__)


def _advice(kind: Kind, target: Any, method: str) -> Callable[[Callable], Callable]:
    def decorate(function: Callable) -> Callable:
        advice = partial(function) if inspect.ismethod(function) else function
        advice.pointcut = Pointcut(kind, target, method)  # type: ignore[attr-defined]
        return advice

    return decorate


def before(*, target: str | type | object, method: str) -> Any:
    """Mark a function as advice that runs before ``target.method``, as ``advice(activity)``.

    `target` is a class, an object (then only that object's method is advised), or, in a class with
    `aspect`, the name of an attribute of its instances. Exceptions of advice are logged.
    """
    return _advice("before", target, method)


def after(*, target: str | type | object, method: str) -> Any:
    """Mark advice that runs after the method has returned, as ``advice(activity, result)``.

    Else as `before`.
    """
    return _advice("after", target, method)


def catch(*, target: str | type | object, method: str) -> Any:
    """Mark advice that runs when the method raises, as ``advice(activity, error)``.

    The error is raised to the caller nevertheless. Else as `before`.
    """
    return _advice("catch", target, method)


def aspect(cls_or_func: Any) -> Any:
    """Weave in advice: a function that is marked as such, or a class's marked methods.

    Methods of a class are woven in for each instance that is made.
    """
    if not isinstance(cls_or_func, type):
        if not hasattr(cls_or_func, "pointcut"):
            raise TypeError(
                f"{cls_or_func!r} is no advice: put @before, @after or @catch below @aspect"
            )
        _weave(cls_or_func, None)
        return cls_or_func
    of_instances = []
    for name, value in vars(cls_or_func).items():
        if isinstance(value, (staticmethod, classmethod)):
            advice = getattr(cls_or_func, name)
            if hasattr(advice, "pointcut"):
                _weave(advice, None)
        elif hasattr(value, "pointcut"):
            of_instances.append(name)
    original = cls_or_func.__init__  # type: ignore[misc]

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        for name in of_instances:
            _weave(getattr(self, name), self)

    cls_or_func.__init__ = __init__  # type: ignore[misc]
    return cls_or_func


def _weave(advice: Any, owner: Any) -> None:
    pointcut: Pointcut = advice.pointcut
    if isinstance(pointcut.target, str) and owner is None:
        raise TypeError(
            f"target={pointcut.target!r}: only a method of an aspect's instances can name an"
            " attribute; give the class or object itself"
        )
    target = (
        getattr(owner, pointcut.target) if isinstance(pointcut.target, str) else pointcut.target
    )
    woven = _woven(target, pointcut.method)
    functions: list = getattr(woven, pointcut.kind)
    functions.insert(0 if pointcut.kind == "before" else len(functions), advice)


def _woven(target: Any, name: str) -> Woven:
    """Return the advice of ``target.name``; replace the method by a wrapper the first time."""
    own = vars(target).get(name)
    found = getattr(getattr(own, "__func__", own), "woven", None)
    if found is not None:
        return found
    woven = Woven()
    if not isinstance(target, type):
        bound = getattr(target, name)

        @wraps(bound)
        def of_object(self: Any, *args: Any, **kwargs: Any) -> Any:
            return woven.call(
                InvocationActivity(bound, self, args, kwargs), lambda: bound(*args, **kwargs)
            )

        of_object.woven = woven  # type: ignore[attr-defined]
        setattr(target, name, MethodType(of_object, target))
        return woven
    raw = inspect.getattr_static(target, name)
    static = isinstance(raw, staticmethod)
    function = getattr(raw, "__func__", raw)

    @wraps(function)
    def of_class(*args: Any, **kwargs: Any) -> Any:
        invoker, *rest = (None, *args) if static else args
        return woven.call(
            InvocationActivity(function, invoker, tuple(rest), kwargs),
            lambda: function(*args, **kwargs),
        )

    of_class.woven = woven  # type: ignore[attr-defined]
    decorated = isinstance(raw, (staticmethod, classmethod))
    setattr(target, name, type(raw)(of_class) if decorated else of_class)
    return woven
