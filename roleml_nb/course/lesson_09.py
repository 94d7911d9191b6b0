"""Lesson 09, a project."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from roleml_nb.library import EpochTrainer
from roleml_nb.testbed import Each, Testbed, impl

from .checking import Claim, exercise
from .claims import is_function
from .toy_roles import Numbers, Points, centres, models_of

ROUNDS = 8


@exercise("09.1", "an architecture that works", 25)
def works(answer: Any) -> Iterator[Claim]:
    yield is_function(answer)
    for count in (4, 7):
        where = f"with {count} nodes"
        with Testbed(engines=0, timeout=10) as bed:
            places = list(map(float, range(1, count + 1)))
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
            specs = bed.spec()["nodes"]
            trainers = set()
            for node in nodes.names:
                trainers.add(specs[node]["roles"].get("trainer", {}).get("class"))
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
            middle = np.array([np.mean(places), 10 - np.mean(places)])
            found = _distance(models_of(bed, nodes.names), middle)
            before = _distance(centres(places), middle)
            yield Claim(
                f"{where}: the models know more of all the data than models that were trained"
                " alone",
                found < 0.8 * before,
                f"after {ROUNDS} rounds their distance from the best common model is {found:.2f},"
                f" and that of models trained alone {before:.2f}: do models travel, and do they"
                " reach the trainers again?",
            )


def _distance(models: np.ndarray, middle: np.ndarray) -> float:
    """Return the root of the mean squared distance from the middle."""
    return float(np.sqrt(((models - middle) ** 2).sum(1).mean()))
