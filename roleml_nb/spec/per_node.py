"""Arguments of roles that are made on the node, or differ from node to node."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from roleml_nb.role import ConstructStrategy, ElementImplementation
from roleml_nb.role.checks.arguments import checked, checked_methods

__all__ = ["Each", "Impl", "impl", "implementation", "resolve"]


@checked_methods
class Each:
    """One value per node, in the order of the selection: ``Each(range(8))``."""

    def __init__(self, values: Iterable[Any]):
        self.values = list(values)

    def __repr__(self) -> str:
        return f"Each({self.values!r})"


class Impl:
    """A call that is made on the node, where its result is used."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]):
        self.function, self.args, self.kwargs = function, args, kwargs

    def __repr__(self) -> str:
        given = list(map(repr, self.args))
        for name, value in self.kwargs.items():
            given.append(f"{name}={value!r}")
        return f"{getattr(self.function, '__name__', self.function)}({', '.join(given)})"


@checked
def impl(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Impl:
    """Implement an element by ``function(*args, **kwargs)``, called once on each node when the role
    is assigned.

    Only the function and its arguments travel. Arguments may be `Each`.
    """
    if not callable(function):
        raise TypeError(
            f"impl() takes what is to be called on the node, not {type(function).__name__}"
        )
    return Impl(function, args, kwargs)


def resolve(value: Any, index: int, size: int) -> Any:
    """Return the value for node `index` of `size`; ValueError for an `Each` of another length."""
    if isinstance(value, Each):
        if len(value.values) != size:
            raise ValueError(f"Each has {len(value.values)} values for {size} nodes")
        return value.values[index]
    if isinstance(value, Impl):
        args = tuple(resolve(item, index, size) for item in value.args)
        kwargs = {name: resolve(item, index, size) for name, item in value.kwargs.items()}
        return Impl(value.function, args, kwargs)
    return value


def implementation(value: Any) -> ElementImplementation:
    """Return the implementation that travels to the node for a resolved element value."""
    if isinstance(value, ElementImplementation):
        return value
    if isinstance(value, Impl):
        return ElementImplementation(
            constructor=value.function,
            arguments=value.args,
            constructor_args=value.kwargs,
            construct_strategy=ConstructStrategy.ONCE_EAGER,
        )
    return ElementImplementation(impl=value)
