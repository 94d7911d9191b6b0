"""Role classes that are defined again while their roles are at work."""

import pytest

from roleml_nb import CallerError, HandlerError, RoleMLError, Testbed
from roleml_nb.role import TestbedError
from tests.waiting import until

FIRST = """
from roleml_nb import Element, Event, EventHandler, Role, Service, Task

class Worker(Role):
    done = Event()
    box = Element(list, default_constructor=list)

    def __init__(self, start=10):
        super().__init__()
        self.count = start
        self.heard = []

    @Service(expand=True)
    def add(self, caller, x=1):
        self.count += x
        self.box().append(self.count)
        return "first", self.count

    @Task(expand=True)
    def work(self, caller, seconds):
        import time

        self.working = True
        time.sleep(seconds)
        return "first", self.result()

    def result(self):
        return "first result"

    @Service(expand=True)
    def is_working(self, caller):
        return getattr(self, "working", False)

    @Service(expand=True)
    def emit(self, caller):
        self.done.emit({"n": 1})

    @EventHandler("other", "done", expand=True)
    def on_done(self, source, n):
        self.heard.append("first")

    @Service(expand=True)
    def get_heard(self, caller):
        return list(self.heard)
"""
SECOND = (
    FIRST.replace('return "first", self.count', 'return "second", self.count, len(self.box())')
    .replace('"first result"', '"second result"')
    .replace('self.heard.append("first")', 'self.heard.append("second")')
    .replace(
        "def is_working",
        "def extra(self, caller):\n"
        '        return "extra"\n\n    @Service(expand=True)\n    def is_working',
    )
)


def define(source, **names):
    """As a notebook does: each run of the cell makes a new class of that name."""
    namespace = {"__name__": "__main__", **names}
    exec(source, namespace)
    return namespace["Worker"]


@pytest.fixture
def first():
    return define(FIRST)


def nodes(bed, name, cls, **options):
    bed.spawn(f"{name}-a", f"{name}-b")
    bed.assign([f"{name}-a", f"{name}-b"], "worker", cls, options=options)
    return f"{name}-a/worker", f"{name}-b/worker"


def test_state_and_elements_stay_and_the_next_message_meets_the_new_code(bed, first):
    a, b = nodes(bed, "ver", first, start=20)
    assert bed.call(a, "add") == ("first", 21)
    assert bed.update(define(SECOND)) == [("ver-a", "worker"), ("ver-b", "worker")]
    assert bed.call(a, "add") == ("second", 22, 2) and bed.call(b, "add") == ("second", 21, 1)
    assert bed.call(a, "extra") == "extra"
    assert bed.update(define(FIRST)) and bed.call(a, "add") == ("first", 23)


def test_running_handlers_end_on_the_old_code(bed, first):
    a, _ = nodes(bed, "old", first)
    task = bed.call_task(a, "work", {"seconds": 0.5})
    until(lambda: bed.call(a, "is-working"), "the handler runs")
    bed.update(define(SECOND))
    assert bed.call(a, "add", {"x": 5}) == ("second", 15, 1)  # while the other one still runs
    assert task.result(20) == ("first", "first result")


def test_event_handlers_are_the_new_ones_too(bed, first):
    a, b = nodes(bed, "evt", first)
    bed.relate("evt-b", "other", a)
    bed.call(a, "emit")
    until(lambda: bed.call(b, "get-heard") == ["first"], "the first event")
    bed.update(define(SECOND))
    bed.call(a, "emit")
    until(lambda: bed.call(b, "get-heard") == ["first", "second"], "the second event")
    without = SECOND.replace('@EventHandler("other", "done", expand=True)\n    ', "")
    bed.update(define(without))
    bed.call(a, "emit")
    bed.update(define(SECOND))
    bed.call(a, "emit")
    until(
        lambda: bed.call(b, "get-heard") == ["first", "second", "second"],
        "the one that it missed is missed",
    )


def test_fresh_roles_begin_as_they_were_assigned(bed, first):
    a, _ = nodes(bed, "fresh", first, start=30)
    bed.call(a, "add")
    bed.update(define(SECOND), fresh=True)
    assert bed.call(a, "add") == ("second", 31, 1)


def test_a_new_need_that_nothing_is_given_for_is_refused_and_nothing_changes(bed, first):
    a, _ = nodes(bed, "need", first)
    needy = define(FIRST.replace("done = Event()", "done = Event()\n    data = Element(dict)"))
    with pytest.raises(
        HandlerError, match="the new Worker has an element 'data', for which nothing is given"
    ):
        bed.update(needy)
    assert bed.call(a, "add") == ("first", 11)
    optional = define(
        SECOND.replace("done = Event()", "done = Event()\n    data = Element(dict, optional=True)")
    )
    bed.update(optional)
    assert bed.call(a, "add") == ("second", 12, 2)


def test_versions_are_counted_and_follow_the_role(bed, first):
    nodes(bed, "count", first)
    number = bed.versions.number(first)
    second = define(SECOND)
    bed.assign("count-b", "worker", second)
    rows = {
        version: [str(item) for item in items if item.actor_name.startswith("count")]
        for name, version, items in bed.versions.table()
        if name == "__main__.Worker"
    }
    assert rows[number] == ["count-a/worker"] and rows[number + 1] == ["count-b/worker"]
    bed.spawn("count-c")
    bed.migrate("count-a/worker", to="count-c")
    assert [str(item) for item in bed.update(second) if item.actor_name.startswith("count")] == [
        "count-c/worker"
    ]


