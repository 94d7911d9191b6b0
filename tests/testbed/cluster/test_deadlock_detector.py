"""A circle is told when it has stood for three looks, each with news from every host in it."""

from types import SimpleNamespace

import pytest

from roleml_nb.messaging.executions import Working
from roleml_nb.role import NOTEBOOK
from roleml_nb.testbed.cluster.deadlock_detector import DeadlockDetector

ENGINE = "engine0"


class Told:
    """A fleet that keeps which circles were ended, and where that was said."""

    def __init__(self):
        self.ended, self.said = [], []
        router = SimpleNamespace(
            host_messages=SimpleNamespace(
                send=lambda host_id, name, **circle: self.said.append((host_id, name, circle))
            )
        )
        self.home = SimpleNamespace(
            break_deadlock=lambda *circle: self.ended.append(circle), router=router
        )
        self.alive = [ENGINE]


def circle(cpu=0.0):
    """Two handlers, one here and one on the engine, that wait for each other's calls."""
    one, other = (NOTEBOOK, 1), (ENGINE, 2)
    return {
        NOTEBOOK: [Working(False, one, "b/x", "a/x", "a/x.ping", 3.0, waits=other, cpu=cpu)],
        ENGINE: [Working(False, other, "a/x", "b/x", "b/x.ping", 2.0, waits=one)],
    }


@pytest.fixture
def told():
    return Told()


def test_a_circle_that_stands_is_ended_at_the_third_look(told):
    detector = DeadlockDetector(told)
    for now in (1.0, 2.0):
        detector.check(now, circle(), {ENGINE: now})
        assert told.ended == []
    detector.check(3.0, circle(), {ENGINE: 3.0})
    assert [names for _, names, _ in told.ended] == [("a/x.ping", "b/x.ping", "a/x.ping")]
    calls, names, stuck = told.ended[0]
    assert told.said == [(ENGINE, "deadlock", {"calls": calls, "names": names, "stuck": stuck})]


def test_a_host_that_has_told_nothing_new_confirms_nothing(told):
    detector = DeadlockDetector(told)
    for now in range(1, 20):  # the engine is frozen: what it told last is looked at again and again
        detector.check(float(now), circle(), {ENGINE: 1.0})
    assert told.ended == []
    for now in (20.0, 21.0):
        detector.check(now, circle(), {ENGINE: now})
    assert len(told.ended) == 1


@pytest.mark.parametrize("between", [{}, circle(cpu=1.0)], ids=["gone", "at work"])
def test_a_circle_that_was_interrupted_begins_anew(told, between):
    detector = DeadlockDetector(told)
    for now, rows in enumerate([circle(), circle(), between, circle(cpu=1.0), circle(cpu=1.0)], 1):
        detector.check(float(now), rows, {ENGINE: float(now)})
        assert told.ended == [] or now == 5 and between
    assert len(told.ended) == bool(between)
