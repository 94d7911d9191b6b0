"""IFCA on clients of two kinds, which are known, on one process and on engines."""

import numpy as np
import pytest

from roleml_nb import CallerError, Each, HandlerError, impl
from roleml_nb.library import ClusteredCoordinator, EpochTrainer, FedAvgAggregator
from roleml_nb.workload import ArrayDataset
from tests.library.federated.test_quorum import Gated
from tests.science.federated.problems import LeastSquares

TRUTH = [np.array([3.0, 1.0, 0.0, -2.0]), np.array([-3.0, 0.0, 2.0, 1.0])]
STARTS = [{"w": np.array([0.5, 0.0, 0.0, 0.0])}, {"w": np.array([-0.5, 0.0, 0.0, 0.0])}]


def of_kind(part, kind, count=30):
    x = np.random.default_rng(part).normal(size=(count, 4))
    return ArrayDataset(x, x @ TRUTH[kind], batch_size=100)


def federation(bed, name, kinds, starts, sizes=30, trainer=EpochTrainer, **options):
    count = len(kinds)
    bed.spawn(f"{name}-client{{1..{count}}}").assign(
        "trainer",
        trainer,
        options=options,
        elements={
            "model": impl(LeastSquares, 0.2),
            "dataset": impl(of_kind, Each(range(count)), Each(kinds), sizes),
        },
    )
    bed.spawn(f"{name}-server")
    bed.assign(f"{name}-server", "aggregator", FedAvgAggregator)
    bed.assign(f"{name}-server", "coordinator", ClusteredCoordinator, elements={"models": starts})
    bed.relate(f"{name}-server", "trainer", f"{name}-client*/trainer")


def test_two_kinds_are_found_and_each_gets_its_model(bed):
    kinds = [0, 1, 1, 0, 1, 0]
    federation(bed, "kinds", kinds, STARTS)
    result = bed.call(
        "kinds-server/coordinator", "run", {"num_rounds": 40, "num_epochs": 2, "distribute": True}
    )
    assert result["sizes"] == [3, 3] and result["loss"] < 1e-9
    found = bed.call("kinds-server/coordinator", "get-clusters")
    assert [found["kinds-client" + str(number), "trainer"] for number in range(1, 7)] == kinds
    for kind in (0, 1):
        model = bed.call("kinds-server/coordinator", "get-model", {"cluster": kind})
        np.testing.assert_allclose(model["w"], TRUTH[kind], atol=1e-5)
    for number, kind in enumerate(kinds, 1):
        np.testing.assert_allclose(
            bed.call(f"kinds-client{number}/trainer", "get-model")["w"], TRUTH[kind], atol=1e-5
        )
    table = bed.trace.metrics.to_pandas().query(
        "node == 'kinds-server' and channel == 'round-completed'"
    )
    assert (
        set(table[table.metric == "clusters"].value) == {2}
        and table[table.metric == "moved"].value.iloc[-1] == 0
    )


def test_one_kind_ends_in_one_cluster(bed):
    federation(bed, "one", [0, 0, 0], STARTS)
    assert bed.call("one-server/coordinator", "run", {"num_rounds": 3})["sizes"] == [3, 0]


def test_a_model_whose_loss_is_no_number_has_not_the_least_loss(bed):
    """inf − inf of a model that has diverged."""
    federation(bed, "nan", [0, 0], [{"w": np.array([np.inf, -np.inf, np.inf, 0.0])}, STARTS[0]])
    assert bed.call("nan-server/coordinator", "run", {"num_rounds": 2})["sizes"] == [0, 2]


def step(w, part, kind, count):
    model = LeastSquares(0.2)
    model.w = w
    model.train(of_kind(part, kind, count))
    return model.w


KINDS, COUNTS = [0, 1, 0, 1], [10, 20, 40, 60]


def closed_form(parts, rounds=2):
    """Each cluster is federated averaging on its own, weighted by data size; where clients go is
    known from the start.
    """
    models = [start["w"] for start in STARTS]
    for _ in range(rounds):
        for kind in (0, 1):
            members = [part for part in parts if KINDS[part] == kind]
            models[kind] = np.average(
                [step(models[kind], part, kind, COUNTS[part]) for part in members],
                axis=0,
                weights=[COUNTS[part] for part in members],
            )
    return models


@pytest.mark.parametrize("quorum", [{}, {"min_results": 4}], ids=["all", "quorum"])
def test_each_cluster_is_the_weighted_mean_in_closed_form(bed, quorum):
    name = f"closed{len(quorum)}"
    federation(bed, name, KINDS, STARTS, sizes=Each(COUNTS))
    result = bed.call(f"{name}-server/coordinator", "run", {"num_rounds": 2, **quorum})
    for kind, expected in enumerate(closed_form(range(4))):
        found = bed.call(f"{name}-server/coordinator", "get-model", {"cluster": kind})["w"]
        np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert result["sizes"] == [2, 2]
    table = bed.trace.contributions.to_pandas()
    weights = table[table.target == f"{name}-server/aggregator"].groupby("source").weight
    assert weights.mean().tolist() == pytest.approx([10 / 50, 20 / 80, 40 / 50, 60 / 80])


def told(bed, name):
    table = bed.trace.metrics.to_pandas().query("channel == 'round-completed'")
    table = table[table.node == f"{name}-server"]
    return {
        metric: list(table[table.metric == metric].value)
        for metric in ("selected", "arrived", "late", "failed", "busy")
    }


