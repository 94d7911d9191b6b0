"""Lesson 08, when nodes fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from roleml_nb.library import EpochTrainer
from roleml_nb.role import RoleMLError
from roleml_nb.testbed import Each, Testbed, impl

from .checking import Claim, exercise
from .claims import is_role
from .toy_roles import FailingTrainer, Numbers, Points, centres

PLACES = [2.0, 5.0, 6.0, 8.0]
COUNTS = [10, 20, 30, 40]


@exercise("08.1", "an aggregator that bears failures")
def tolerant(answer: Any) -> Iterator[Claim]:
    yield from is_role(answer, tasks="aggregate")
    with Testbed(engines=0, timeout=8) as bed:
        bed.spawn("server", "client{1..4}")
        elements = {"model": impl(Numbers), "dataset": impl(Points, Each(PLACES), Each(COUNTS))}
        bed.assign("client*", "trainer", EpochTrainer, elements=elements)
        bed.assign("server", "aggregator", answer)
        bed.relate("server", "trainer", "client*/trainer")
        trained = centres(PLACES) / 2

        def aggregate(least: int) -> Any:
            return bed.call(
                "server/aggregator", "aggregate", {"least": least}, {"update": {"w": np.zeros(2)}}
            )["w"]

        found = aggregate(4)
        right = np.average(trained, axis=0, weights=COUNTS)
        yield Claim(
            "when nobody fails, it is the weighted mean of all",
            np.allclose(found, right),
            f"it is {np.asarray(found).round(2)} in place of {right.round(2)}: lesson 03 has that"
            " part",
        )
        bed.assign(
            "client2",
            "trainer",
            FailingTrainer,
            elements={"model": impl(Numbers), "dataset": impl(Points, 5.0, 20)},
        )
        rest = [0, 2, 3]
        right = np.average(trained[rest], axis=0, weights=np.array(COUNTS)[rest])
        try:
            found = aggregate(3)
        except RoleMLError as error:
            yield Claim(
                "when one client fails, and three are enough, it goes on",
                "the battery is empty" not in str(error),
                "client2 failed, and so did the whole: where is the error raised, at the call or"
                " when the result is asked for?",
            )
            raise
        yield Claim("when one client fails, and three are enough, it goes on", True)
        yield Claim(
            "and it is the weighted mean of those that answered",
            np.allclose(found, right),
            f"it is {np.asarray(found).round(2)} in place of {right.round(2)}: do the shares of the"
            " three add up to one?",
        )
        refused = False
        try:
            aggregate(4)
        except RoleMLError:
            refused = True
        yield Claim(
            "when fewer than `least` answer, it is an error",
            refused,
            "three of four answered, least was 4, and it returned a model: self.require(condition,"
            " message) raises",
        )


@exercise("08.2", "a role that can be moved")
def movable(answer: Any) -> Iterator[Claim]:
    yield from is_role(answer, services="write read")
    with Testbed(engines=0, timeout=8) as bed:
        bed.spawn("old", "new")
        bed.assign("old", "diary", answer)
        bed.call("old/diary", "write", {"line": "monday"})
        try:
            bed.migrate("old/diary", "new")
        except RoleMLError as error:
            yield Claim(
                "it moves to another node",
                False,
                f"{str(error).splitlines()[0]}\nwhich of its attributes cannot be sent?"
                " __getstate__ returns what is to travel: of your own attributes, and not of those"
                " that every role has",
            )
            return
        yield Claim("it moves to another node", True)
        lines = bed.call("new/diary", "read")
        yield Claim(
            "what was written before the move is still there",
            lines == ["monday"],
            f"it reads {lines!r}: what is in the state that __getstate__ returns, and does"
            " __setstate__ take it all?",
        )
        bed.call("new/diary", "write", {"line": "tuesday"})
        lines = bed.call("new/diary", "read")
        yield Claim(
            "it can be written to after the move",
            lines == ["monday", "tuesday"],
            f"it reads {lines!r}: __setstate__ has to make a lock anew",
        )
