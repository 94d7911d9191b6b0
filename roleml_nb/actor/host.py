"""The services of its host that an actor uses, besides time and threads."""

from __future__ import annotations

from collections.abc import Coroutine
from concurrent.futures import Future
from contextvars import Context
from logging import Logger
from typing import TYPE_CHECKING, Any, Protocol

from roleml_nb.messaging.router import Router
from roleml_nb.role import Args, Contacts, RoleInstanceID
from roleml_nb.role.host import Host

if TYPE_CHECKING:
    from .replay import FailureStore

__all__ = ["ActorHost"]


class ActorHost(Host, Protocol):
    """The host of an actor."""

    router: Router
    directory: Contacts
    label: str
    failures: FailureStore

    @property
    def backlog(self) -> bool:
        """True when handlers wait for a thread: their messages travel well with those sent now."""
        ...

    def logger_for(self, node: str, role: str) -> Logger:
        """Return a logger whose lines are in the log of a role's node."""
        ...

    def record_metrics(
        self, source: RoleInstanceID, channel: str, args: Args, step: int
    ) -> None: ...

    def run_coroutine(self, coroutine: Coroutine[Any, Any, Any], context: Context) -> Future:
        """Run on the host's event loop, which all ``async def`` handlers share; the future has the
        result.
        """
        ...
