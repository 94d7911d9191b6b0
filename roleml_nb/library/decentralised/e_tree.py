"""E-tree learning.

Yang, Lu, Cao, Huang and Zhang, "E-Tree Learning: A Novel Decentralized Model Learning Framework for
Edge AI", IEEE Internet of Things Journal 8(14), 2021: devices are the leaves of a tree, and models
are aggregated level by level on the way to its root, w = Σ n_i w_i / Σ n_i over the nodes i right
below, with n_i the size of the data below i. Each level may aggregate several times before it
passes the result on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from roleml_nb.library.channel_numbers import count_of
from roleml_nb.library.channel_types import Params
from roleml_nb.library.federated.aggregator import FedAvgAggregator
from roleml_nb.library.federated.rounds import Outcome, Quorum
from roleml_nb.library.members import drop_lost, members_of
from roleml_nb.library.ordering import in_order, without
from roleml_nb.role import ErrorHandlingStrategy, RoleInstanceID, Service, Task
from roleml_nb.role.checks.numbers import check_count
from roleml_nb.role.errors import GONE

__all__ = ["TreeAggregator"]


class TreeAggregator(FedAvgAggregator):
    """An inner node of the tree.

    To the level above, it is a trainer whose data are those of all leaves below.

    Needs the relationship ``trainer``: its children, which are trainers (the leaves) or other tree
    aggregators. It has the channels of `EpochTrainer`, so the root of the tree is a
    `FedAvgAggregator` with a `FederatedCoordinator`, and a tree may have any number of levels.

    When every level aggregates once per round, the result is that of federated averaging over all
    leaves: a mean of means, weighted by the data below, is the mean.

    Children may come and go: those in the relationship when a training begins take part in it. A
    child that is lost is left out, and its round is repeated.

    The levels above can use strategies that need models and losses (`FedAvg`, `QFedAvg`, server
    optimizers), and selectors that ask for losses (`PowerOfChoiceSelector`); strategies that need
    the steps of each leaf are refused before any training (`Scaffold`, `FedNova`).

    Parameters
    ----------
    frequency : int
        The number of rounds of this node's children per training of the node; 1 or more.
    """

    def __init__(self, frequency: int = 1):
        super().__init__()
        self.frequency = check_count("frequency", frequency, 1)
        self._update: Any = None
        self._have_it: set[RoleInstanceID] = set()
        self._gone: set[RoleInstanceID] = set()

    @Service(expand=True)
    def apply_update(self, caller: RoleInstanceID, update: Params) -> int:
        """Send a model to all leaves below; return their number of training samples."""
        self._gone = set()
        self._have_it = set()
        below = self._children()
        self._undo_unmerged(below)
        self._send_model(below, update)
        self._update = update
        return sum(self._sizes(in_order(self._have_it)))

    @Service(expand=True)
    def take_back(self, caller: RoleInstanceID) -> None:
        """Have all leaves below undo their trainings since they received a model."""
        self._trainings.unmerged.update(self._children())
        self._undo_unmerged(self._children())

    @Service(expand=True)
    def get_model(self, caller: RoleInstanceID) -> Any:
        """Return the model of the first leaf below."""
        return self.call(self._children()[0], "get-model")

    @Service(expand=True)
    def get_data_size(self, caller: RoleInstanceID) -> int:
        """Return the number of training samples of all leaves below."""
        self._data_sizes.clear()
        return sum(self._sizes(self._children()))

    @Task(expand=True)
    def evaluate(self, caller: RoleInstanceID, update: Params | None = None) -> dict[str, Any]:
        """Return the metrics of the leaves' models, or of `update`, on all training data below.

        They are means, weighted by data size.
        """
        below = self._children()
        answers = self.call_task_group(
            below, "evaluate", payloads={"update": update}, on_call_error=ErrorHandlingStrategy.KEEP
        )
        metrics: list[dict[str, Any]] = []
        sizes: list[int] = []
        for member, invocation in answers:
            try:
                metrics.append(invocation.result())
                sizes += self._sizes([member])
            except GONE as error:
                self.logger.warning("%s is left out: %s", member, error)
                self._gone.add(member)
        self.require(metrics, f"all below {self.id} are gone")
        whole = sum(self._require_data(sizes))
        means: dict[str, Any] = {}
        for name in metrics[0]:
            if all(name in one for one in metrics):
                weighted = (size * one[name] for size, one in zip(sizes, metrics, strict=True))
                means[name] = sum(weighted) / whole
        return means

    @Task(expand=True)
    def train(self, caller: RoleInstanceID, num_epochs: int = 1, **options: Any) -> Any:
        """Have the children train for `num_epochs` epochs, `frequency` times; return the mean."""
        return self._train(num_epochs, options)["update"]

    @Task(expand=True)
    def train2(
        self, caller: RoleInstanceID, num_epochs: int = 1, test_first: bool = False, **options: Any
    ) -> dict[str, Any]:
        """Train as `train` does; return "update", "data_size" (of all leaves below), and "metrics".

        "metrics" are empty. With `test_first`, "initial_loss" is the loss of the model on all data
        below before the training.
        """
        asked = sorted({"control", "stepwise"} & options.keys())
        self.require(
            not asked,
            f"{self.id} is an inner node and has models to return only, not what {', '.join(asked)}"
            " ask for: above it, the strategy must be FedAvg, QFedAvg or a server optimizer",
        )
        num_epochs = count_of("num_epochs", num_epochs, 1)
        result: dict[str, Any] = {}
        if test_first:
            result["initial_loss"] = self.evaluate(self.id, self._update)["loss"]
        done = self._train(num_epochs, options)
        return {**result, "update": done["update"], "data_size": done["data_size"], "metrics": {}}

    def _train(self, num_epochs: int, options: dict[str, Any]) -> dict[str, Any]:
        num_epochs = count_of("num_epochs", num_epochs, 1)
        below = self._children()
        if self._update is None:
            self._update = self.call(below[0], "get-model")
        elif new := without(below, self._have_it):
            self._send_model(new, self._update)
        done = self._do_round(below, self._update, num_epochs, options)
        for _ in range(1, self.frequency):
            self._send_model(below, done["update"])
            done = self._do_round(below, done["update"], num_epochs, options)
        return done

    def _send_model(self, group: list[RoleInstanceID], update: Any) -> None:
        """Send a model to children; leave those that are lost out from then on."""
        answers = self.call_group(
            group, "apply-update", payloads={"update": update}, on_error=ErrorHandlingStrategy.KEEP
        )
        for member, size in drop_lost(self, answers, self._gone).items():
            self._have_it.add(member)
            self._record_sizes({member: size})

    def _do_round(
        self,
        group: list[RoleInstanceID],
        update: Any,
        num_epochs: int,
        options: dict[str, Any] | None,
        quorum: Quorum | None = None,
        attempt: str = "",
    ) -> dict[str, Any]:
        """Do a round as the base class does; repeat it from `update` when a child is lost."""
        while True:
            before = len(self._gone)
            left = without(group, self._gone)
            self.require(left, f"all below {self.id} are gone")
            try:
                return super()._do_round(left, update, num_epochs, options, quorum, attempt)
            except GONE:
                self._undo_unmerged(left)
                self._send_model(left, update)
                if len(self._gone) == before:
                    raise

    def _failed(self, outcome: Outcome) -> Iterable[RoleInstanceID]:
        return in_order({*outcome.failed, *self._gone})

    def _children(self) -> list[RoleInstanceID]:
        return members_of(self, "trainer", "those below", "leaf*/trainer", self._gone)
