"""Runs that wait between two rounds."""

import pytest

from roleml_nb import Each, impl
from roleml_nb.library import EpochTrainer, FedAvgAggregator, FederatedCoordinator
from roleml_nb.role import CallerError
from roleml_nb.workload import digits, mlp
from tests.waiting import until


def test_a_paused_run_waits_goes_step_by_step_and_goes_on(bed):
    clients = bed.spawn("pausing-client{1,2}")
    clients.assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(mlp, 64, 10),
            "dataset": impl(digits, part=Each(range(2)), parts=8),
        },
    )
    bed.spawn("pausing-server")
    bed.assign("pausing-server", "aggregator", FedAvgAggregator)
    bed.assign("pausing-server", "coordinator", FederatedCoordinator)
    bed.relate("pausing-server", "trainer", clients.role("trainer"))
    coordinator = "pausing-server/coordinator"
    with pytest.raises(CallerError, match="rounds must be 1 or more, got 0"):
        bed.call(coordinator, "step", {"rounds": 0})
    bed.call(coordinator, "pause")
    run = bed.run(coordinator, "run", {"num_rounds": 4})
    assert run.progress.done == 0 and not run.done()
    bed.call(coordinator, "step")
    until(lambda: run.progress.done == 1, "one round", 30)
    bed.call(coordinator, "step", {"rounds": 2})
    until(lambda: run.progress.done == 3, "two rounds more", 30)
    assert not run.done()
    bed.call(coordinator, "resume")
    assert run.result(30)["rounds"] == 4


def test_a_paused_run_can_be_stopped(own_bed):
    own_bed.spawn("server")
    own_bed.assign("server", "aggregator", FedAvgAggregator)
    own_bed.assign("server", "coordinator", FederatedCoordinator)
    own_bed.spawn("client")
    own_bed.assign(
        "client",
        "trainer",
        EpochTrainer,
        elements={"model": impl(mlp, 64, 10), "dataset": impl(digits)},
    )
    own_bed.relate("server", "trainer", "client/trainer")
    own_bed.call("server/coordinator", "pause")
    run = own_bed.run("server/coordinator", "run", {"num_rounds": 4})
    until(lambda: "server/coordinator.run" in str(own_bed.waiting()), "the run is at work", 30)
    own_bed.stop_run()
    assert run.wait(30) and run.state == "stopped"
