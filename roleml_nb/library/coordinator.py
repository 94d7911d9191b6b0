"""What the servers of federated learning have in common."""

from __future__ import annotations

from typing import Any

from roleml_nb.role import Event, NodeLost, RoleInstanceID, Service

from .addresses import in_order
from .pausing import Pausable

__all__ = ["Coordinator"]


class Coordinator(Pausable):
    """Knows the clients, the relationship ``trainer``, and keeps the global model; tests it with an ``evaluator``."""

    round_completed = Event()

    def __init__(self) -> None:
        super().__init__()
        self._update: Any = None

    @Service(expand=True)
    def get_model(self, caller: RoleInstanceID) -> Any:
        """Parameters of the global model after the last round."""
        self.require(self._update is not None, f"{self.id} has no model yet: call its task 'run' first")
        return self._update

    def _clients(self) -> list[RoleInstanceID]:
        clients = in_order(self.ctx.relationships.get_relationship_view("trainer"))
        node = self.id.actor_name
        self.require(clients, f"relationship 'trainer' of {node} is empty: relate the clients first, "
                              f"e.g. %rml relate {node} trainer=client*/trainer")
        return clients

    def _initial(self, clients: list[RoleInstanceID]) -> Any:
        if self.has("evaluator"):
            return self.call("evaluator", "get-model")
        if self._update is not None:
            return self._update
        for client in clients[:-1]:
            try:
                return self.call(client, "get-model")
            except NodeLost as error:
                self.logger.warning("the first model is not that of %s: %s", client, error)
        return self.call(clients[-1], "get-model")

    def _evaluate(self) -> dict[str, Any]:
        if not self.has("evaluator"):
            return {}
        self.call("evaluator", "apply-update", payloads={"update": self._update})
        return self.call_task("evaluator", "test").result()
