"""Initiators: clients register with a server, which starts when there are enough of them."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from roleml_nb.library.locking import GuardedRole
from roleml_nb.role import Role, RoleInstanceID, Runnable, Service
from roleml_nb.role.checks.numbers import check_count, check_number
from roleml_nb.role.running import wait

__all__ = ["ClientInitiator", "ServerInitiator"]


class ClientInitiator(Role, Runnable):
    """Registers a role of its node with the initiator in the relationship ``server``.

    Parameters
    ----------
    rep_instance_name : str
        The name of that role.
    """

    RELATIONSHIP_NAME = "server"

    def __init__(self, rep_instance_name: str = "trainer"):
        super().__init__()
        self.rep_instance_name = rep_instance_name

    def run(self) -> None:
        self.call(
            self.RELATIONSHIP_NAME, "register", args={"instance_name": self.rep_instance_name}
        )

    def stop(self) -> None:
        """Do nothing, since `run` is a single call."""


class ServerInitiator(GuardedRole, Runnable):
    """Adds registered clients to a relationship, and starts once there are enough, or time is up.

    Parameters
    ----------
    min_clients : int
        The number of different roles that must register.
    max_seconds : float
        Start after this time at the latest, with the clients that have registered.
    relationship_name : str
        The relationship of this node that the clients join.

    Notes
    -----
    Override `start_impl`, which is called at the start, and `register_impl`, which is called with
    each client.
    """

    def __init__(
        self, min_clients: int = 10, max_seconds: float = 86400, relationship_name: str = "trainer"
    ):
        super().__init__()
        self.min_clients = check_count("min_clients", min_clients)
        self.max_seconds = check_number("max_seconds", max_seconds, 0, infinite=True)
        self.relationship_name = relationship_name
        self.clients: set[RoleInstanceID] = set()
        self.started = False
        self._decided: Future[bool] = Future()

    @property
    def cumulated_clients(self) -> int:
        """The number of different clients that have registered."""
        return len(self.clients)

    @Service(expand=True)
    def register(self, caller: RoleInstanceID, instance_name: str | None = None) -> None:
        """Register the role `instance_name` of the caller's node, or else the caller itself."""
        client = RoleInstanceID(caller.actor_name, instance_name or caller.instance_name)
        self.logger.info("%s registers", client)
        self.register_impl(client)
        self.ctx.relationships.add_to_relationship(self.relationship_name, client)
        with self.lock:
            self.clients.add(client)
            if len(self.clients) >= self.min_clients:
                self._decide(True)

    def run(self) -> None:
        if self.started:  # before the role moved here
            return
        try:
            start = wait(self._decided, self.max_seconds)
        except TimeoutError:
            start = True
        if start:
            self.started = True
            self.start_impl()

    def stop(self) -> None:
        with self.lock:
            self._decide(False)

    def register_impl(self, instance: RoleInstanceID) -> None:
        """Accept a client before it joins the relationship, or raise an error to refuse it.

        Runs on a worker thread.
        """

    def start_impl(self) -> None:
        """Start; called once, on the role's own thread."""

    def _decide(self, start: bool) -> None:
        if not self._decided.done():
            self._decided.set_result(start)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_decided", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._decided = Future()
        if len(self.clients) >= self.min_clients:
            self._decide(True)
