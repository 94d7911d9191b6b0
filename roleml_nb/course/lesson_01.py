"""Lesson 01, roles and channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from roleml_nb.role import Event, Role, RoleMLError, Service
from roleml_nb.testbed import Each, Testbed
from roleml_nb.testbed.cluster.quiesce import quiesced

from .checking import Claim, exercise
from .claims import is_role, returned
from .toy_roles import Meeting, MeetingWorker


@exercise("01.1", "a foreman who waits for all at once")
def foreman(answer: Any) -> Iterator[Claim]:
    yield from is_role(answer, tasks="run")
    with Testbed(engines=0, timeout=8) as bed:
        bed.spawn("office", "site{1..3}")
        bed.assign("office", "meeting", Meeting)
        bed.assign(
            "site*", "worker", MeetingWorker, options={"result": Each([1, 20, 300]), "expected": 3}
        )
        bed.relate("site*", "meeting", "office/meeting")
        bed.assign("office", "foreman", answer)
        bed.relate("office", "worker", "site*/worker")
        together = True
        result = None
        try:
            result = bed.call("office/foreman", "run")
        except RoleMLError as error:
            together = "at work alone" not in str(error)
            if together:
                raise
        yield Claim(
            "all three are at work at the same time",
            together,
            "a worker waited for the others in vain: when does the foreman wait for the first, "
            "and when does he call the second?",
        )
        yield Claim(
            "it returns the sum of what they return, 321",
            result == 321,
            f"{returned(result)}: the three return 1, 20 and 300",
        )


class Sensor(Role):
    measured = Event()

    @Service(expand=True)
    def measure(self, caller: Any, degrees: float) -> None:
        self.measured.emit(args={"degrees": degrees})


@exercise("01.2", "a role that listens")
def listener(answer: Any) -> Iterator[Claim]:
    yield from is_role(answer, services="highest")
    with Testbed(engines=0, timeout=8) as bed:
        bed.spawn("hall", "roof", "cellar")
        bed.assign(["roof", "cellar"], "sensor", Sensor)
        bed.assign("hall", "watch", answer)
        bed.relate("hall", "sensor", "roof/sensor")
        before = bed.call("hall/watch", "highest")
        yield Claim(
            "before any event, highest returns None", before is None, f"it returned {before!r}"
        )
        for degrees in (17, 31, 24):
            bed.call("roof/sensor", "measure", {"degrees": degrees})
        highest = _highest(bed)
        if bed.errors:
            hint = f"its handler ended with an error: {bed.errors[0].text}"
        else:
            hint = (
                f"it returned {highest!r}: to which relationship and which event does the handler"
                " listen, and what does it keep?"
            )
        yield Claim("after events with 17, 31 and 24 degrees, it returns 31", highest == 31, hint)
        bed.call("cellar/sensor", "measure", {"degrees": 99})
        bed.relate("hall", "sensor", "cellar/sensor")
        bed.call("cellar/sensor", "measure", {"degrees": 40})
        highest = _highest(bed)
        yield Claim(
            "it hears a sensor that joins the relationship, from then on",
            highest == 40,
            f"it returned {highest!r}: @EventHandler follows its relationship by itself",
        )


def _highest(bed: Testbed) -> Any:
    """Return the watch's answer after it has handled all events, which arrive asynchronously."""
    with quiesced(bed.fleet, 8.0):
        pass
    return bed.call("hall/watch", "highest")
