"""The base class of the servers of federated learning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from roleml_nb.library.arrivals import first_answer
from roleml_nb.library.attempts import result_of
from roleml_nb.library.members import members_of
from roleml_nb.library.pausing import Pausable
from roleml_nb.role import Event, NodeLost, RoleInstanceID, Service

from .rounds import Quorum

__all__ = ["Coordinator"]


class Coordinator(Pausable):
    """Keeps the global model, and tests it with an ``evaluator``.

    The clients are the relationship ``trainer``.
    """

    round_completed = Event()

    def __init__(self) -> None:
        super().__init__()
        self._update: Any = None
        self._quorum = Quorum()
        self._rounds_seen = 0
        """The number of rounds that the model has seen."""

    @Service(expand=True)
    def get_model(self, caller: RoleInstanceID) -> Any:
        """Return the parameters of the global model after the last round."""
        self.require(
            self._update is not None, f"{self.id} has no model yet: call its task 'run' first"
        )
        return self._update

    def _clients(self) -> list[RoleInstanceID]:
        return members_of(self, "trainer", "the clients", "client*/trainer")

    def _initial_model(
        self, clients: list[RoleInstanceID], fresh: bool = False
    ) -> tuple[Any, dict[str, int]]:
        """Return the first model, and "went_on_after" if it comes from earlier rounds."""
        given = self.call("evaluator", "get-model") if self.has("evaluator") and not fresh else None
        known = None if fresh or not self._rounds_seen else self._update
        if known is not None and (given is None or _same(given, known)):
            self.logger.info(
                "goes on from the model that has seen %d rounds here, whatever its clients begin"
                " with; to begin anew: run(fresh=True)",
                self._rounds_seen,
            )
            return known, {"went_on_after": self._rounds_seen}
        self._rounds_seen = 0
        return (self._first_model(clients) if given is None else given), {}

    def _first_model(self, clients: list[RoleInstanceID]) -> Any:
        if self._quorum.tolerant:
            return first_answer(self, clients, "get-model", self._quorum.deadline)
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
        return result_of(self.call_task("evaluator", "test"))


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if one.keys() != other.keys():
        return False
    return all(np.array_equal(_array(one[name]), _array(other[name])) for name in one)


def _array(entry: Any) -> np.ndarray:
    if hasattr(entry, "detach"):
        entry = entry.detach().cpu().double()
    return np.asarray(entry)