def test_a_name_that_nobody_has_defined_is_found_before_anything_runs(bed):
    """The class is right when the import has been run, though its cell is the same: what it
    captures counts.
    """
    source = FIRST.replace('"first", self.count', '"first", np.float64(self.count)')
    lacking = define(source)
    bed.spawn("lacks")
    with pytest.raises(
        TestbedError,
        match="role Worker: Worker.add uses 'np', which is not defined; run the cell that imports",
    ):
        bed.assign("lacks", "worker", lacking)
    import numpy as np

    bed.assign("lacks", "worker", define(source, np=np))
    assert bed.call("lacks/worker", "add") == ("first", 11.0)

    def load():
        return undefined_name  # noqa: F821

    load.__module__ = "__main__"
    with pytest.raises(
        RoleMLError, match="element 'box': .*load uses 'undefined_name', which is not defined"
    ):
        from roleml_nb import impl

        bed.assign("lacks", "worker", define(FIRST), elements={"box": impl(load)})


def test_a_large_value_that_is_taken_along_is_named(bed):
    source = FIRST.replace('"first", self.count', '"first", len(DATA)')
    with pytest.warns(
        UserWarning,
        match=(
            "role Worker takes the global 'DATA' along, 12 MB, to every engine; give it as an"
            " element"
        ),
    ):
        bed.spawn("large").assign("worker", define(source, DATA=b"x" * 12_000_000))
    assert bed.call("large/worker", "add") == ("first", 12_000_000)


def test_updating_what_runs_nowhere_does_nothing(bed):
    cls = define(
        FIRST.replace("class Worker", "class Unused").replace("Worker", "Unused")
        + "\nWorker = Unused"
    )
    assert bed.update(cls) == []
    with pytest.raises(CallerError, match="the native role is not updated"):
        bed.spawn("natives")
        bed.call("natives/actor", "update-roles", {"names": ["actor"], "cls": cls})


GROWN = (
    FIRST.replace("self.heard = []", "self.heard = []\n        self.prepare(start)")
    .replace(
        "    def result(self):",
        "    def prepare(self, start):\n        self.limit = 3 * start\n\n    def result(self):",
    )
    .replace('return "first", self.count', 'return "grown", self.count, self.limit')
)


def test_attributes_that_the_new_init_adds_are_made_with_the_options_of_the_role(bed, first):
    a, b = nodes(bed, "grow", first, start=20)
    bed.assign("grow-b", "worker", first, options={"start": 7})
    bed.call(a, "add")
    bed.update(define(GROWN))
    # what it had stays, what is new is that of a role that begins with 20
    assert bed.call(a, "add") == ("grown", 22, 60)
    assert bed.call(b, "add") == ("grown", 8, 21)


def test_an_init_that_cannot_be_called_is_refused_and_nothing_changes(bed, first):
    a, _ = nodes(bed, "init", first)
    needy = define(GROWN.replace("start=10)", "start=10, *, limit)"))
    with pytest.raises(
        CallerError,
        match=(
            r"[\w-]+/worker: the new Worker cannot be made with the options that the role was"
            r" given "
            r"\(TypeError: .*'limit'\), which its new attributes need; give new options a"
            r" default, or "
            r"assign the role anew"
        ),
    ):
        bed.update(needy)
    assert bed.call(a, "add") == ("first", 11)
    # sets nothing that is not there
    same = define(SECOND.replace("start=10)", "start=10, *, limit)"))
    bed.update(same)
    assert bed.call(a, "add") == ("second", 12, 2)


def test_a_task_under_way_shares_the_state_and_ends_on_the_old_code(bed, first):
    a, _ = nodes(bed, "shared", first)
    task = bed.call_task(a, "work", {"seconds": 0.5})
    until(lambda: bed.call(a, "is-working"), "the handler runs")
    bed.update(define(GROWN))
    assert bed.call(a, "is-working") is True  # set by the old code, seen by the new
    assert bed.call(a, "add") == ("grown", 11, 30) and task.result(20) == ("first", "first result")


@pytest.mark.parametrize("engines", [0, 2], ids=["one process", "engines"])
def test_a_class_that_is_renamed_takes_the_place_of_the_old_one(first, engines):
    with Testbed(engines=engines, preload=(), timeout=30) as bed:  # others have classes called so
        a, b = nodes(bed, "named", first, start=5)
        bed.terminate("named-b", "worker")
        other = "Trainer" + ("One" if bed.engines else "None")
        namespace = {"__name__": "__main__"}
        exec(SECOND.replace("class Worker", f"class {other}"), namespace)
        renamed = namespace[other]
        assert bed.update(renamed) == []
        with pytest.raises(
            TestbedError, match=r"no role is of a class 'Werker'; did you mean 'Worker'\?"
        ):
            bed.update(renamed, was="Werker")
        assert ("named-a", "worker") in bed.update(renamed, was="Worker")
        assert bed.call(a, "add") == ("second", 6, 1)
        assert bed.spec()["nodes"]["named-a"]["roles"]["worker"]["class"] == f"__main__.{other}"
        assert bed.update(renamed) == []
        with pytest.raises(
            TestbedError, match="was='Worker' is for a class that was renamed: give that class"
        ):
            bed.update(was="Worker")
