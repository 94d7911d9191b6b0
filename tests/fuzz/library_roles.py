"""The roles of the library, each on a node of its name, and right arguments of their channels."""

import inspect
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import roleml_nb.library as library
from roleml_nb import RoleInstanceID, Testbed, impl
from roleml_nb.library import EpochTrainer, FedAvgAggregator, GossipAggregator
from roleml_nb.role import Role
from roleml_nb.workload import digits, mlp

__all__ = ["TRAINER", "UPDATE", "arguments", "bed_of_roles", "roles"]

TRAINER = RoleInstanceID("client", "trainer")


def roles() -> list[type[Role]]:
    """The public role classes that can be assigned."""
    public = [getattr(library, name) for name in library.__all__]
    return [
        one
        for one in public
        if inspect.isclass(one) and issubclass(one, Role) and one is not library.Mixer
    ]


UPDATE = mlp(64, 10, seed=0).get_params()
RIGHT: dict[str, dict[str, Any]] = {
    "get-peers": {},
    "get-model": {},
    "step": {},
    "show": {"age": 1, "update": UPDATE},
    "run": {"num_rounds": 1},
    "accept-chunk": {"step": 0, "chunk": []},
    "apply-update": {"update": UPDATE},
    "average": {"update": UPDATE},
    "restore": {"round": "none"},
    "abandon": {"key": "none"},
    "apply-gradients": {"update": [np.zeros(entry.shape) for entry in UPDATE.values()]},
    "accept": {"degree": 1, "update": UPDATE, "weight": 1.0, "whole": {}, "estimate": []},
    "select-clients": {"round": 1, "candidates": [TRAINER]},
    "accept-gossip": {"update": UPDATE},
    "exchange": {},
    "merge": {"update": UPDATE, "age": 1},
    "aggregate": {"clients": [TRAINER], "update": UPDATE},
    "aggregate-clusters": {
        "clusters": [[TRAINER]],
        "updates": [UPDATE],
        "quorum": {"min_results": 1},
    },
}
"""What a call needs, by channel; a channel that is not here needs nothing."""
NUMBERS = itertools.count()
OF_ONE: dict[tuple[str, str], dict[str, Any]] = {
    ("RingAggregator", "all-reduce"): {"ring": ["RingAggregator/it"], "key": "b", "update": UPDATE},
    ("RingAggregator", "train"): {"ring": ["RingAggregator/it"], "key": "c"},
    ("EpochTrainer", "train"): {},
    ("EpochTrainer", "train2"): {},
    ("GradientsTrainer", "train"): {},
    ("TreeAggregator", "train"): {},
    ("TreeAggregator", "train2"): {},
    ("ClusteredCoordinator", "get-model"): {"cluster": 1},
}


def arguments(cls: str, channel: str) -> dict[str, Any]:
    if channel == "train" and cls.endswith(("Mixer", "Push")):
        return {"round": 1, "receivers": []}
    if channel == "accept-chunk":  # each key takes one
        return {**RIGHT[channel], "key": f"key {next(NUMBERS)}"}
    return dict(OF_ONE[cls, channel] if (cls, channel) in OF_ONE else RIGHT.get(channel, {}))


@contextmanager
def bed_of_roles(engines: int = 0) -> Iterator[Testbed]:
    """Each role on a node of its name, with what it needs; one client trains for all."""
    with Testbed(engines, timeout=60.0) as bed:
        trained = {
            "model": impl(mlp, 64, 10),
            "dataset": impl(digits, 0, 200),
            "dataset_test": impl(digits, 0, 50),
        }
        bed.spawn("client", "other")
        bed.assign("client", "trainer", EpochTrainer, elements=trained)
        bed.assign("other", "trainer", EpochTrainer, elements=trained)
        bed.assign("other", "aggregator", GossipAggregator)
        for cls in roles():
            node, elements = cls.__name__, {}
            bed.spawn(node)
            if issubclass(cls, library.ModelMaintainer):
                elements = {name: trained[name] for name in cls.elements if name in trained}
            elif cls is library.ClusteredCoordinator:
                elements = {"models": impl(lambda: [UPDATE, mlp(64, 10, seed=1).get_params()])}
            bed.assign(node, "it", cls, elements=elements)
            kind = GossipAggregator if "Gossip" in node else FedAvgAggregator
            bed.assign(node, "aggregator", kind)
            if cls not in (library.AdPsgdWorker, library.GossipCoordinator, library.RingAggregator):
                bed.relate(node, "trainer", TRAINER)
            else:
                bed.assign(node, "trainer", EpochTrainer, elements=trained)
        bed.relate("GossipCoordinator", "peer", "other/aggregator")
        bed.relate("RingCoordinator", "ring", "RingAggregator/it")
        for mixer in ("DPsgdMixer", "EpidemicMixer"):
            bed.relate(mixer, "trainer", TRAINER)
        bed.relate("DecentralisedCoordinator", "mixer", "DPsgdMixer/it")
        bed.call("ClusteredCoordinator/it", "run", {"num_rounds": 1})
        yield bed
