"""Requests between nodes, each declared where it is handled: who may ask, and about whose roles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, Concatenate, Generic, ParamSpec

from roleml_nb.role import CallerError, RoleInstanceID

from .envelope import Envelope, Target
from .permissions import KINDS, Sender
from .serialization.codec import Body

__all__ = ["NODE_REQUESTS", "NodeRequest", "node_request", "role_request"]

P = ParamSpec("P")


class NodeRequest(Generic[P]):
    """A declared request, which stands in its class in place of the method that handles it.

    Parameters
    ----------
    about
        Arguments that name roles, such as "old", or "snapshot.old": one of these roles must be of
        the node that asks.
    to_role
        True when its handler takes, before the named arguments, the role that asks, the name of our
        role, and the channel.
    """

    part: type
    """The class of the part of an actor that handles it."""

    def __init__(
        self,
        handler: Callable[..., Any],
        kind: str,
        asker: Sender,
        about: tuple[str, ...],
        to_role: bool,
    ):
        if not isinstance(asker, Sender):
            raise TypeError(
                f"request {kind!r} does not declare who may ask: {asker!r} is no Sender"
            )
        if asker is Sender.NODE and not about:
            raise TypeError(f"request {kind!r} does not declare about whose roles a node may ask")
        self.handler, self.kind, self.asker = handler, kind, asker
        self.about, self.to_role = about, to_role

    def __set_name__(self, part: type, name: str) -> None:
        self.part = part
        former = NODE_REQUESTS.get(self.kind)
        if former is None and self.kind in KINDS or former and former.where != self.where:
            raise TypeError(f"request {self.kind!r} is declared twice")
        NODE_REQUESTS[self.kind] = self
        KINDS[self.kind] = self.asker

    @property
    def where(self) -> str:
        return f"{self.handler.__module__}.{self.handler.__qualname__}"

    def check(self, source: RoleInstanceID, arguments: Mapping[str, Any]) -> None:
        """Refuse statements of a node about roles that are not its own.

        Raises
        ------
        CallerError
            With the sender, and whose roles it speaks of.
        """
        given = SimpleNamespace(**arguments)
        nodes = [RoleInstanceID(*attrgetter(path)(given)).actor_name for path in self.about]
        if nodes and source.actor_name not in nodes:
            raise CallerError(
                f"{self.kind!r} is for a node's own roles, and {source} sent it about one of"
                f" {' or '.join(nodes)}"
            )

    def handle(
        self, parts: Mapping[type, Any], envelope: Envelope, target: Target, body: Body
    ) -> Any:
        """Decode a request that this node may be sent, and call its handler."""
        arguments = body.decode()
        self.check(envelope.source, arguments)
        to = (envelope.source, target.instance_name, envelope.channel) if self.to_role else ()
        return self.handler(parts[self.part], *to, **arguments)


NODE_REQUESTS: dict[str, NodeRequest[Any]] = {}
"""All declared requests, by kind."""


def node_request(
    kind: str, asker: Sender, *, about: tuple[str, ...] = ()
) -> Callable[[Callable[Concatenate[Any, P], Any]], NodeRequest[P]]:
    """Declare a request to a node; see `Caller.ask_node`."""
    return lambda handler: NodeRequest(handler, kind, asker, about, False)


def role_request(
    kind: str, asker: Sender, *, about: tuple[str, ...] = ()
) -> Callable[
    [Callable[Concatenate[Any, RoleInstanceID, str, str, P], Any]],
    NodeRequest[P],
]:
    """Declare a request to a node about a channel of one of its roles; see `Caller.ask_role`.

    It follows a role that has moved.
    """
    return lambda handler: NodeRequest(handler, kind, asker, about, True)
