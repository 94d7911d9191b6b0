"""Selection of clients on synthetic(1, 1) with 30 devices, where the authors' program for Oort ends
at a loss of about 0.55.
"""

from roleml_nb import Each, impl
from roleml_nb.library import (
    ClientSelector,
    EpochTrainer,
    FedAvg,
    FedAvgAggregator,
    FederatedCoordinator,
    OortSelector,
)
from roleml_nb.workload import logistic_regression, synthetic

DEVICES = 30


def loss_after(bed, name, selector, rounds=100):
    bed.spawn(f"{name}{{1..{DEVICES}}}").assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(logistic_regression, 60, 10, lr=0.1),
            "dataset": impl(synthetic, Each(range(DEVICES)), DEVICES),
        },
    )
    bed.spawn(f"{name}-server").assign(
        "aggregator", FedAvgAggregator, elements={"strategy": impl(FedAvg, metrics=True)}
    )
    bed.assign(f"{name}-server", "coordinator", FederatedCoordinator)
    bed.assign(
        f"{name}-server", "client-selector", selector, options={"fraction": 1 / 3, "seed": 1}
    )
    bed.relate(
        f"{name}-server", "trainer", [f"{name}{device}/trainer" for device in range(1, DEVICES + 1)]
    )
    bed.call(f"{name}-server/coordinator", "run", {"num_rounds": rounds})
    model = logistic_regression(60, 10)
    model.set_params(bed.call(f"{name}-server/coordinator", "get-model"))
    data = [synthetic(device, DEVICES) for device in range(DEVICES)]
    return sum(model.test(one)["loss"] * len(one) for one in data) / sum(map(len, data))


def test_oort_learns_from_all_and_not_from_a_few(lab):
    """0.44 at random; with a pool of those above the cut-off alone, the same few were taken, and it
    ended at 2.6.
    """
    random, oort = (
        loss_after(lab, name, selector)
        for name, selector in (("random", ClientSelector), ("oort", OortSelector))
    )
    assert random < 0.5 and oort < 0.65
