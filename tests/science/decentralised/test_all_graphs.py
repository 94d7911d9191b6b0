"""Every architecture ends by itself on every graph, down to one node."""

import numpy as np
import pytest

from roleml_nb import Testbed, topology
from tests.science.decentralised import tiny

GRAPHS = [
    "full",
    "star",
    "ring",
    "line",
    "grid",
    "torus",
    "tree",
    "random-regular",
    "erdos-renyi",
    "small-world",
    "scale-free",
]
LIMIT = 60


@pytest.mark.parametrize("n", [1, 2, 3, 8])
@pytest.mark.parametrize("name", GRAPHS)
def test_all_end_by_themselves(name, n):
    with Testbed(engines=0, workers=2, timeout=LIMIT, preload=()) as bed:
        nodes = tiny.trainers(bed, f"n{{1..{n}}}", n)
        graph = topology(name, nodes)
        for mode in ("push", "pull", "push-pull"):
            tiny.gossip(bed, nodes, graph, mode=mode)
            assert len(bed.call("n*/coordinator", "run", {"num_rounds": 2}, timeout=LIMIT)) == n
        tiny.ad_psgd(bed, nodes, graph)
        assert len(bed.call("n*/worker", "run", {"num_rounds": 2}, timeout=LIMIT)) == n
        for kind in tiny.MIXERS:
            tiny.mixers(bed, nodes, f"leader-{kind.replace(' ', '-')}", kind, graph)
            result = bed.call(
                f"leader-{kind.replace(' ', '-')}/coordinator",
                "run",
                {"num_rounds": 2},
                timeout=LIMIT,
            )
            assert (result["rounds"], result["nodes"]) == (2, n)
        tiny.ring(bed, nodes, "leader-ring")
        assert (
            bed.call("leader-ring/coordinator", "run", {"num_rounds": 2}, timeout=LIMIT)["rounds"]
            == 2
        )
        tiny.tree(bed, nodes, "leader-tree", graph)
        assert (
            bed.call("leader-tree/coordinator", "run", {"num_rounds": 2}, timeout=LIMIT)["rounds"]
            == 2
        )
        assert np.isfinite(tiny.models(bed, nodes)).all()
        assert bed.errors == []
