"""Find the entry of a value that cannot be sent, and the reason; only after sending has failed."""

from __future__ import annotations

import io
import types
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np

from .captures import captured

__all__ = ["MESSAGE", "explain"]

MESSAGE = "message"
"""The name of a pair of args and payloads, whose entries have names of their own."""
MAX_DEPTH = 40
"""Steps from the value to an entry in it, beyond which nothing is searched."""
ADVICE: list[tuple[Any, str]] = [
    ((types.GeneratorType, types.AsyncGeneratorType), "send a list of what it gives"),
    (types.CoroutineType, "await it, and send its result"),
    (io.IOBase, "send its content, or its path where all engines have the same files"),
    (types.ModuleType, "send what is needed of it"),
]
LOCKS = (
    "lock",
    "RLock",
    "Condition",
    "Event",
    "Semaphore",
    "BoundedSemaphore",
    "Barrier",
    "Thread",
    "_local",
)
USUAL = (
    "send numbers, texts, arrays, tensors, and containers and objects of these; what belongs to"
    " this process, an object leaves out in __getstate__"
)


def explain(value: Any, name: str, error: Exception, attempt: Callable[[Any], Any]) -> str:
    """Return a text about the entry of `value` that cannot be sent: its name, kind, substitute.

    Parameters
    ----------
    name
        Noun for `value` in the text: ``result``, or `MESSAGE`.
    error
        The exception that encoding it raised.
    attempt
        Encodes a part of it, or raises.
    """
    steps, culprit, reason = _find(value, error, attempt)
    if name == MESSAGE and steps and steps[0] in ("[0]", "[1]"):
        name = "args" if steps[0] == "[0]" else "payloads"
        steps = steps[1:]
        if steps and steps[0].startswith("["):
            name, steps = (
                f"{name[:-1] if name == 'payloads' else 'argument'} {steps[0][1:-1]}",
                steps[1:],
            )
    return (
        f"{name}{''.join(steps)} is {_described(culprit)}, which cannot be sent"
        f" ({_reason(reason)}); {_advice(culprit)}"
    )


def _find(
    value: Any, error: Exception, attempt: Callable[[Any], Any]
) -> tuple[list[str], Any, Exception]:
    """Go from an object that cannot be sent to a part that cannot, as long as there is one."""
    steps: list[str] = []
    above = {id(value)}
    while len(steps) < MAX_DEPTH and not isinstance(error, RecursionError):
        found = _unsendable_part(value, above, attempt)
        if found is None:
            break
        step, value, error = found
        steps.append(step)
        above.add(id(value))
    return steps, value, error


def _unsendable_part(
    value: Any, above: set[int], attempt: Callable[[Any], Any]
) -> tuple[str, Any, Exception] | None:
    for step, part in _parts(value):
        if id(part) in above:
            continue
        try:
            attempt(part)
        except Exception as error:  # whatever pickling it raises
            return step, part, error
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f" key {key!r}", key) for key in value)
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, Set):
        yield from (("{…}", item) for item in value)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, np.ndarray):
        yield from (
            (f"[{', '.join(map(str, index))}]", item)
            for index, item in np.ndenumerate(value)
            if value.dtype.hasobject
        )
    elif isinstance(value, types.MethodType):
        yield ".__self__", value.__self__
    elif isinstance(value, types.FunctionType | type):
        yield from ((f" (its {what})", item) for what, item in captured(value))
    else:
        yield from _state(value)


def _state(value: Any) -> Iterator[tuple[str, Any]]:
    """Return the parts of an object that pickle would send, as far as the object tells."""
    try:
        reduced = value.__reduce_ex__(5)
    except Exception:  # it is this very object that cannot be sent
        return
    if not isinstance(reduced, tuple):
        return
    state = reduced[2] if len(reduced) > 2 else None
    for part in state if isinstance(state, tuple) else (state,):
        if isinstance(part, Mapping):
            yield from ((f".{name}", item) for name, item in part.items())
        elif part is not None:
            yield " (its state)", part
    yield from ((f" (what it is made of: {index})", item) for index, item in enumerate(reduced[1]))


def _described(value: Any) -> str:
    kind = type(value)
    where = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    details = []
    if where.startswith("torch."):
        details = [
            str(getattr(value, name))
            for name in ("layout", "dtype", "device")
            if hasattr(value, name)
        ]
    name = f" {value.__qualname__!r}" if isinstance(value, types.FunctionType | type) else ""
    article = "an" if (where + kind.__qualname__)[0] in "aeiouAEIOU" else "a"
    return (
        f"{article}"
        f" {where}{kind.__qualname__}{name}{' of ' + ', '.join(details) if details else ''}"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    lines = str(error).splitlines()
    text = lines[0][:200] if lines else ""
    return text if type(error) is TypeError and text else f"{type(error).__name__}: {text}"


def _advice(value: Any) -> str:
    kind = type(value)
    for kinds, advice in ADVICE:
        if isinstance(value, kinds):
            return advice
    if kind.__module__.startswith(("_thread", "threading")) and kind.__name__ in LOCKS:
        return "leave it out in __getstate__, and make it anew where it arrives"
    if str(getattr(value, "layout", "torch.strided")) != "torch.strided":
        return "send tensor.to_dense()"
    return USUAL
