"""CHOCO when a node begins anew: what the others send it needs an estimate that it does not
have.
"""

import numpy as np

from roleml_nb import impl
from roleml_nb.library import ChocoMixer, DecentralisedCoordinator, TopK
from tests.library.fragile import trainers

NODES = 3


def assign(bed, nodes, leader):
    nodes.assign(
        "mixer",
        ChocoMixer,
        options={"consensus_step": 0.5},
        elements={"compressor": impl(TopK, 1.0)},
    )
    bed.assign(leader, "coordinator", DecentralisedCoordinator)


def run(bed, leader, **args):
    bed.call(f"{leader}/coordinator", "run", args)
    return np.array([state["w"] for state in bed.call("anew-*/trainer", "state").values()])


def test_a_node_that_begins_anew_gets_whole_estimates_and_is_as_the_others_again(bed):
    nodes = trainers(bed, "anew-", NODES)
    bed.spawn("leads")
    assign(bed, nodes, "leads")
    for node in nodes:
        bed.relate(node, "peer", nodes.role("mixer"))
    bed.relate("leads", "mixer", nodes.role("mixer"))
    before = run(bed, "leads", num_rounds=2, num_epochs=1)
    assert np.abs(before).min() > 0
    first = bed.select(list(nodes)[0])
    bed.assign(
        first,
        "mixer",
        ChocoMixer,
        options={"consensus_step": 0.5},
        elements={"compressor": impl(TopK, 1.0)},
    )
    # which knows of nothing, as when it was lost, too
    bed.assign("leads", "coordinator", DecentralisedCoordinator)
    after = run(bed, "leads", num_rounds=40, num_epochs=0)
    assert np.ptp(after, axis=0).max() < 1e-6 and np.isfinite(after).all()
    assert after.min() >= before.min() - 1e-6 and after.max() <= before.max() + 1e-6
