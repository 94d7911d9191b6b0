"""Ring all-reduce.

Patarasuk and Yuan, "Bandwidth Optimal All-reduce Algorithms for Clusters of Workstations", Journal
of Parallel and Distributed Computing 69(2), 2009: n nodes in a ring cut their vectors into n
chunks. In step s = 0 … n - 2, node r sends chunk r - s (modulo n) on, and adds the chunk r - s - 1
that it gets to its own (reduce-scatter). Node r then has the whole sum of chunk r + 1, and in n - 1
more steps the sums go round in the same way (all-gather). Every node sends 2 (n - 1) / n of the
vector's size, however many nodes there are.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import numpy as np

from roleml_nb.library.aggregation.contributions import emit_contributions
from roleml_nb.library.attempts import restore_trainer, result_of, save_trainer
from roleml_nb.library.channel_numbers import count_of, number_of
from roleml_nb.library.channel_types import Options, Params, Roles
from roleml_nb.library.locking import GuardedRole
from roleml_nb.library.ordering import in_order
from roleml_nb.library.pausing import Pausable
from roleml_nb.role import (
    ArgumentError,
    CallTimeout,
    DictKeyValueMerger,
    ErrorHandlingStrategy,
    Event,
    RoleInstanceID,
    RoleInteractionError,
    RoleMLError,
    Service,
    Task,
    TaskResultCollector,
)
from roleml_nb.role.errors import GONE
from roleml_nb.role.parameters import AVERAGED, COPIED, STEPPED, entries, like
from roleml_nb.role.running import wait

__all__ = ["RingAggregator", "RingCoordinator"]

SENT_KINDS = (STEPPED, AVERAGED, COPIED)
WEIGHT_RANGE = (1e-9, 1e18)
"""The least and the most that a node may weigh: entries in single precision are multiplied by it.
"""


class RingAggregator(GuardedRole):
    """One node of a ring.

    Needs a ``trainer``, a relationship or a role on the same node, for all but `all_reduce`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._inbox: dict[tuple[str, int], Future[list[np.ndarray]]] = {}
        self._abandoned: set[str] = set()
        self._round = ""
        self._trained: Future[Any] = Future()
        """The trainer's model after the training of that round."""
        self._saved: tuple[Any] | None = None
        """What that training is taken back with."""

    @Task(expand=True)
    def all_reduce(
        self, caller: RoleInstanceID, ring: Roles, key: str, update: Params, weight: float = 1.0
    ) -> dict[str, Any]:
        """Return the weighted mean of the updates that all members of the ring are given in calls
        with the same `key`.

        Parameters
        ----------
        ring : list of RoleInstanceID or of "node/role"
            Who takes part, in the same order for all.
        key : str
            Names this all-reduce; not to be used again.
        update : state dict
            Of the same names, shapes and dtypes on all nodes. Floating-point entries are averaged,
            in their own precision (half precision in single); of others, the elementwise maximum is
            taken, as in `average`. Frozen weights are not sent, and a weight that has several names
            is sent once.
        weight : float
            Of this node, from 1e-9 to 1e18.
        """
        return self._reduce_mean(self._members(ring), key, update, weight)[0]

    def _members(self, ring: list) -> list[RoleInstanceID]:
        members = [
            RoleInstanceID.of(one) if isinstance(one, str) else RoleInstanceID(*one) for one in ring
        ]
        self.require(
            self.id in members,
            f"{self.id} is not in the ring {', '.join(map(str, members)) or '(of nobody)'}",
        )
        return members

    def _reduce_mean(
        self, members: list[RoleInstanceID], key: str, update: Mapping[str, Any], weight: float
    ) -> tuple[dict[str, Any], float]:
        """Return the mean, and this node's share of it."""
        weight = number_of("weight", weight, *WEIGHT_RANGE)
        try:
            sums = self._reduce(members, key, _pack(update, weight))
            return _unpack(update, sums), float(weight / sums["weight"][0])
        finally:
            with self.lock:
                self._inbox = {
                    slot: future for slot, future in self._inbox.items() if slot[0] != key
                }

    @Task(expand=True)
    def train(
        self,
        caller: RoleInstanceID,
        ring: Roles,
        key: str,
        num_epochs: int = 1,
        options: Options | None = None,
        round: str = "",
    ) -> float:
        """Have the trainer train, `all_reduce` its model, weighted by its data size, and give it
        the mean.

        In one `round`, if that is given, it trains once, however often the all-reduce is tried.

        Returns its share of the mean, from 0 to 1.
        """
        num_epochs = count_of("num_epochs", num_epochs, 1)
        members = self._members(ring)
        update = self._train(round, {**(options or {}), "num_epochs": num_epochs})
        mean, share = self._reduce_mean(members, key, update, self.call("trainer", "get-data-size"))
        self.call("trainer", "apply-update", payloads={"update": mean})
        return share

    def _train(self, round: str, args: dict[str, Any]) -> Any:
        with self.lock:
            again = bool(round) and self._round == round
            if not again:
                self._round, self._trained, self._saved = round, Future(), None
            trained = self._trained
        if again:  # it was trained, or is being trained, for a try in which another node was lost
            return wait(trained)
        try:
            self._saved = (save_trainer(self),) if round else None
            trained.set_result(result_of(self.call_task("trainer", "train", args=args)))
        except BaseException as error:
            trained.set_exception(error)
            raise
        return trained.result()

    @Service(expand=True)
    def restore(self, caller: RoleInstanceID, round: str) -> None:
        """Have the trainer take back what it has done in a round that was given up."""
        if self._round == round and self._saved is not None:
            restore_trainer(self, *self._saved)
            self._round, self._trained, self._saved = "", Future(), None

    @Service(expand=True)
    def accept_chunk(
        self, caller: RoleInstanceID, key: str, step: int, chunk: list[np.ndarray]
    ) -> None:
        """Take a chunk from the node before."""
        slot = self._slot(key, count_of("step", step))
        self.require(
            not slot.done(),
            f"chunk of step {step} of {key!r} has come before: give each all-reduce a key of"
            " its own",
        )
        slot.set_result(chunk)

    @Service(expand=True)
    def abandon(self, caller: RoleInstanceID, key: str) -> None:
        """Wait no longer for chunks of this all-reduce: another node has failed."""
        with self.lock:
            self._abandoned.add(key)
            waiting = [
                future
                for slot, future in self._inbox.items()
                if slot[0] == key and not future.done()
            ]
        for future in waiting:
            future.set_exception(self._abandoned_error(key))

    @Service(expand=True)
    def get_model(self, caller: RoleInstanceID) -> Any:
        """Return the trainer's model."""
        return self.call("trainer", "get-model")

    @Service(expand=True)
    def apply_update(self, caller: RoleInstanceID, update: Params) -> None:
        """Give the trainer a model."""
        self.call("trainer", "apply-update", payloads={"update": update})

    def _reduce(
        self, ring: list[RoleInstanceID], key: str, vectors: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        size, rank = len(ring), ring.index(self.id)
        after, before = ring[(rank + 1) % size], ring[rank - 1]
        chunks = [
            list(chunk)
            for chunk in zip(
                *(np.array_split(vector, size) for vector in vectors.values()), strict=True
            )
        ]

        def exchange(step: int, sent: int) -> list[np.ndarray]:
            self.call(
                after,
                "accept-chunk",
                args={"key": key, "step": step},
                payloads={"chunk": chunks[sent % size]},
            )
            return self._receive(key, step, before)

        for step in range(size - 1):
            chunk = (rank - step - 1) % size
            chunks[chunk] = [
                _combine(*pair)
                for pair in zip(chunks[chunk], exchange(step, rank - step), strict=True)
            ]
        for step in range(size - 1):
            chunks[(rank - step) % size] = exchange(size - 1 + step, rank + 1 - step)
        return dict(zip(vectors, map(np.concatenate, zip(*chunks, strict=True)), strict=True))

    def _receive(self, key: str, step: int, before: RoleInstanceID) -> list[np.ndarray]:
        host = self.base.host
        try:
            return host.clock.wait(self._slot(key, step), host.call_timeout)
        except TimeoutError:
            raise CallTimeout(
                f"{self.id} has had no chunk of step {step} from {before} for"
                f" {host.call_timeout:.1f} s"
            ) from None

    def _slot(self, key: str, step: int) -> Future[list[np.ndarray]]:
        with self.lock:
            if key in self._abandoned:
                raise self._abandoned_error(key)
            return self._inbox.setdefault((key, step), Future())

    def _abandoned_error(self, key: str) -> RoleInteractionError:
        return RoleInteractionError(
            f"{self.id} has given up the all-reduce {key}: another node of the ring has failed"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value for name, value in super().__getstate__().items() if name != "_trained"
        } | {"_inbox": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._trained = Future()


class RingCoordinator(Pausable):
    """Runs rounds on a ring: all train, then all average.

    Models travel on the ring only, not through here.

    Needs the relationship ``ring``, the aggregators of its nodes; takes an ``evaluator`` (a
    `ModelMaintainer` with test data), a relationship or a role on the same node, if there is one.
    The result is the same in every run, to the last bit, on any number of engines.

    Nodes may come and go: those in the relationship when a round begins take part in it, and new
    ones get the model first. A round in which a node is lost is done again without it, from the
    models that the others have trained in it; one that fails is taken back by all of them.

    After each round, ``contributions`` carries the "weight" of each node's model in the mean (they
    sum to 1), and who was lost in it ("failed"); the trace has a table of them.
    """

    round_completed = Event()
    contributions = Event()

    def __init__(self) -> None:
        super().__init__()
        self._lost: set[RoleInstanceID] = set()
        self._unfinished = ""
        """The round that is under way, or was given up and not taken back by all."""

    @Task(expand=True)
    def run(
        self,
        caller: RoleInstanceID,
        num_rounds: int,
        num_epochs: int = 1,
        options: Options | None = None,
    ) -> dict[str, Any]:
        """Do `num_rounds` rounds of `num_epochs` local epochs, from the model of the first node of
        the ring.

        After each round, all nodes have the same model, and ``round-completed`` carries "round"
        (from 1), "nodes", and, with an evaluator, its metrics.

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
        """Do one round, the all-reduce again and again until nobody is lost in it; who took
        part.
        """
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
                    with suppress(RoleMLError):  # else at the beginning of the next run
                        self._undo_unfinished()
                    raise
                ring = [member for member in ring if member not in self._lost]
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
        """Have all nodes be what they were before a round that was given up."""
        if self._unfinished:
            ring = in_order(self.ctx.relationships.get_relationship_view("ring"))
            self._drop_lost(
                self.call_group(
                    ring,
                    "restore",
                    args={"round": self._unfinished},
                    on_error=ErrorHandlingStrategy.KEEP,
                )
            )
            self._unfinished = ""

    def _members(self, before: list[RoleInstanceID]) -> list[RoleInstanceID]:
        """Who is there now; those that were not there `before` have the model of the first who was,
        or of the first.
        """
        known = self.ctx.relationships.get_relationship_view("ring")
        ring = in_order(set(known) - self._lost)
        node = self.id.actor_name
        self.require(
            ring or not known,
            f"all nodes of relationship 'ring' of {node} are lost:"
            f" {', '.join(map(str, in_order(known)))}; make them anew with bed.respawn(), or relate"
            " others",
        )
        self.require(
            ring,
            f"relationship 'ring' of {node} is empty: relate the nodes of the ring first, "
            f"e.g. %rml relate {node} ring=node*/aggregator",
        )
        new = [member for member in ring if member not in before]
        if new:
            giver = next((member for member in ring if member in before), ring[0])
            try:
                model = self.call(giver, "get-model")
            except GONE as error:
                self._drop_lost([(giver, error)])
                return self._members([member for member in before if member != giver])
            answers = self.call_group(
                new, "apply-update", payloads={"update": model}, on_error=ErrorHandlingStrategy.KEEP
            )
            self._drop_lost(answers)
        return [member for member in ring if member not in self._lost]

    def _drop_lost(self, answers: list[tuple[RoleInstanceID, Any]]) -> None:
        """Leave out who is gone; any other error is raised."""
        for member, answer in answers:
            if isinstance(answer, GONE):
                self.logger.warning("%s is left out from now on: %s", member, answer)
                self._lost.add(member)
            elif isinstance(answer, Exception):
                raise answer

    def _train(
        self, ring: list[RoleInstanceID], args: dict[str, Any]
    ) -> dict[RoleInstanceID, float]:
        """Return the share of each member."""
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
            self._drop_lost(
                self.call_group(
                    ring, "abandon", args={"key": key}, on_error=ErrorHandlingStrategy.KEEP
                )
            )
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


def _pack(update: Mapping[str, Any], weight: float) -> dict[str, np.ndarray]:
    """One vector per dtype, numbers multiplied by the weight, and the weight itself; without what
    is left or tied.
    """
    parts: dict[str, list[np.ndarray]] = {}
    for name in entries(SENT_KINDS, update):
        vector = _array(update[name]).ravel()
        if vector.dtype.kind in "fc":
            vector = vector * vector.dtype.type(weight)
        parts.setdefault(vector.dtype.str, []).append(vector)
    return {"weight": np.array([weight], np.float64)} | {
        dtype: np.concatenate(part) for dtype, part in parts.items()
    }


def _unpack(update: Mapping[str, Any], vectors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the mean, with the names, shapes and types of `update`."""
    weight, taken, mean = vectors["weight"][0], dict.fromkeys(vectors, 0), dict(update)
    for name in entries(SENT_KINDS, update):
        array = _array(update[name])
        vector, start = vectors[array.dtype.str], taken[array.dtype.str]
        taken[array.dtype.str] = start + array.size
        part = vector[start : start + array.size]
        part = part / part.dtype.type(weight) if part.dtype.kind in "fc" else part.copy()
        mean[name] = _like(update[name], part.reshape(array.shape))
    return like(mean, update)


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (
            value.float() if value.is_floating_point() and value.element_size() < 4 else value
        ).numpy()
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _like(original: Any, array: np.ndarray) -> Any:
    if not hasattr(original, "detach"):
        return np.array(array, np.asarray(original).dtype)
    import torch

    return torch.from_numpy(array).to(original.device, original.dtype)


def _combine(own: np.ndarray, received: np.ndarray) -> np.ndarray:
    if own.shape != received.shape or own.dtype != received.dtype:
        raise ArgumentError(
            f"the updates on the ring are not alike: a chunk of {own.size} {own.dtype} here, of"
            f" {received.size} {received.dtype} on the node before: their models must have the same"
            " entries, of which the same are frozen"
        )
    return own + received if own.dtype.kind in "fc" else np.maximum(own, received)