def test_a_late_client_is_not_waited_for_and_the_others_go_on(bed):
    """Client 3 tells its losses, and never returns from its training."""
    federation(
        bed, "slow", KINDS, STARTS, Each(COUNTS), Gated, closed=Each([False, False, True, False])
    )
    bed.call("slow-server/coordinator", "run", {"num_rounds": 2, "enough": 3, "distribute": True})
    assert told(bed, "slow") == {
        "selected": [4, 3],
        "arrived": [3, 3],
        "late": [1, 0],
        "failed": [0, 0],
        "busy": [0, 0],
    }
    for kind, expected in enumerate(closed_form([0, 1, 3])):
        found = bed.call("slow-server/coordinator", "get-model", {"cluster": kind})["w"]
        np.testing.assert_allclose(found, expected, rtol=1e-10)
    bed.call("slow-client3/trainer", "open")


def test_a_late_result_is_taken_in_stale_by_the_cluster_that_it_was_for(bed):
    """As the step that it is, onto where the model of that cluster is by now, with a weight that is
    smaller by 1 / √2.
    """
    federation(
        bed, "stale", KINDS, STARTS, Each(COUNTS), Gated, closed=Each([False, False, True, False])
    )
    bed.call("stale-server/coordinator", "run", {"num_rounds": 1, "enough": 3, "late": "stale"})
    bed.call("stale-client3/trainer", "open")
    # waits for it, asks it again
    bed.call(
        "stale-server/coordinator", "run", {"num_rounds": 1, "min_results": 4, "late": "stale"}
    )
    assert told(bed, "stale") == {
        "selected": [4, 4],
        "arrived": [3, 4],
        "late": [1, 0],
        "failed": [0, 0],
        "busy": [0, 0],
    }
    begun = STARTS[0]["w"]
    first = step(begun, 0, 0, 10)
    expected = np.average(
        [step(first, 0, 0, 10), step(first, 2, 0, 40), first + step(begun, 2, 0, 40) - begun],
        axis=0,
        weights=[10, 40, 40 / np.sqrt(2)],
    )
    models = [
        bed.call("stale-server/coordinator", "get-model", {"cluster": kind})["w"] for kind in (0, 1)
    ]
    np.testing.assert_allclose(models, [expected, closed_form([0, 1, 2, 3])[1]], rtol=1e-10)
    table = bed.trace.contributions.to_pandas()
    late = table[(table.target == "stale-server/aggregator") & (table.outcome == "stale")]
    assert list(zip(late.source, late.step, late.age, strict=True)) == [
        ("stale-client3/trainer", 2, 1)
    ]


class Wordless(EpochTrainer):
    """Fails when asked for its losses."""

    def __init__(self, wordless=False):
        super().__init__()
        self.wordless = wordless

    def _evaluate(self):
        if self.wordless:
            raise ZeroDivisionError("no loss today")
        return super()._evaluate()


def test_a_client_without_losses_is_left_out_if_that_is_allowed(bed):
    federation(
        bed,
        "mute",
        KINDS,
        STARTS,
        Each(COUNTS),
        Wordless,
        wordless=Each([False, False, True, False]),
    )
    bed.call("mute-server/coordinator", "run", {"num_rounds": 2, "deadline": 30, "enough": 4})
    assert told(bed, "mute") == {
        "selected": [4, 4],
        "arrived": [3, 3],
        "late": [0, 0],
        "failed": [1, 1],
        "busy": [0, 0],
    }
    for kind, expected in enumerate(closed_form([0, 1, 3])):
        found = bed.call("mute-server/coordinator", "get-model", {"cluster": kind})["w"]
        np.testing.assert_allclose(found, expected, rtol=1e-10)
    with pytest.raises(
        HandlerError,
        match="3 clients told their losses, and 4 are needed; the first error: .*no loss today",
    ):
        bed.call("mute-server/coordinator", "run", {"num_rounds": 1, "min_results": 4})
    with pytest.raises(HandlerError, match="no loss today"):
        bed.call("mute-server/coordinator", "run", {"num_rounds": 1})


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"min_results": 4},
            "min_results is 4, but {name}-server has 3 clients: it must be from 1 to 3",
        ),
        ({"min_results": 3, "enough": 2}, "enough=2 is less than min_results=3"),
        ({"deadline": 1, "late": "later"}, "late must be 'drop' or 'stale', got 'later'"),
    ],
)
def test_a_quorum_that_cannot_be_met_is_refused_before_the_start(bed, request, arguments, message):
    name = f"unmet{request.node.callspec.indices['arguments']}"
    federation(bed, name, [0, 1, 0], STARTS)
    with pytest.raises(CallerError, match=message.format(name=name)):
        bed.call(f"{name}-server/coordinator", "run", {"num_rounds": 1, **arguments})
    messages = bed.trace.messages.to_pandas()
    assert messages[messages.source.str.startswith(name) & (messages.channel == "evaluate")].empty


def test_misuse_is_named(bed):
    federation(bed, "wrong", [0, 1], STARTS[:1])
    with pytest.raises(
        CallerError,
        match="element 'models' of wrong-server/coordinator must have two models or more, got 1",
    ):
        bed.call("wrong-server/coordinator", "run", {"num_rounds": 1})
    federation(bed, "right", [0, 1], STARTS)
    with pytest.raises(CallerError, match="right-server/coordinator has no model yet"):
        bed.call("right-server/coordinator", "get-model")
    bed.call("right-server/coordinator", "run", {"num_rounds": 1})
    with pytest.raises((CallerError, HandlerError), match="cluster must be from 0 to 1, got 2"):
        bed.call("right-server/coordinator", "get-model", {"cluster": 2})
