"""AD-PSGD: asynchronous decentralised SGD.

Lian, Zhang, Zhang and Liu, "Asynchronous Decentralized Parallel Stochastic Gradient Descent", ICML
2018, algorithm 1: every worker trains at its own pace, and averages its model with that of one
random neighbour at a time, x_i, x_j ← (x_i + x_j) / 2. Workers are split in two: active ones ask,
passive ones answer, and neighbours are always one of each (the graph is bipartite), so no nodes
wait for one another in a cycle. In the paper, a step is computed before the average and added after
it; here it is made first and averaged, too, which moves the mean of all models by the same. The
pairs depend on the speed of nodes and links: a run cannot be reproduced.
"""

from __future__ import annotations

from typing import Any

from roleml_nb.library.aggregation.contributions import emit_contributions
from roleml_nb.library.aggregation.mergers import average
from roleml_nb.library.attempts import result_of
from roleml_nb.library.channel_types import Params
from roleml_nb.library.locking import GuardedRole
from roleml_nb.library.ordering import in_order
from roleml_nb.role import (
    CallTimeout,
    ErrorHandlingStrategy,
    Event,
    Message,
    RoleInstanceID,
    Service,
)
from roleml_nb.role.checks.entry_names import difference_of_names
from roleml_nb.role.errors import GONE

from .peer_rounds import PeerRounds

__all__ = ["AdPsgdWorker"]


class AdPsgdWorker(PeerRounds, GuardedRole):
    """One node of AD-PSGD.

    It is active when its relationship ``peer`` names passive workers, and passive without.

    Needs a ``trainer``, a relationship or a role on the same node. In a round, it trains, and then
    averages once if it is active; passive workers continue to answer after their rounds. Training
    and averaging take turns on a node, so an average is of two whole models and no training is
    lost: both have the mean afterwards, and the mean of all models stays as it was. Nobody waits
    for the slowest, so a run cannot be reproduced. After an average, both emit ``contributions``,
    where the "weight" of each is 1/2; a peer that did not answer has "failed". The trace shows them
    as a table.

    Parameters
    ----------
    seed : int, optional
        With the node's name, decides which peers are chosen. By default it comes from the testbed's
        seed.
    """

    contributions = Event()

    def _do_round(self, training: dict[str, Any]) -> dict[str, Any]:
        if training["num_epochs"]:
            with self.lock:
                result_of(self.call_task("trainer", "train", args=training))
        if peers := self._peers():
            self._average_with(peers[self._peer_generator().integers(len(peers))])
        return {}

    @Service(expand=True)
    def average(self, caller: RoleInstanceID, update: Params) -> Any:
        """Return the mean of `update` and this node's model, and set this model to it.

        Active workers refuse.
        """
        self.require(
            not self._peers(),
            f"{self.id} has peers, so it is active and cannot be averaged with: relate "
            "active workers to passive ones only, which have no peers",
        )
        with self.lock:
            own = self.call("trainer", "get-model")
            problem = difference_of_names(update, own)
            self.require(
                problem is None, f"update has not the entries of the model of {self.id}: {problem}"
            )
            mean = average([update, own])
            # a caller that waits no longer does not use the mean, so this node must not either
            self.base.host.check_cancelled()
            self._apply_update(mean)
        emit_contributions(self.contributions, [(self.id, 0.5), (caller, 0.5)])
        return mean

    def _average_with(self, peer: RoleInstanceID) -> None:
        # active workers hold their own lock while they wait for a passive one's, never the reverse
        with self.lock:
            update = self.call("trainer", "get-model")
            try:
                mean = self._request_average(peer, update)
            except (*GONE, CallTimeout) as error:
                self.logger.warning("%s did not average: %s", peer, error)
                emit_contributions(self.contributions, [], failed=[peer])
                return
            self._apply_update(mean)
        emit_contributions(self.contributions, [(self.id, 0.5), (peer, 0.5)])

    def _request_average(self, peer: RoleInstanceID, update: Any) -> Any:
        """Return the mean with a peer's model, which the peer uses only if it arrives in time."""
        ((_, call),) = self.base.call_task_group(
            self.name,
            [peer],
            "average",
            message=Message({}, {"update": update}),
            kind="service",
            on_call_error=ErrorHandlingStrategy.KEEP,
        )
        return result_of(call)

    def _apply_update(self, update: Any) -> None:
        self.call("trainer", "apply-update", payloads={"update": update})

    def _peers(self) -> list[RoleInstanceID]:
        return in_order(self.ctx.relationships.get_relationship_view("peer"))
