"""Who waits for whom; circles of waiting calls end with Deadlock on every member, and nothing else
does.
"""

import cloudpickle
import pytest

from roleml_nb import CallTimeout, Deadlock, Role, Service, Task
from tests.waiting import until


class Locked(Role):
    def __init__(self):
        import threading

        self.lock, self.seen = threading.Lock(), []

    @Service(expand=True)
    def ping(self, caller):
        with self.lock:
            try:
                return self.call("next", "ping")
            except Exception as error:
                self.seen.append(type(error).__name__)
                raise

    @Service(expand=True)
    def work(self, caller, seconds: float):
        """Takes the lock again, on behalf of a handler of this role that waits, but while a third
        one has it for a time.
        """
        with self.lock:
            import time

            time.sleep(seconds)
            return "done"

    @Service(expand=True)
    def patient(self, caller, seconds: float):
        return self.call("next", "ask-back", {"seconds": seconds})

    @Service(expand=True)
    def ask_back(self, caller, seconds: float):
        return self.call(caller, "work", {"seconds": seconds})

    @Service(expand=True)
    def endless(self, caller):
        return self.call("next", "endless")

    @Service(expand=True)
    def descend(self, caller, depth: int):
        return 0 if depth == 0 else 1 + self.call("next", "descend", {"depth": depth - 1})

    @Task(expand=True)
    def wait_for(self, caller, key: str):
        """Waits for the task that `other` keeps under the key."""
        return self.call("next", "result-of", {"key": key})

    @Service(expand=True)
    def get_seen(self, caller):
        return self.seen


class Promises(Role):
    """Two tasks that wait for each other's results."""

    def __init__(self):
        self.kept = {}

    @Task(expand=True)
    def start(self, caller):
        for one, other in (("left", "right"), ("right", "left")):
            self.kept[one] = self.call_task(self.id, "wait", {"key": other})
        return [
            type(error).__name__
            for error in (self.kept[key].exception(60) for key in ("left", "right"))
        ]

    @Task(expand=True)
    def wait(self, caller, key: str):
        import time

        while key not in self.kept:
            time.sleep(0.01)
        return self.kept[key].result(60)


cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


def ring(bed, name, size):
    nodes = bed.spawn(f"{name}{{1..{size}}}").assign("locked", Locked)
    for index, node in enumerate(nodes):
        bed.relate(node, "next", f"{nodes.names[(index + 1) % size]}/locked")
    return nodes.names


@pytest.mark.parametrize("size", [2, 3])
def test_locks_in_a_circle(bed, size):
    names = ring(bed, f"circle{size}-", size)
    expected = " → ".join(f"{name}/locked.ping" for name in [*names, names[0]])
    with pytest.raises(Deadlock, match=f"^{expected}: each waits for the next"):
        bed.call(f"{names[0]}/locked", "ping", timeout=25)
    for name in names:
        until(
            lambda name=name: set(bed.call(f"{name}/locked", "get-seen")) == {"Deadlock"},
            f"{name} saw it",
        )


def test_tasks_that_wait_for_each_other(bed):
    bed.spawn("promises").assign("promises", Promises)
    assert bed.call("promises/promises", "start", timeout=25) == ["Deadlock", "Deadlock"]


class Crossed(Role):
    """Takes its own lock, then calls the other one, who wants it back."""

    def __init__(self):
        import threading

        self.lock, self.both = threading.Lock(), threading.Event()

    @Task(expand=True)
    def cross(self, caller):
        with self.lock:
            self.both.wait(20)
            return self.call("other", "touch")

    @Service(expand=True)
    def touch(self, caller):
        with self.lock:
            return "touched"

    @Service(expand=True)
    def holds(self, caller):
        return self.lock.locked()

    @Service(expand=True)
    def go(self, caller):
        self.both.set()


def test_two_chains_that_take_locks_in_opposite_order(own_bed):
    for engine, node in enumerate("xy"):
        own_bed.spawn(node, on=engine).assign("crossed", Crossed)
    own_bed.relate("x", "other", "y/crossed")
    own_bed.relate("y", "other", "x/crossed")
    crossing = [own_bed.call_task(f"{node}/crossed", "cross") for node in "xy"]
    until(
        lambda: (
            sum("crossed.cross" in line and "handler running" in line for line in own_bed.waiting())
            == 2
        ),
        "both have locks",
    )
    for node in "xy":
        until(
            lambda node=node: own_bed.call(f"{node}/crossed", "holds"), f"{node} has its own lock"
        )
    for node in "xy":
        own_bed.call(f"{node}/crossed", "go")
    for invocation in crossing:
        with pytest.raises(
            Deadlock, match=r"cross → .*touch → .*cross → .*touch: each waits for the next"
        ):
            invocation.result(25)


def test_calls_without_end(bed):
    names = ring(bed, "endless", 2)
    with pytest.raises(
        Deadlock,
        match=(
            r"endless(1/locked.endless → endless2|2/locked.endless → endless1)/locked.endless → .*"
            "1000 deep, without end"
        ),
    ):
        bed.call(f"{names[0]}/locked", "endless", timeout=60)


def test_calls_200_deep_are_no_circle(bed):
    names = ring(bed, "deep", 2)
    assert bed.call(f"{names[0]}/locked", "descend", {"depth": 200}) == 200


def test_waiting_for_a_lock_that_is_let_go_of_is_no_circle(bed):
    one, _ = ring(bed, "patient", 2)
    busy = bed.call_task(f"{one}/locked", "work", {"seconds": 4.5})
    assert bed.call(f"{one}/locked", "patient", {"seconds": 0.0}, timeout=25) == "done"
    assert busy.result(20) == "done"


def test_it_shows_who_waits_for_whom(bed):
    one, two = ring(bed, "shown", 2)
    asked = bed.call_task(f"{one}/locked", "patient", {"seconds": 1.5})
    until(
        lambda: [
            line
            for line in bed.waiting()
            if f"{two}/locked.ask-back waits for {one}/locked.work" in line
            and "(handler running since" in line
        ],
        "the inner call shows",
    )
    with pytest.raises(
        CallTimeout, match=rf"handler running since .* s, waits for {two}/locked.ask-back since"
    ):
        asked.result(0.01)
    assert asked.result(20) == "done"
