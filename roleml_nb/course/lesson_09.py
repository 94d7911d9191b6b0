"""Lesson 09, a project."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from roleml_nb.library import EpochTrainer
from roleml_nb.testbed import Each, Testbed, impl

from .checking import Claim, exercise
from .claims import is_function
from .toy_roles import Numbers, Points

ROUNDS = 8


@exercise("09.1", "an architecture that works", 25)
def works(answer: Any) -> Iterator[Claim]:
    yield is_function(answer)
    for count in (4, 7):
        where = f"with {count} nodes"
        with Testbed(engines=0, timeout=10) as bed:
            places = [float(place) for place in range(1, count + 1)]
            elements = {
                "model": impl(Numbers),
                "dataset": impl(Points, Each(places), 10),
                "dataset_test": impl(Points, 5.0, 10),
            }
            nodes = bed.spawn(f"some{{1..{count}}}").assign(
                "trainer", EpochTrainer, elements=elements
            )
            rounds = answer(bed, nodes)
            yield Claim(
                f"{where}: it returns a function of the number of rounds",
                callable(rounds),
                f"it returned {rounds!r}",
            )
            trainers = {
                bed.spec()["nodes"][node]["roles"].get("trainer", {}).get("class")
                for node in nodes.names
            }
            yield Claim(
                f"{where}: the trainers are the library's",
                trainers == {"roleml_nb.library.EpochTrainer"},
                f"they are {', '.join(sorted(map(str, trainers)))}: what is new goes into roles"
                " beside them",
            )
            rounds(ROUNDS)
            metrics = bed.trace.metrics.to_pandas()
            counts = (
                metrics[(metrics.channel == "epoch-completed") & (metrics.metric == "epoch")]
                .groupby("node")
                .size()
            )
            idle = [node for node in nodes.names if not counts.get(node)]
            yield Claim(f"{where}: all nodes have trained", not idle, f"{', '.join(idle)} did not")
            models = np.array(
                [bed.call(f"{node}/trainer", "get-model")["w"] for node in nodes.names]
            )
            middle = np.array([np.mean(places), 10 - np.mean(places)])
            alone = np.array([[place, 10 - place] for place in places])
            found, before = (
                float(np.sqrt(((points - middle) ** 2).sum(1).mean())) for points in (models, alone)
            )
            yield Claim(
                f"{where}: the models know more of all the data than models that were trained"
                " alone",
                found < 0.8 * before,
                f"after {ROUNDS} rounds their distance from the best common model is {found:.2f},"
                f" and that of models trained alone {before:.2f}: do models travel, and do they"
                " reach the trainers again?",
            )
