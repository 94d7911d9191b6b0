"""Rounds with a quorum, and a client whose engine is frozen, or cut off: it holds up nothing."""

import os
import signal
from contextlib import suppress

import numpy as np
import pytest

from roleml_nb import Each, Testbed, impl
from roleml_nb.library import (
    AsynchronousCoordinator,
    ClusteredCoordinator,
    DataSizeSelector,
    FedAvgAggregator,
    FedBuff,
    FederatedCoordinator,
    PowerOfChoiceSelector,
)
from tests.library.federated.test_quorum import Gated
from tests.science.federated.problems import LeastSquares, data

LIMIT = 200.0
"""Seconds that a call may take: what waits for the frozen client does not end within a test."""


@pytest.fixture
def frozen():
    """Three clients, of which the first one, by name, does not answer; the process that is to be
    frozen.
    """
    with Testbed(engines=2, timeout=LIMIT, preload=()) as bed:
        bed.spawn("client1", on=1)
        bed.spawn("client2", "client3", "server", on=0)
        bed.assign(
            "client[123]",
            "trainer",
            Gated,
            elements={"model": impl(LeastSquares, 0.05), "dataset": impl(data, Each(range(3)))},
        )
        bed.assign("server", "aggregator", FedAvgAggregator)
        process = bed.call("client1/trainer", "process")
        yield bed, process
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


def server(bed, coordinator, selector=None, elements=None):
    bed.assign("server", "coordinator", coordinator, elements=elements or {})
    if selector is not None:
        bed.assign("server", "client-selector", selector, options={"fraction": 1.0})
    bed.relate("server", "trainer", "client[123]/trainer")


def table(bed, process, *metrics):
    """What was told after each round; engines that are frozen cannot tell."""
    assert not bed.lost
    os.kill(process, signal.SIGCONT)
    rows = bed.trace.metrics.to_pandas().query("node == 'server' and channel == 'round-completed'")
    return {metric: list(rows[rows.metric == metric].value) for metric in metrics}


@pytest.mark.parametrize(
    "quorum", [{"deadline": 1.5, "min_results": 2}, {"enough": 2}], ids=["deadline", "enough"]
)
@pytest.mark.parametrize(
    "selector", [None, DataSizeSelector, PowerOfChoiceSelector], ids=["all", "by size", "by loss"]
)
def test_rounds_go_on_without_a_client_that_is_frozen(frozen, quorum, selector):
    """It is not asked for the first model, nor for its size or loss, nor waited for when models are
    handed out.
    """
    bed, process = frozen
    server(bed, FederatedCoordinator, selector)
    os.kill(process, signal.SIGSTOP)
    bed.call(
        "server/coordinator", "run", {"num_rounds": 2, "distribute": True, **quorum}, timeout=60
    )
    found = table(bed, process, "arrived", "clients")
    assert found["arrived"] == [2, 2]
    if selector is not None:
        assert found["clients"] == [2, 2]
    # it is one of the clients again
    bed.call("server/coordinator", "run", {"num_rounds": 1, "min_results": 3}, timeout=60)
    assert table(bed, process, "arrived")["arrived"] == [2, 2, 3]


@pytest.mark.parametrize(
    "quorum", [{"deadline": 1.5, "min_results": 2}, {"enough": 2}], ids=["deadline", "enough"]
)
def test_clusters_go_on_without_it(frozen, quorum):
    bed, process = frozen
    server(
        bed,
        ClusteredCoordinator,
        elements={"models": impl(lambda: [{"w": np.zeros(4)}, {"w": np.ones(4)}])},
    )
    os.kill(process, signal.SIGSTOP)
    bed.call(
        "server/coordinator", "run", {"num_rounds": 2, "distribute": True, **quorum}, timeout=60
    )
    assert table(bed, process, "arrived", "late") == {"arrived": [2, 2], "late": [1, 1]}


def test_a_client_that_freezes_while_it_trains_is_late(frozen):
    bed, process = frozen
    server(bed, FederatedCoordinator)
    bed.call("server/coordinator", "run", {"num_rounds": 1}, timeout=60)
    os.kill(process, signal.SIGSTOP)
    bed.call("server/coordinator", "run", {"num_rounds": 2, "deadline": 1.0}, timeout=60)
    assert table(bed, process, "arrived", "late", "busy") == {
        "arrived": [3, 2, 2],
        "late": [0, 1, 0],
        "busy": [0, 0, 0],
    }


def test_asynchronous_clients_go_on_without_it(frozen):
    bed, process = frozen
    server(bed, AsynchronousCoordinator, elements={"strategy": FedBuff(2)})
    os.kill(process, signal.SIGSTOP)
    done = bed.call("server/coordinator", "run", {"num_rounds": 3}, timeout=60)
    assert done["rounds"] == 3 and done["results"] == 6
