"""Ring all-reduce.

Patarasuk and Yuan, "Bandwidth Optimal All-reduce Algorithms for Clusters of Workstations", Journal
of Parallel and Distributed Computing 69(2), 2009: n nodes in a ring cut their vectors into n
chunks. In step s = 0 … n - 2, node r sends chunk r - s (modulo n) on, and adds the chunk r - s - 1
that it gets to its own (reduce-scatter). Node r then has the whole sum of chunk r + 1, and in n - 1
more steps the sums go round in the same way (all-gather). Every node sends 2 (n - 1) / n of the
vector's size, however many nodes there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import numpy as np

from roleml_nb.library.attempts import restore_trainer, result_of, save_trainer
from roleml_nb.library.channel_numbers import count_of, number_of
from roleml_nb.library.channel_types import Options, Params, Roles
from roleml_nb.library.locking import GuardedRole
from roleml_nb.role import CallTimeout, RoleInstanceID, RoleInteractionError, Service, Task
from roleml_nb.role.running import wait

from .ring_vectors import combine, pack, unpack

__all__ = ["RingAggregator"]

WEIGHT_RANGE = (1e-9, 1e18)
"""The least and the largest weight of a node: entries in single precision are multiplied by it."""


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
        """The trainer's state before that training."""

    @Task(expand=True)
    def all_reduce(
        self, caller: RoleInstanceID, ring: Roles, key: str, update: Params, weight: float = 1.0
    ) -> dict[str, Any]:
        """Return the weighted mean of the updates of all members of the ring.

        Every member is called with the same `ring` and `key`.

        Parameters
        ----------
        ring : list of RoleInstanceID or of "node/role"
            The members, in the same order for all.
        key : str
            The name of this all-reduce; not to be used again.
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
        members: list[RoleInstanceID] = []
        for one in ring:
            members.append(RoleInstanceID.of(one) if isinstance(one, str) else RoleInstanceID(*one))
        self.require(
            self.id in members,
            f"{self.id} is not in the ring {', '.join(map(str, members)) or '(of nobody)'}",
        )
        return members

    def _reduce_mean(
        self, members: list[RoleInstanceID], key: str, update: Mapping[str, Any], weight: float
    ) -> tuple[dict[str, Any], float]:
        """Return the weighted mean, and the share of this node in it."""
        weight = number_of("weight", weight, *WEIGHT_RANGE)
        try:
            sums = self._reduce(members, key, pack(update, weight))
            return unpack(update, sums), float(weight / sums["weight"][0])
        finally:
            with self.lock:
                for slot in [slot for slot in self._inbox if slot[0] == key]:
                    del self._inbox[slot]

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
        """Train, replace the model by the mean over the ring, and return this node's share of it.

        The mean is that of `all_reduce`, weighted by data size; the share is from 0 to 1. In one
        `round`, if given, the trainer trains once, however often the all-reduce is tried.
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
                self._begin_round(round)
            trained = self._trained
        if (
            again
        ):  # another node was lost in an earlier try, for which this one trains or has trained
            return wait(trained)
        try:
            self._saved = (save_trainer(self),) if round else None
            trained.set_result(result_of(self.call_task("trainer", "train", args=args)))
        except BaseException as error:
            trained.set_exception(error)
            raise
        return trained.result()

    def _begin_round(self, round: str) -> None:
        self._round = round
        self._trained = Future()
        self._saved = None

    @Service(expand=True)
    def restore(self, caller: RoleInstanceID, round: str) -> None:
        """Have the trainer undo a round that was given up."""
        if self._round == round and self._saved is not None:
            restore_trainer(self, *self._saved)
            self._begin_round("")

    @Service(expand=True)
    def accept_chunk(
        self, caller: RoleInstanceID, key: str, step: int, chunk: list[np.ndarray]
    ) -> None:
        """Receive a chunk from the node before this one."""
        slot = self._slot(key, count_of("step", step))
        self.require(
            not slot.done(),
            f"chunk of step {step} of {key!r} has come before: give each all-reduce a key of"
            " its own",
        )
        slot.set_result(chunk)

    @Service(expand=True)
    def abandon(self, caller: RoleInstanceID, key: str) -> None:
        """Stop waiting for chunks of this all-reduce, because another node has failed."""
        with self.lock:
            self._abandoned.add(key)
            slots = list(self._inbox.items())
        for slot, future in slots:
            if slot[0] == key and not future.done():
                future.set_exception(self._abandoned_error(key))

    @Service(expand=True)
    def get_model(self, caller: RoleInstanceID) -> Any:
        """Return the trainer's model."""
        return self.call("trainer", "get-model")

    @Service(expand=True)
    def apply_update(self, caller: RoleInstanceID, update: Params) -> None:
        """Set the trainer's model."""
        self.call("trainer", "apply-update", payloads={"update": update})

    def _reduce(
        self, ring: list[RoleInstanceID], key: str, vectors: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        size = len(ring)
        rank = ring.index(self.id)
        after = ring[(rank + 1) % size]
        before = ring[rank - 1]
        parts = [np.array_split(vector, size) for vector in vectors.values()]
        chunks = list(map(list, zip(*parts, strict=True)))

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
            chunks[chunk] = combine(chunks[chunk], exchange(step, rank - step))
        for step in range(size - 1):
            chunks[(rank - step) % size] = exchange(size - 1 + step, rank + 1 - step)
        sums = map(np.concatenate, zip(*chunks, strict=True))
        return dict(zip(vectors, sums, strict=True))

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
        state = {**super().__getstate__(), "_inbox": {}}
        state.pop("_trained", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._trained = Future()
