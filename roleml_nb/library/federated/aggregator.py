"""FedAvg's aggregator: has clients train, and merges their models.

McMahan, Moore, Ramage, Hampson and Agüera y Arcas, "Communication-Efficient Learning of Deep
Networks from Decentralized Data", AISTATS 2017 (algorithm FedAvg).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from roleml_nb.library.aggregation.contributions import emit_contributions
from roleml_nb.library.aggregation.same_entries import check_entries
from roleml_nb.library.channel_numbers import count_of, number_of
from roleml_nb.library.channel_types import (
    ByRole,
    Groups,
    Models,
    Options,
    Params,
    QuorumFields,
    Roles,
)
from roleml_nb.library.ordering import in_order, without
from roleml_nb.role import (
    CallerError,
    ChannelNotFoundError,
    Element,
    ErrorHandlingStrategy,
    Event,
    Message,
    Role,
    RoleInstanceID,
    Service,
    Task,
)

from .client_results import client_result, drop_diverged, rebase_update
from .rounds import Outcome, Quorum, do_round, train_all
from .strategies import ClientResult, FedAvg, Strategy
from .trainings import Trainings

__all__ = ["FedAvgAggregator"]


class FedAvgAggregator(Role):
    """Sends the model to clients, has them train it, and merges their models (McMahan et al. 2017).

    A client is a role with the channels of `EpochTrainer`. Its data size is the result of its
    ``apply-update`` in this round, or else of ``get-data-size``. A model that has diverged (NaN,
    infinity) is not merged: it is an error of that client. Results are merged in the natural order
    of the clients, whichever comes first, so the model is deterministic when all are waited for.

    Element: `strategy`, a `Strategy`, which merges the models. The default is `FedAvg`, the mean
    weighted by data size. After each round, ``aggregation-completed`` carries numbers of clients:
    "selected", "arrived" in time, "late", "dropped" because they answered after an earlier round,
    merged although "stale", "failed", and "busy" with an earlier round; "clients" and "data_size"
    are of the merged results. Before it, ``contributions`` carries the "weight" of each client's
    result according to the strategy, how "stale" it was, and the clients that were "late",
    "dropped", "failed" or "busy"; the trace shows them as a table.
    """

    strategy: Any = Element(Strategy, default_constructor=FedAvg)
    aggregation_completed = Event()
    contributions = Event()

    def __init__(self) -> None:
        super().__init__()
        self._data_sizes: dict[RoleInstanceID, int] = {}
        self._inclusion: dict[RoleInstanceID, float] = {}
        self._trainings = Trainings()

    @Task(expand=True)
    def aggregate(
        self,
        caller: RoleInstanceID,
        clients: Roles,
        update: Params,
        num_epochs: int = 1,
        options: Options | None = None,
        quorum: QuorumFields | None = None,
        attempt: str = "",
        inclusion: ByRole | None = None,
    ) -> dict[str, Any]:
        """Do one round.

        When it fails, trainings that have not begun are cancelled; other clients undo theirs
        (``take-back``) before their next training.

        Parameters
        ----------
        clients : list of RoleInstanceID or of "node/role"
            The clients of the round.
        update : state dict
            The model to start from.
        num_epochs : int
            Local epochs.
        options : dict, optional
            Further arguments of the clients' training, e.g. ``{"lr": 0.05}``, or ``{"proximal":
            0.1}`` for FedProx.
        quorum : dict, optional
            The fields of a `Quorum`. When not given, all clients are waited for, and an error of
            one is an error.
        attempt : str
            With a quorum, the name of the run that the round belongs to: late results of another
            run are dropped.
        inclusion : dict of RoleInstanceID to float, optional
            Probabilities of selection, up to a factor: data sizes are divided by them. Equal when
            not given.

        Returns
        -------
        dict
            "update" (the new model), "data_size" (samples in total) and "clients" (how many);
            "counts" (as in ``aggregation-completed``), "results" (per client, data about its
            training) and "busy" (clients that are still training).
        """
        num_epochs = count_of("num_epochs", num_epochs, 1)
        group = in_order(clients)
        self.require(group, "there are no clients to aggregate from")
        self._record_inclusion(inclusion)
        if quorum is None:
            self._undo_unmerged(group)
            self._send_model(group, update)
            return self._do_round(group, update, num_epochs, options)
        return self._do_round(
            group, update, num_epochs, options, self._check_quorum(quorum, group), attempt
        )

    @Task(expand=True)
    def aggregate_clusters(
        self,
        caller: RoleInstanceID,
        clusters: Groups,
        updates: Models,
        quorum: QuorumFields,
        num_epochs: int = 1,
        options: Options | None = None,
        attempt: str = "",
        inclusion: ByRole | None = None,
    ) -> dict[str, Any]:
        """Do one round of several models under one `quorum`; each model has a cluster of clients.

        Returns
        -------
        dict
            As `aggregate`, but with "updates", the new models; a model without results stays as it
            was.
        """
        num_epochs = count_of("num_epochs", num_epochs, 1)
        self._record_inclusion(inclusion)
        groups = [in_order(cluster) for cluster in clusters]
        self.require(
            len(groups) == len(updates),
            f"updates must be one model for each of the {len(groups)} clusters, got {len(updates)}",
        )
        places: dict[RoleInstanceID, int] = {}
        for place, group in enumerate(groups):
            places.update(dict.fromkeys(group, place))
        strategy = self.strategy()
        outcome = self._train_with_quorum(
            in_order(places),
            updates,
            num_epochs,
            options,
            self._check_quorum(quorum, list(places)),
            attempt,
            places,
        )
        drop_diverged(self, outcome, Quorum(min_results=0))
        merged: list[Any] = []
        results: list[ClientResult] = []
        weights: list[float] = []
        for place, update in enumerate(updates):
            part = [one for one in outcome.results if one[2].cluster == place]
            found = self._client_results(update, Outcome(part), strategy.channel)
            merged.append(strategy.aggregate(update, found) if found else update)
            results += found
            weights += strategy.weights(found) if found else []
        report = self._report_round(len(places), results, weights, outcome)
        return {"updates": merged, **report, "busy": list(self._trainings.under_way)}

    @Service(expand=True)
    def begin_anew(self, caller: RoleInstanceID) -> None:
        """Build the strategy anew, without the state of earlier rounds."""
        if self.strategy.constructible:
            self.strategy.reset()
        else:
            self.logger.warning(
                "the strategy of %s goes on with what it has kept of earlier rounds, because it was"
                " given as an object: give it with impl() to have it built anew",
                self.id,
            )

    def _check_quorum(self, quorum: dict[str, Any], group: list[RoleInstanceID]) -> Quorum:
        unknown = [name for name in quorum if name not in Quorum._fields]
        self.require(
            not unknown,
            f"quorum takes no {', '.join(map(repr, unknown))}: {', '.join(Quorum._fields)}",
        )
        try:
            return Quorum(**quorum).checked(len(group), f"the round on {self.id.actor_name}")
        except CallerError as error:
            raise CallerError(f"quorum: {error}") from None

    def _train_with_quorum(
        self,
        group: list[RoleInstanceID],
        updates: list,
        num_epochs: int,
        options: dict[str, Any] | None,
        quorum: Quorum,
        attempt: str,
        clusters: Mapping[RoleInstanceID, int] | None = None,
    ) -> Outcome:
        return do_round(
            self._trainings,
            self,
            group,
            updates,
            self.strategy().channel,
            self._training_message(num_epochs, options),
            quorum,
            clusters,
            self._data_sizes,
            attempt,
        )

    def _training_message(self, num_epochs: int, options: dict[str, Any] | None) -> Message:
        args = {**(options or {}), "num_epochs": num_epochs}
        return Message(args, self.strategy().arguments())

    def _undo_unmerged(self, group: list[RoleInstanceID]) -> None:
        """Have clients undo trainings that were not merged."""
        unmerged = self._trainings.unmerged
        undoing = [client for client in group if client in unmerged]
        if not undoing:
            return
        answers = self.call_group(undoing, "take-back", on_error=ErrorHandlingStrategy.KEEP)
        for client, answer in answers:
            # trainers of other classes need not have the channel
            if isinstance(answer, Exception) and not isinstance(answer, ChannelNotFoundError):
                self.logger.warning("%s does not take back its last training: %s", client, answer)

    def _send_model(self, group: list[RoleInstanceID], update: Any) -> None:
        sizes = self.call_group(group, "apply-update", payloads={"update": update})
        self._record_sizes(dict(sizes))

    def _do_round(
        self,
        group: list[RoleInstanceID],
        update: Any,
        num_epochs: int,
        options: dict[str, Any] | None,
        quorum: Quorum | None = None,
        attempt: str = "",
    ) -> dict[str, Any]:
        """Have the group train, and merge the results.

        Without a quorum, the group has the model already.
        """
        strategy = self.strategy()
        mean = None
        if quorum is None:
            if strategy.channel == "train":
                mean = strategy.running(self._weights(group))
            message = self._training_message(num_epochs, options)
            outcome = train_all(
                self._trainings, self, group, update, strategy.channel, message, mean
            )
        else:
            outcome = self._train_with_quorum(group, [update], num_epochs, options, quorum, attempt)
            drop_diverged(self, outcome, quorum)
        results = self._client_results(update, outcome, strategy.channel)
        self._require_data([result.data_size for result in results])
        merged = strategy.aggregate(update, results) if mean is None else mean.result()
        report = self._report_round(len(group), results, strategy.weights(results), outcome)
        return {
            "update": merged,
            **report,
            "busy": [] if quorum is None else list(self._trainings.under_way),
        }

    def _report_round(
        self, selected: int, results: list[ClientResult], weights: list[float], outcome: Outcome
    ) -> dict[str, Any]:
        """Emit the report of a round, and return it."""
        clients = [result.client for result in results]
        self._trainings.unmerged.difference_update(clients)
        size = sum(result.data_size for result in results)
        ages = [result.staleness for result in results]
        counts = {
            "selected": selected,
            "arrived": ages.count(0),
            "late": len(outcome.late),
            "stale": len(ages) - ages.count(0),
            "dropped": len(outcome.dropped),
            "failed": len(outcome.failed),
            "busy": len(outcome.busy),
        }
        emit_contributions(
            self.contributions,
            zip(clients, weights, strict=True),
            stale=zip(clients, ages, strict=True),
            late=outcome.late,
            dropped=outcome.dropped,
            failed=self._failed(outcome),
            busy=outcome.busy,
        )
        self.aggregation_completed.emit(args={"clients": len(results), "data_size": size, **counts})
        reports: dict[RoleInstanceID, dict[str, Any]] = {}
        for result in results:
            sizes = {"data_size": result.data_size, "seconds": result.seconds}
            reports[result.client] = {**result.metrics, **sizes}
        return {"data_size": size, "clients": len(results), "counts": counts, "results": reports}

    def _failed(self, outcome: Outcome) -> Iterable[RoleInstanceID]:
        return outcome.failed

    def _require_data(self, sizes: list[int]) -> list[int]:
        self.require(
            sum(sizes) > 0, "none of the clients has any data, so their models have no weight"
        )
        return sizes

    def _record_sizes(self, sizes: Mapping[RoleInstanceID, Any]) -> None:
        """Record the data sizes that clients report; the others are asked when it is needed."""
        for client, size in sizes.items():
            if isinstance(size, int):
                self._data_sizes[client] = size
            else:
                self._data_sizes.pop(client, None)

    def _client_results(self, update: Any, outcome: Outcome, channel: str) -> list[ClientResult]:
        """Return results in natural order, with stale ones moved to the present model."""
        results: list[ClientResult] = []
        for client, answer, training, seconds in outcome.in_order():
            if channel != "train2":
                answer = {"update": answer, "data_size": self._sizes([client])[0]}
            if results:
                first = results[0]
                check_entries(client, answer["update"], first.update, str(first.client))
            staleness = self._trainings.number - training.number
            inclusion = self._inclusion.get(client, 1.0)
            result = client_result(client, answer, staleness, seconds, inclusion)
            if staleness:
                moved = rebase_update(result.update, training.update, update, result.buffers)
                result = replace(result, update=moved)
            results.append(result)
        return results

    def _record_inclusion(self, inclusion: Mapping[RoleInstanceID, float] | None) -> None:
        """Record inclusion probabilities; keep those of clients still busy with earlier rounds."""
        shares: dict[RoleInstanceID, float] = {}
        for given, share in (inclusion or {}).items():
            (client,) = in_order([given])
            shares[client] = number_of(f"inclusion of {client}", share, 0, above=True)
        for client, share in self._inclusion.items():
            if client in self._trainings.under_way:
                shares[client] = share
        self._inclusion = shares

    def _weights(self, group: list[RoleInstanceID]) -> list[float]:
        weights: list[float] = []
        for client, size in zip(group, self._require_data(self._sizes(group)), strict=True):
            weights.append(size / self._inclusion.get(client, 1.0))
        return weights

    def _sizes(self, group: list[RoleInstanceID]) -> list[int]:
        unknown = without(group, self._data_sizes)
        if unknown:
            self._data_sizes.update(self.call_group(unknown, "get-data-size"))
        return [self._data_sizes[client] for client in group]
