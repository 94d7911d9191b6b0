"""torch's global generator, lent to one role at a time.

Dropout, initial weights and the order of a `DataLoader` are drawn from one generator per process,
which begins at random, and which all roles of the process share: what a role gets would depend on
who else is there. Whoever may draw from it therefore takes turns. For its turn, a role puts its own
generator in place, which begins at its branch of the testbed's seed tree, goes on from turn to
turn, and travels with the role. This room does not import torch: where nobody has imported it,
nobody draws from it.
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
"""How long a role waits for its turn.

Then it goes on with what the process has, and its log says so.
"""

STATE = "_torch_generator"
"""Attribute of a role: the state of its generator, of which there is none before it has drawn."""

_turn = RLock()
_owner: tuple[int, Any] | None = None
"""Thread and role whose turn it is. Written by who holds the lock."""
_stuck_owner: tuple[int, Any] | None = None
"""Whose turn it was when somebody did not want to wait any longer."""
_EXHAUSTED: Any = object()


class Turn:
    """One turn: whether anything was drawn in it is known when it is over."""

    drew = False


@contextmanager
def own_torch_generator() -> Iterator[Turn]:
    """Have torch's global generator be that of the role which runs here; outside of roles, as it
    stands.

    What is inside must not wait for another role that takes a turn in the same process: after 60 s,
    that one would go on without. The global generator is left as it was.
    """
    global _owner, _stuck_owner
    turn, role = Turn(), running_role()
    generator, me = _generator(), (get_ident(), role)
    if role is None or generator is None or _owner == me:
        yield turn
        return
    holder = _owner
    timeout_s = 0.0 if holder is not None and holder is _stuck_owner else TURN_TIMEOUT_S
    if not _turn.acquire(timeout=timeout_s):
        # whoever it is may never end: it is not waited for again
        _stuck_owner, turn.drew = _owner, True
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
        outer, before, _owner = _owner, generator.get_state(), me
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
    """``[work(item) for item in items]``, each item in a turn of its own, as long as the first one
    draws anything.
    """
    if running_role() is None:
        return [work(item) for item in items]
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
    results += [work(item) for item in iterator]
    return results


def takes_turns(method: Method) -> Method:
    """Mark a method that takes turns by itself, batch by batch, so that its callers need not."""
    method.takes_turns = True  # type: ignore[attr-defined]
    return method


def _generator() -> Any:
    """torch's global generator; None as long as nobody has imported torch, or another thread is
    about to.
    """
    torch = sys.modules.get("torch")
    if torch is None or getattr(torch.__spec__, "_initializing", False):
        return None
    return torch.default_generator


def _begin(role: Any, generator: Any) -> Any:
    """Put the role's generator in place, and return its state."""
    known = role.__dict__.get(STATE)
    if known is None:
        generator.manual_seed(int(role.rng("torch").integers(2**63)))
    else:
        state = generator.get_state()
        state.numpy()[:] = memoryview(known)
        generator.set_state(state)
    return generator.get_state()
