"""Rounds of training and all-reduce on a ring."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import Any

from roleml_nb.library.aggregation.contributions import emit_contributions
from roleml_nb.library.attempts import result_of
from roleml_nb.library.channel_numbers import count_of
from roleml_nb.library.channel_types import Options
from roleml_nb.library.members import drop_lost, members_of
from roleml_nb.library.ordering import in_order, without
from roleml_nb.library.pausing import Pausable
from roleml_nb.role import (
    DictKeyValueMerger,
    ErrorHandlingStrategy,
    Event,
    RoleInstanceID,
    RoleMLError,
    Task,
    TaskResultCollector,
)
from roleml_nb.role.errors import GONE

__all__ = ["RingCoordinator"]


class RingCoordinator(Pausable):
    """Runs rounds on a ring: all nodes train, then average.

    Models go round the ring, not through this role. Needs the relationship ``ring``, the
    aggregators of its nodes; uses an ``evaluator`` (a `ModelMaintainer` with test data), a
    relationship or a role on the same node, if there is one. The result is the same in every run,
    to the last bit, on any number of engines.

    Nodes may come and go: those in the relationship when a round begins take part in it, and new
    ones get the model first. When a node is lost, the others repeat the averaging without it, with
    the models that they have trained; when a round fails, all nodes undo it.

    After each round, ``contributions`` carries the "weight" of each node's model in the mean (they
    sum to 1), and the nodes that were lost in it ("failed"); the trace shows them as a table.
    """

    round_completed = Event()
    contributions = Event()

    def __init__(self) -> None:
        super().__init__()
        self._lost: set[RoleInstanceID] = set()
        self._unfinished = ""
        """The round that is under way, or was given up and not undone by all nodes."""

    @Task(expand=True)
    def run(
        self,
        caller: RoleInstanceID,
        num_rounds: int,
        num_epochs: int = 1,
        options: Options | None = None,
    ) -> dict[str, Any]:
        """Run `num_rounds` rounds of `num_epochs` local epochs.

        They start from the model of the first node of the ring. After each round, all nodes have
        the same model, and ``round-completed`` carries "round" (from 1), "nodes", and, with an
        evaluator, its metrics.

        Returns
        -------
        dict
            "rounds", and "accuracy" and "loss" of the last test (None without an evaluator).
        """
        num_rounds = count_of("num_rounds", num_rounds, 1)
        num_epochs = count_of("num_epochs", num_epochs, 1)
        self._lost = set()
        self._undo_unfinished()
        ring: list[RoleInstanceID] = []
        metrics: dict[str, Any] = {}
        for number in range(1, num_rounds + 1):
            self.before_round()
            ring = self._round(ring, {"num_epochs": num_epochs, "options": options})
            metrics = self._evaluate(ring[0])
            self.round_completed.emit(args={**metrics, "round": number, "nodes": len(ring)})
        return {
            "rounds": num_rounds,
            "accuracy": metrics.get("accuracy"),
            "loss": metrics.get("loss"),
        }

    def _round(self, before: list[RoleInstanceID], args: dict[str, Any]) -> list[RoleInstanceID]:
        """Do one round; repeat the all-reduce until no node is lost in it; return its nodes."""
        gone = set(self._lost)
        ring = self._members(before)
        self._unfinished = uuid.uuid4().hex
        while True:
            self.require(
                ring,
                f"all nodes of the ring of {self.id} are lost:"
                f" {', '.join(map(str, in_order(self._lost)))}",
            )
            lost = len(self._lost)
            try:
                shares = self._train(ring, {**args, "round": self._unfinished})
            except Exception:
                if len(self._lost) == lost:
                    with suppress(RoleMLError):  # then it is tried again when the next run begins
                        self._undo_unfinished()
                    raise
                ring = without(ring, self._lost)
            else:
                break
        self._unfinished = ""
        emit_contributions(
            self.contributions,
            [(member, shares[member]) for member in ring],
            failed=in_order(self._lost - gone),
        )
        return ring

    def _undo_unfinished(self) -> None:
        """Have all nodes undo a round that was given up."""
        if self._unfinished:
            ring = in_order(self.ctx.relationships.get_relationship_view("ring"))
            answers = self.call_group(
                ring,
                "restore",
                args={"round": self._unfinished},
                on_error=ErrorHandlingStrategy.KEEP,
            )
            drop_lost(self, answers, self._lost)
            self._unfinished = ""

    def _members(self, before: list[RoleInstanceID]) -> list[RoleInstanceID]:
        """Return the present nodes, after new ones have got the model of a node of `before`.

        Nodes are new if they are not in `before`; if all are, the first one's model is taken.
        """
        ring = members_of(self, "ring", "the nodes of the ring", "node*/aggregator", self._lost)
        new = without(ring, before)
        if new:
            giver = next((member for member in ring if member in before), ring[0])
            try:
                model = self.call(giver, "get-model")
            except GONE as error:
                drop_lost(self, [(giver, error)], self._lost)
                return self._members(without(before, [giver]))
            answers = self.call_group(
                new, "apply-update", payloads={"update": model}, on_error=ErrorHandlingStrategy.KEEP
            )
            drop_lost(self, answers, self._lost)
        return without(ring, self._lost)

    def _train(
        self, ring: list[RoleInstanceID], args: dict[str, Any]
    ) -> dict[RoleInstanceID, float]:
        """Have all nodes train and average; return the share of each."""
        key = uuid.uuid4().hex
        done = TaskResultCollector(
            ring, merger=DictKeyValueMerger(), on_error=ErrorHandlingStrategy.RAISE_FIRST
        )
        lost = len(self._lost)
        calls = self.call_task_group(
            ring,
            "train",
            args={**args, "ring": ring, "key": key},
            on_result=done.push,
            on_call_error=ErrorHandlingStrategy.KEEP,
        )
        try:
            return done.result()
        except BaseException:
            answers = self.call_group(
                ring, "abandon", args={"key": key}, on_error=ErrorHandlingStrategy.KEEP
            )
            drop_lost(self, answers, self._lost)
            raise
        finally:
            if len(self._lost) == lost:  # else the others go on, for the next try
                for _, call in calls:
                    call.cancel()

    def _evaluate(self, member: RoleInstanceID) -> dict[str, Any]:
        if not self.has("evaluator"):
            return {}
        self.call("evaluator", "apply-update", payloads={"update": self.call(member, "get-model")})
        return result_of(self.call_task("evaluator", "test"))
