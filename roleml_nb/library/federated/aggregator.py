"""FedAvg's aggregator: trains clients and puts their models together.

McMahan, Moore, Ramage, Hampson and Agüera y Arcas, "Communication-Efficient Learning of Deep
Networks from Decentralized Data", AISTATS 2017 (algorithm FedAvg).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from typing import Any

from roleml_nb.library.aggregation.contributions import emit_contributions
from roleml_nb.library.aggregation.mergers import RunningAverage
from roleml_nb.library.aggregation.same_entries import check_entries
from roleml_nb.library.aggregation.state_dicts import add_step, difference
from roleml_nb.library.attempts import Attempt
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
from roleml_nb.library.ordering import in_order
from roleml_nb.library.training.finite import Diverged, check_finite
from roleml_nb.role import (
    ChannelNotFoundError,
    Element,
    ErrorHandlingStrategy,
    Event,
    Message,
    Role,
    RoleInstanceID,
    RoleInteractionError,
    Service,
    Task,
    natural_key,
)
from roleml_nb.role.parameters import STEPPED, entries, like

from .rounds import Outcome, Quorum, do_round
from .strategies import ClientResult, FedAvg, Strategy
from .trainings import Training, Trainings, Work

__all__ = ["FedAvgAggregator"]

MAX_BYTES_IN_FLIGHT = 64 * 1024 * 1024
"""Bytes of models that come back to an aggregator which needs to keep none, at the same time."""
RESULT_FIELDS = {field.name for field in fields(ClientResult)} - {
    "client",
    "staleness",
    "seconds",
    "inclusion",
}


class FedAvgAggregator(Role):
    """Sends the model to clients, has them train it, and makes one model of what comes back
    (McMahan et al. 2017).

    A client is a role with the channels of `EpochTrainer`. Its data size is what its
    ``apply-update`` returns in this round, or else what ``get-data-size`` does. A model that has
    diverged (NaN, infinity) is not taken in: it is an error of that client. Results are put
    together in the natural order of the clients, whichever comes first, so when all are waited for,
    the model is deterministic.

    Elements: `strategy`, a `Strategy`, says how they are put together. The default is `FedAvg`, the
    mean weighted by data size. After each round, ``aggregation-completed`` carries how many clients
    were "selected", and how many results "arrived" in time, were "late", "dropped" because they
    came after an earlier round, taken in "stale", or "failed", and how many clients were "busy"
    with an earlier round; "clients" and "data_size" are of the results that count. Before it,
    ``contributions`` carries who that was: the "weight" of each client's result, as the strategy
    says it, how "stale" it was, and who was "late", "dropped", "failed" or "busy"; the trace has a
    table of them.
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

        When it fails, trainings that have not begun do not begin; what others have done is taken
        back by their trainers (``take-back``) when they are asked again.

        Parameters
        ----------
        clients : list of RoleInstanceID or of "node/role"
            Who takes part.
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
        inclusion : dict of RoleInstanceID to float, optional
            In proportion to what each was likely to be selected: data sizes are divided by it. All
            alike when not given.
        attempt : str
            With a quorum, what the round belongs to, such as a run: what is late from another one
            does not count in it.

        Returns
        -------
        dict
            "update" (the new model), "data_size" (samples in total) and "clients" (how many);
            "counts" (what ``aggregation-completed`` tells), "results" (per client, what is known of
            its training) and "busy" (clients that are not done yet).
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
        """Do one round of several models under one `quorum`: each of `updates` with clients of its
        own, those of its cluster.

        Returns
        -------
        dict
            As `aggregate`, but with "updates", the new models; one that no result came for stays as
            it was.
        """
        num_epochs = count_of("num_epochs", num_epochs, 1)
        self._record_inclusion(inclusion)
        groups = [in_order(cluster) for cluster in clusters]
        self.require(
            len(groups) == len(updates),
            f"updates must be one model for each of the {len(groups)} clusters, got {len(updates)}",
        )
        places = {client: place for place, group in enumerate(groups) for client in group}
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
        self._drop_diverged(outcome, Quorum(min_results=0))
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
        """Build the strategy anew, without what it has kept of earlier rounds."""
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
        return Quorum(**quorum).checked(len(group), f"the round on {self.id.actor_name}")

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
        strategy = self.strategy()
        message = Message({**(options or {}), "num_epochs": num_epochs}, strategy.arguments())
        return do_round(
            self._trainings,
            self,
            group,
            updates,
            strategy.channel,
            message,
            quorum,
            clusters,
            self._data_sizes,
            attempt,
        )

    def _undo_unmerged(self, group: list[RoleInstanceID]) -> None:
        """Have clients undo a training that was not taken in."""
        unmerged = self._trainings.unmerged
        again = [client for client in group if client in unmerged]
        for client, answer in (
            self.call_group(again, "take-back", on_error=ErrorHandlingStrategy.KEEP)
            if again
            else ()
        ):
            # which not all can do
            if isinstance(answer, Exception) and not isinstance(answer, ChannelNotFoundError):
                self.logger.warning("%s does not take back its last training: %s", client, answer)

    def _send_model(self, group: list[RoleInstanceID], update: Any) -> None:
        self._record_sizes(
            dict(self.call_group(group, "apply-update", payloads={"update": update}))
        )

    def _do_round(
        self,
        group: list[RoleInstanceID],
        update: Any,
        num_epochs: int,
        options: dict[str, Any] | None,
        quorum: Quorum | None = None,
        attempt: str = "",
    ) -> dict[str, Any]:
        """Have the group train, and aggregate.

        Without a quorum, the group has the model already.
        """
        strategy = self.strategy()
        mean = None
        if quorum is None:
            if strategy.channel == "train":
                mean = strategy.running(self._weights(group))
            args = {**(options or {}), "num_epochs": num_epochs}
            outcome = self._train_all(
                group, update, strategy.channel, args, strategy.arguments(), mean
            )
        else:
            outcome = self._train_with_quorum(group, [update], num_epochs, options, quorum, attempt)
            self._drop_diverged(outcome, quorum)
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
        """What a round returns besides models; it is emitted, too."""
        self._trainings.unmerged.difference_update(result.client for result in results)
        size = sum(result.data_size for result in results)
        counts = {
            "selected": selected,
            "arrived": sum(not result.staleness for result in results),
            "late": len(outcome.late),
            "stale": sum(result.staleness > 0 for result in results),
            "dropped": len(outcome.dropped),
            "failed": len(outcome.failed),
            "busy": len(outcome.busy),
        }
        emit_contributions(
            self.contributions,
            zip([result.client for result in results], weights, strict=True),
            stale=[(result.client, result.staleness) for result in results],
            late=outcome.late,
            dropped=outcome.dropped,
            failed=self._failed(outcome),
            busy=outcome.busy,
        )
        self.aggregation_completed.emit(args={"clients": len(results), "data_size": size, **counts})
        known = {
            result.client: {
                **result.metrics,
                "data_size": result.data_size,
                "seconds": result.seconds,
            }
            for result in results
        }
        return {"data_size": size, "clients": len(results), "counts": counts, "results": known}

    def _failed(self, outcome: Outcome) -> Iterable[RoleInstanceID]:
        return outcome.failed

    def _train_all(
        self,
        group: list[RoleInstanceID],
        update: Any,
        channel: str,
        args: Mapping[str, Any],
        payloads: Mapping[str, Any],
        mean: RunningAverage | None,
    ) -> Outcome:
        """Have all train, and wait for them in their order.

        With `mean`, the models go into it, and are not kept.

        Then no more are under way at the same time than memory is meant for.
        """
        outcome, training = Outcome(), Training(Work(self._trainings.number, [update]))
        at_once = len(group) if mean is None else self._max_in_flight(group, update)
        left, under_way = list(group), deque[tuple[RoleInstanceID, Any]]()
        names: tuple[RoleInstanceID, list[str]] | None = None
        self._trainings.unmerged.update(group)
        with Attempt() as attempt:
            while left or under_way:
                count = at_once - len(under_way)
                if left and count:
                    under_way.extend(
                        attempt.add(self.call_task_group(left[:count], channel, args, payloads))
                    )
                    del left[:count]
                client, invocation = under_way.popleft()  # which holds its result
                answer = invocation.result()
                model = answer if channel == "train" else answer["update"]
                names = names or (client, list(model))
                check_entries(client, model, names[1], str(names[0]))
                check_finite(client, model, update)
                if mean is not None:
                    mean.add(answer)
                    answer = {}
                outcome.results.append((client, answer, training, 0.0))
        return outcome

    def _max_in_flight(self, group: list[RoleInstanceID], update: Mapping[str, Any]) -> int:
        """Return the number of models that may be on their way here at once.

        They take `MAX_BYTES_IN_FLIGHT` bytes, or more so that no host has to wait.
        """
        hosts = {self.ctx.contacts.get_actor_profile(client.actor_name).address for client in group}
        size = sum(getattr(entry, "nbytes", 0) for entry in update.values())
        return max(len(hosts) + 1, MAX_BYTES_IN_FLIGHT // max(size, 1))

    def _require_data(self, sizes: list[int]) -> list[int]:
        self.require(
            sum(sizes) > 0, "none of the clients has any data, so their models have no weight"
        )
        return sizes

    def _drop_diverged(self, outcome: Outcome, quorum: Quorum) -> None:
        results, outcome.results = outcome.results, []
        for client, answer, training, seconds in results:
            try:
                check_finite(client, answer.get("update", answer), training.update)
            except Diverged as error:
                self.logger.warning("%s is left out: %s", client, error)
                outcome.failed[client] = error
                continue
            outcome.results.append((client, answer, training, seconds))
        if len(outcome.results) < min(quorum.least, len(results)):
            first = next(iter(outcome.failed.values()))
            raise RoleInteractionError(
                f"{len(outcome.results)} results are left of the {quorum.least} that the round"
                f" needs; the first error: {first}"
            ) from first

    def _record_sizes(self, sizes: Mapping[RoleInstanceID, Any]) -> None:
        """Record the sizes that clients report; ask the others again when their sizes count."""
        for client, size in sizes.items():
            if isinstance(size, int):
                self._data_sizes[client] = size
            else:
                self._data_sizes.pop(client, None)

    def _client_results(self, update: Any, outcome: Outcome, channel: str) -> list[ClientResult]:
        """In natural order; a stale one is moved to where the model is by now."""
        results: list[ClientResult] = []
        for client, answer, training, seconds in sorted(
            outcome.results, key=lambda one: natural_key(str(one[0]))
        ):
            detailed = (
                dict(answer)
                if channel == "train2"
                else {"update": answer, "data_size": self._sizes([client])[0]}
            )
            if results:
                check_entries(client, detailed["update"], results[0].update, str(results[0].client))
            staleness = self._trainings.number - training.number
            if staleness:
                detailed["update"] = _rebase_update(
                    detailed["update"], training.update, update, detailed.get("buffers", ())
                )
            known = {name: detailed[name] for name in RESULT_FIELDS if name in detailed}
            results.append(
                ClientResult(
                    client,
                    staleness=staleness,
                    seconds=seconds,
                    inclusion=self._inclusion.get(client, 1.0),
                    **known,
                )
            )
        return results

    def _record_inclusion(self, inclusion: Mapping[RoleInstanceID, float] | None) -> None:
        """Record inclusion probabilities; keep those of clients still busy with earlier rounds."""
        known = {
            in_order([client])[0]: number_of(
                f"inclusion of {in_order([client])[0]}", share, 0, above=True
            )
            for client, share in (inclusion or {}).items()
        }
        kept = {
            client: share
            for client, share in self._inclusion.items()
            if client in self._trainings.under_way
        }
        self._inclusion = {**known, **kept}

    def _weights(self, group: list[RoleInstanceID]) -> list[float]:
        sizes = self._require_data(self._sizes(group))
        return [
            size / self._inclusion.get(client, 1.0)
            for client, size in zip(group, sizes, strict=True)
        ]

    def _sizes(self, group: list[RoleInstanceID]) -> list[int]:
        unknown = [client for client in group if client not in self._data_sizes]
        if unknown:
            self._data_sizes.update(self.call_group(unknown, "get-data-size"))
        return [self._data_sizes[client] for client in group]


def _rebase_update(
    update: Mapping[str, Any],
    base: Mapping[str, Any],
    onto: Mapping[str, Any],
    untrained: Collection[str],
) -> dict[str, Any]:
    """`update` with the step that it is from `base` made from `onto` instead."""
    names = [name for name in entries(STEPPED, update) if name not in untrained]
    step = difference(update, base, names)
    return like({**update, **add_step({name: onto[name] for name in names}, step)}, update)
