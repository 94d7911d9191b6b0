"""Lesson 03, federated averaging from scratch."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np

from roleml_nb.library import EpochTrainer, FedAvgAggregator, FederatedCoordinator, ModelMaintainer
from roleml_nb.role import RoleMLError
from roleml_nb.testbed import Each, Testbed, impl

from .checking import Claim, exercise
from .claims import equals, is_function, is_role, returned
from .toy_roles import Meeting, MeetingTrainer, Numbers, Points, centres

PLACES = [2.0, 4.0, 9.0]
COUNTS = [10, 30, 60]
TRAINERS = ["client1/trainer", "client2/trainer", "client3/trainer"]


@exercise("03.1", "the weighted mean", 15)
def weighted_mean(answer: Any) -> Iterator[Claim]:
    yield is_function(answer)
    one = {"w": np.array([0.0, 2.0]), "b": np.array([1.0])}
    two = {"w": np.array([4.0, 6.0]), "b": np.array([3.0])}
    before = deepcopy(one)
    mean = answer([one, two], [1, 1])
    yield Claim(
        "it returns a dict with the entries of the models",
        isinstance(mean, dict) and set(mean) == {"w", "b"},
        returned(mean),
    )
    yield Claim(
        "with equal sizes it is the mean, entry by entry",
        _equal(mean, [2.0, 4.0], [2.0]),
        f"of w=[0, 2], b=[1] and w=[4, 6], b=[3] it made w={mean['w']}, b={mean['b']}",
    )
    yield Claim(
        "the models themselves stay as they were",
        all(np.array_equal(one[name], before[name]) for name in before),
        "changing the first model with += or *=, or what is called mean but is that model, changes"
        " it for everybody",
    )
    mean = answer([one, two], [30, 10])
    yield Claim(
        "who has three times the data counts three times",
        _equal(mean, [1.0, 3.0], [1.5]),
        f"of w=[0, 2] with 30 samples and w=[4, 6] with 10 it made w={mean['w']}: which share of"
        " all samples has each?",
    )


@exercise("03.2", "an aggregator")
def aggregator(answer: Any) -> Iterator[Claim]:
    yield from is_role(answer, tasks="aggregate")
    with Testbed(engines=0, timeout=8) as bed:
        _clients(bed, MeetingTrainer)
        bed.assign("server", "meeting", Meeting)
        bed.relate("client*", "meeting", "server/meeting")
        bed.assign("server", "aggregator", answer)
        bed.assign("server", "reference", FedAvgAggregator)
        start = {"w": np.array([6.0, 1.0])}
        together = True
        try:
            found = bed.call("server/aggregator", "aggregate", payloads={"update": start})
        except RoleMLError as error:
            together = "at work alone" not in str(error)
            if together:
                raise
        yield Claim(
            "all clients train at the same time",
            together,
            "a client waited for the others in vain: when is the first one's result asked for, "
            "and when is the second one told to train?",
        )
        models = [bed.call(trainer, "get-model")["w"] for trainer in TRAINERS]
        wanted = bed.call(
            "server/reference", "aggregate", {"clients": TRAINERS}, {"update": start}
        )["update"]["w"]
        trained = (start["w"] + centres(PLACES)) / 2
        yield Claim(
            "it returns a model", isinstance(found, dict) and set(found) == {"w"}, returned(found)
        )
        yield Claim(
            "all clients began with the model that they were sent, and trained",
            np.allclose(models, trained),
            f"from w={start['w']}, the first client came to {models[0]} in place of {trained[0]}: "
            "what has to be called before 'train', and on whom?",
        )
        plain = np.allclose(found["w"], trained.mean(0))
        hint = (
            "it is the plain mean: how much data has each?"
            if plain
            else f"it returned w={found['w']}"
        )
        yield Claim(
            "it returns their mean, weighted by their data", np.allclose(found["w"], wanted), hint
        )


@exercise("03.3", "a coordinator")
def coordinator(answer: Any) -> Iterator[Claim]:
    yield from is_role(answer, tasks="run", events="round-completed")
    with Testbed(engines=0, timeout=8) as bed:
        _clients(bed)
        for node, cls in (("server", answer), ("other", FederatedCoordinator)):
            bed.spawn(node)
            bed.assign(node, "aggregator", FedAvgAggregator)
            bed.assign(
                node,
                "evaluator",
                ModelMaintainer,
                elements={"model": impl(Numbers), "dataset_test": impl(Points, 6.8, 10)},
            )
            bed.assign(node, "coordinator", cls)
            bed.relate(node, "trainer", "client*/trainer")
        wanted = bed.call("other/coordinator", "run", {"num_rounds": 4})["accuracy"]
        found = bed.call("server/coordinator", "run", {"num_rounds": 4})
        metrics = bed.trace.metrics.to_pandas()
        rounds = metrics[
            (metrics.node == "server")
            & (metrics.channel == "round-completed")
            & (metrics.metric == "accuracy")
        ]
        yield Claim(
            "it emits round-completed four times in four rounds",
            len(rounds) == 4,
            f"there were {len(rounds)} with an accuracy: the metrics of the test go into the args"
            " of the event",
        )
        better = bool(rounds.value.is_monotonic_increasing) and rounds.value.nunique() > 1
        yield Claim(
            "the model gets better from round to round",
            better,
            f"the accuracies were {rounds.value.round(3).tolist()}: "
            "does each round begin with the model of the one before?",
        )
        yield Claim(
            "it returns the accuracy after the last round",
            found == rounds.value.iloc[-1],
            returned(found),
        )
        yield Claim(
            "which is that of the library's coordinator",
            bool(np.isclose(found, wanted)),
            f"it is {found:.3f}, and the library's has {wanted:.3f}: with which model does the"
            " first round begin?",
        )


def _clients(bed: Testbed, trainer: type[EpochTrainer] = EpochTrainer) -> None:
    bed.spawn("server", "client{1..3}")
    bed.assign(
        "client*",
        "trainer",
        trainer,
        elements={"model": impl(Numbers), "dataset": impl(Points, Each(PLACES), Each(COUNTS))},
    )
    bed.relate("server", "trainer", "client*/trainer")


def _equal(mean: dict[str, Any], w: list[float], b: list[float]) -> bool:
    for name, right in (("w", w), ("b", b)):
        found = np.asarray(mean[name], dtype=object)
        if found.shape != (len(right),) or not all(map(equals, found, right)):
            return False
    return True
