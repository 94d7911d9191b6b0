"""torch's global generator, lent to one role at a time.

Dropout, initial weights and the order of a `DataLoader` are drawn from one generator per process,
which begins at random and is shared by all roles of the process: a role's numbers would depend on
the roles beside it. So roles that may draw from it take turns. In its turn, a role installs its own
generator, which begins at the role's branch of the testbed's seed tree, continues from turn to
turn, and travels with the role. This module does not import torch: until another one does, no
number is drawn from the generator.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import RLock, get_ident
from typing import Any, TypeVar

from roleml_nb.role.running import running_role

__all__ = ["STATE", "each_in_turn", "own_torch_generator", "takes_turns"]

T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., Any])

TURN_TIMEOUT_S = 60.0
"""Longest wait of a role for its turn.

Then it draws from the process's generator as it is, with a warning in its log.
"""

STATE = "_torch_generator"
"""Attribute of a role: the state of its generator, once the role has drawn from it."""

_turn = RLock()
_owner: tuple[int, Any] | None = None
"""Thread and role whose turn it is; written by the holder of the lock."""
_stuck_owner: tuple[int, Any] | None = None
"""The owner that a role has waited for in vain."""
_EXHAUSTED: Any = object()


class Turn:
    """One turn with the generator."""

    drew = False
    """True when a number was drawn in the turn; known at its end."""


@contextmanager
def own_torch_generator() -> Iterator[Turn]:
    """Replace torch's global generator by that of the role which runs here; none outside of roles.

    The code inside must not wait for another role that takes a turn in the same process: after
    60 s, that role goes on without one. The global generator is restored at the end.
    """
    global _owner, _stuck_owner
    turn = Turn()
    role = running_role()
    generator = _generator()
    me = get_ident(), role
    if role is None or generator is None or _owner == me:
        yield turn
        return
    holder = _owner
    timeout_s = 0.0 if holder is not None and holder is _stuck_owner else TURN_TIMEOUT_S
    if not _turn.acquire(timeout=timeout_s):
        # the owner may never end: no role waits for it again
        _stuck_owner = _owner
        turn.drew = True
        if timeout_s:
            role.logger.warning(
                "another role of this process has kept torch's generator for %.0f s: %s shares it"
                " now, and what it draws from it cannot be repeated; give it an engine of its own",
                timeout_s,
                role.id,
            )
        yield turn
        return
    try:
        outer = _owner
        _owner = me
        before = generator.get_state()
        try:
            began = _begin(role, generator)
            yield turn
        finally:
            ended = generator.get_state()
            turn.drew = not (began == ended).all().item()
            if turn.drew:
                role.__dict__[STATE] = ended.numpy().tobytes()
            generator.set_state(before)
            _owner = outer
    finally:
        _turn.release()


def each_in_turn(items: Iterable[Any], work: Callable[[Any], T]) -> list[T]:
    """Return ``list(map(work, items))``, with each item in a turn of its own.

    If the first item draws nothing, the others are processed without turns.
    """
    if running_role() is None:
        return list(map(work, items))
    results: list[T] = []
    with own_torch_generator() as turn:
        iterator = iter(items)
        for item in iterator:
            results.append(work(item))
            break
    while turn.drew:
        with own_torch_generator():
            item = next(iterator, _EXHAUSTED)
            if item is _EXHAUSTED:
                return results
            results.append(work(item))
    results.extend(map(work, iterator))
    return results


def takes_turns(method: Method) -> Method:
    """Mark a method that takes turns by itself, batch by batch; its callers then need not."""
    method.takes_turns = True  # type: ignore[attr-defined]
    return method


def _generator() -> Any:
    """Return torch's global generator; None until an import of torch has ended."""
    torch = sys.modules.get("torch")
    if torch is None or getattr(torch.__spec__, "_initializing", False):
        return None
    return torch.default_generator


def _begin(role: Any, generator: Any) -> Any:
    """Install the role's generator, and return its state."""
    known = role.__dict__.get(STATE)
    if known is None:
        generator.manual_seed(int(role.rng("torch").integers(2**63)))
    else:
        state = generator.get_state()
        state.numpy()[:] = memoryview(known)
        generator.set_state(state)
    return generator.get_state()
