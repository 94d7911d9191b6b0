"""What goes wrong only when things meet: every case was a fault once."""

import sys
import threading

import cloudpickle
import numpy as np
import pytest

from roleml_nb import (
    CallerError,
    Element,
    Event,
    EventHandler,
    HandlerError,
    Role,
    RoleInstanceID,
    RoleMLError,
    Runnable,
    Service,
    Task,
    Testbed,
)
from roleml_nb.role import NodeLost, Status, StatusError
from tests.waiting import until

cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


class Picky(CallerError):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Speechless(Exception):
    def __str__(self):
        raise ValueError("no text")


class Quitter(Role):
    said = Event()

    @Task(expand=True)
    def quit(self, caller):
        sys.exit(3)

    @Service(expand=True)
    async def quit_async(self, caller):
        sys.exit(4)

    @Service(expand=True)
    def refuse(self, caller):
        raise Picky(5, "too picky")

    @Service(expand=True)
    def mumble(self, caller):
        raise Speechless

    @Service(expand=True)
    def say(self, caller, n=0):
        self.said.emit({"n": n})

    @Service(expand=True)
    def ping(self, caller):
        return "pong"


class QuitsOnEvent(Role):
    def __init__(self):
        super().__init__()
        self.heard = []

    @EventHandler("voice", "said", expand=True)
    def on_said(self, source, n):
        self.heard.append(n)
        if n == 0:
            sys.exit(1)

    @Service(expand=True)
    def get_heard(self, caller):
        return list(self.heard)


def native(node):
    return RoleInstanceID(node, "actor")


def test_a_handler_that_exits_is_answered_for_and_costs_nothing(bed):
    bed.spawn("quit").assign("quitter", Quitter)
    for _ in range(8):  # more often than the pool has regular workers
        with pytest.raises(HandlerError, match="quit/quitter.quit failed on .*SystemExit: 3"):
            bed.call("quit/quitter", "quit")
    for _ in range(2):
        with pytest.raises(HandlerError, match="quit/quitter.quit-async failed on .*SystemExit: 4"):
            bed.call("quit/quitter", "quit-async")
    with pytest.raises(CallerError, match="quit/quitter.refuse: too picky"):
        bed.call("quit/quitter", "refuse")
    with pytest.raises(HandlerError, match="quit/quitter.mumble failed on .*Speechless"):
        bed.call("quit/quitter", "mumble")
    assert bed.call("quit/quitter", "ping") == "pong"


def test_an_event_handler_that_exits_is_told_and_hears_the_next_event(bed):
    bed.spawn("exit-a").assign("voice", Quitter)
    bed.spawn("exit-b").assign("ear", QuitsOnEvent)
    bed.relate("exit-b", "voice", "exit-a/voice")
    for number in range(2):
        bed.call("exit-a/voice", "say", {"n": number})
    until(lambda: bed.call("exit-b/ear", "get-heard") == [0, 1], "both events")
    until(
        lambda: [error for error in bed.errors if "exit-b/ear.on exit-a/voice.said" in str(error)],
        "the error is told",
    )
    # no handler seems to run
    bed.call(native("exit-b"), "change-role-status", {"name": "ear", "status": "paused"})


def test_a_testbed_within_a_handler_of_another_is_no_deadlock():
    class Slow(Role):
        @Task(expand=True)
        def work(self, caller, inner):
            if inner:
                with Testbed(engines=0) as bed:
                    bed.spawn("a").assign("x", Slow)
                    return bed.call("a/x", "work", {"inner": False})
            import time

            time.sleep(4)  # longer than it takes to find a circle of waits
            return "done"

    with Testbed(engines=0, timeout=30) as bed:
        bed.spawn("a").assign("x", Slow)
        assert bed.call("a/x", "work", {"inner": True}) == "done"


def test_of_two_orders_for_one_role_the_second_is_refused(bed):
    class Slow(Role):
        @Task(expand=True)
        def work(self, caller):
            import time

            self.working = True
            time.sleep(1.0)

        @Service(expand=True)
        def is_working(self, caller):
            return getattr(self, "working", False)

    bed.spawn("two-a", "two-b", "two-c").assign("nothing", Quitter)
    bed.assign("two-a", "slow", Slow)
    work = bed.call_task("two-a/slow", "work")
    until(lambda: bed.call("two-a/slow", "is-working"), "it works")
    first = bed.call_task(native("two-a"), "migrate-role", {"name": "slow", "to": "two-b"})
    until(
        lambda: bed.call(native("two-a"), "get-role-status", {"name": "slow"}) is Status.PAUSING,
        "it is about to move",
    )
    for channel, args in (
        ("migrate-role", {"to": "two-c"}),
        ("terminate-role", {}),
        ("change-role-status", {"status": "ready"}),
    ):
        with pytest.raises(
            StatusError, match="two-a/slow is being changed by another order; try again"
        ):
            bed.call(native("two-a"), channel, {"name": "slow", **args})
    assert first.result(20) == RoleInstanceID("two-b", "slow") and work.result(20) is None
    assert "slow" in bed.call(native("two-b"), "get-roles") and "slow" not in bed.call(
        native("two-a"), "get-roles"
    )


def test_a_paused_role_that_moves_is_paused_over_there(bed):
    bed.spawn("still-a", "still-b")
    bed.assign("still-a", "quitter", Quitter)
    bed.call(native("still-a"), "change-role-status", {"name": "quitter", "status": "paused"})
    bed.migrate("still-a/quitter", to="still-b")
    assert bed.call(native("still-b"), "get-role-status", {"name": "quitter"}) is Status.PAUSED
    waiting = bed.call_task("still-b/quitter", "ping")
    bed.call(native("still-b"), "change-role-status", {"name": "quitter", "status": "ready"})
    assert waiting.result(20) == "pong"


def test_a_result_may_be_asked_for_by_many_threads(bed):
    class Giver(Role):
        @Task(expand=True)
        def give(self, caller):
            return np.ones(50_000)

    bed.spawn("giver").assign("giver", Giver)
    for _ in range(5):
        call, found = bed.call_task("giver/giver", "give"), []
        threads = [
            threading.Thread(
                target=lambda call=call, found=found: found.append(call.result(30).sum())
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert found == [50_000.0] * 4


class Beating(Role, Runnable):
    beat = Event()
    box = Element(list, default_constructor=list)

    def __init__(self):
        super().__init__()
        self.beats, self.stopping = 0, False

    def __setstate__(self, state):
        self.__dict__.update(state, stopping=False)

    def run(self):
        import time

        while not self.stopping:
            self.beat.emit({"n": self.beats})
            self.box().append(self.beats)
            self.beats += 1
            time.sleep(0.005)

    def stop(self):
        self.stopping = True

    @Service(expand=True)
    def count(self, caller):
        return self.beats


def test_a_main_routine_that_emits_survives_a_pause_and_a_move_and_ends_quietly(bed):
    bed.spawn("beat-a", "beat-b")
    bed.assign("beat-a", "beating", Beating)
    until(lambda: bed.call("beat-a/beating", "count") > 2, "it beats")
    bed.call(native("beat-a"), "change-role-status", {"name": "beating", "status": "paused"})
    bed.call(native("beat-a"), "change-role-status", {"name": "beating", "status": "ready"})
    before = bed.call("beat-a/beating", "count")
    until(lambda: bed.call("beat-a/beating", "count") > before + 2, "it beats after the pause")
    bed.migrate("beat-a/beating", to="beat-b")
    before = bed.call("beat-b/beating", "count")
    until(lambda: bed.call("beat-b/beating", "count") > before + 2, "it beats after the move")
    bed.terminate("beat-b", "beating")
    assert [error for error in bed.errors if "beating" in str(error)] == []


def test_a_role_that_listens_to_a_lost_node_moves_all_the_same(own_bed):
    import os
    import signal

    class Mortal(Quitter):
        @Service(expand=True)
        def pid(self, caller):
            return os.getpid()

    own_bed.spawn("a", on=0)
    own_bed.spawn("b", "c", on=1)
    own_bed.assign("a", "voice", Mortal)
    own_bed.assign("b", "ear", QuitsOnEvent)
    own_bed.relate("b", "voice", "a/voice")
    os.kill(own_bed.call("a/voice", "pid"), signal.SIGKILL)
    until(lambda: own_bed.lost, "the engine is lost")
    assert str(own_bed.migrate("b/ear", to="c")) == "c/ear"
    assert own_bed.call("c/ear", "get-heard") == []
    own_bed.assign("b", "ear", QuitsOnEvent)  # nothing has stayed behind


class Listening(Role):
    def __init__(self):
        super().__init__()
        self.heard = []

    def note(self, source, args, payloads):
        self.heard.append((str(source), args["n"]))

    @Service(expand=True)
    def follow(self, caller, target):
        self.subscribe(target, "said", self.note)

    @Service(expand=True)
    def get_heard(self, caller):
        return list(self.heard)


def test_a_subscription_to_an_old_address_hears_the_role_where_it_is(bed):
    bed.spawn("addr-a", "addr-b", "addr-c")
    bed.assign("addr-a", "voice", Quitter)
    bed.assign("addr-c", "ear", Listening)
    bed.migrate("addr-a/voice", to="addr-b")
    bed.call("addr-c/ear", "follow", {"target": RoleInstanceID("addr-a", "voice")})
    bed.call("addr-b/voice", "say", {"n": 1})
    until(lambda: bed.call("addr-c/ear", "get-heard") == [("addr-b/voice", 1)], "the event")


def test_one_bad_member_of_a_relationship_leaves_the_others_heard(bed):
    class Mute(Role):
        @Service(expand=True)
        def ping(self, caller): ...

    bed.spawn("bad-a", "bad-b", "bad-c")
    bed.assign("bad-a", "voice", Mute)
    bed.assign("bad-b", "voice", Quitter)
    bed.assign("bad-c", "ear", QuitsOnEvent)
    with pytest.raises(RoleMLError, match="bad-a/voice emits no 'said'"):
        bed.relate("bad-c", "voice", ["bad-a/voice", "bad-b/voice"])
    bed.call("bad-b/voice", "say", {"n": 7})
    until(lambda: bed.call("bad-c/ear", "get-heard") == [7], "the good one is heard")


def test_a_lost_emitter_keeps_no_role_from_starting(own_bed):
    import os
    import signal

    class Mortal(Quitter):
        @Service(expand=True)
        def pid(self, caller):
            return os.getpid()

    own_bed.spawn("a", on=0)
    own_bed.spawn("b", on=1)
    own_bed.assign("a", "voice", Mortal)
    own_bed.relate("b", "voice", "a/voice")
    os.kill(own_bed.call("a/voice", "pid"), signal.SIGKILL)
    until(lambda: own_bed.lost, "the engine is lost")
    own_bed.assign("b", "ear", QuitsOnEvent)
    assert own_bed.call("b/ear", "get-heard") == []
    assert issubclass(NodeLost, RoleMLError)


def test_a_channel_that_is_held_back_holds_back_no_other(bed):
    """b's handler, for whose sake a's events are held back, calls a role of a that emits on another
    channel.
    """

    class Source(Role):
        large = Event()

        @Task(expand=True)
        def flood(self, caller, count):
            for number in range(count):
                self.large.emit({"n": number}, {"data": np.zeros(2_000_000)})

    class Other(Role):
        small = Event()

        @Service(expand=True)
        def touch(self, caller):
            self.small.emit({"n": 1})

    class Taker(Role):
        def __init__(self):
            super().__init__()
            self.taken = 0

        @EventHandler("source", "large")
        def on_large(self, source, args, payloads):
            self.call("other", "touch")
            self.taken += 1

        @Service(expand=True)
        def count(self, caller):
            return self.taken

    bed.spawn("held-a", "held-b")
    bed.assign("held-a", "source", Source)
    bed.assign("held-a", "other", Other)
    bed.assign("held-b", "taker", Taker)
    bed.relate("held-b", "source", "held-a/source")
    bed.relate("held-b", "other", "held-a/other")
    bed.call("held-a/source", "flood", {"count": 24}, timeout=60)
    until(lambda: bed.call("held-b/taker", "count") == 24, "all are taken", 60)


def test_what_was_heard_once_is_not_heard_again_after_an_update(bed):
    source = """
class Once(Role):
    def __init__(self):
        super().__init__()
        self.heard = []

    @EventHandler("voice", "said", mode="once", expand=True)
    def on_said(self, source, n):
        self.heard.append(n)

    @{kind}(expand=True)
    def get_heard(self, caller):
        return list(self.heard)
"""

    def define(kind):
        names = {
            "__name__": "__main__",
            "Role": Role,
            "EventHandler": EventHandler,
            "Service": Service,
            "Task": Task,
        }
        exec(source.format(kind=kind), names)
        return names["Once"]

    bed.spawn("again-a", "again-b")
    bed.assign("again-a", "voice", Quitter)
    bed.assign("again-b", "once", define("Service"))
    bed.relate("again-b", "voice", "again-a/voice")
    bed.call("again-a/voice", "say", {"n": 1})
    until(lambda: bed.call("again-b/once", "get-heard") == [1], "the first event")
    bed.update(define("Task"))
    bed.call("again-a/voice", "say", {"n": 2})
    assert bed.call("again-b/once", "get-heard") == [1]  # which is a task by now, and found as one


def test_an_error_in_a_callback_is_told(bed):
    class Caller(Role):
        @Service(expand=True)
        def ask(self, caller):
            def fail(source, invocation):
                raise LookupError("in a callback")

            self.call_task_group([RoleInstanceID("cb-a", "quitter")], "quit", on_result=fail)

    bed.spawn("cb-a").assign("quitter", Quitter)
    bed.spawn("cb-b").assign("caller", Caller)
    bed.call("cb-b/caller", "ask")
    error = until(
        lambda: [item for item in bed.errors if "in a callback" in str(item)], "the error is told"
    )[0]
    assert "cb-b/caller.callback of cb-a/quitter.quit failed on" in str(error)


def test_a_fresh_role_begins_with_what_it_was_given_not_with_what_became_of_it(bed):
    source = """
class Learner(Role):
    box = Element(list)

    @Service(expand=True)
    def learn(self, caller):
        self.box().append(1)
        return len(self.box())
"""

    def define():
        names = {"__name__": "__main__", "Role": Role, "Element": Element, "Service": Service}
        exec(source, names)
        return names["Learner"]

    bed.spawn("fresh-x", "fresh-y").assign("learner", define(), elements={"box": [0]})
    assert bed.call("fresh-*/learner", "learn") == {"fresh-x": 2, "fresh-y": 2}
    bed.spawn("fresh-z")
    bed.migrate("fresh-y/learner", to="fresh-z")
    bed.update(define(), fresh=True)
    assert bed.call("fresh-*/learner", "learn") == {"fresh-x": 2, "fresh-z": 2}


def test_a_replacement_that_fails_to_start_leaves_a_true_spec(bed):
    class Explosive(Role):
        thing = Element(dict)

    def explode():
        raise MemoryError("too large")

    from roleml_nb import impl

    bed.spawn("spec-x").assign("role", Quitter)
    with pytest.raises(HandlerError, match="MemoryError: too large"):
        bed.assign("spec-x", "role", Explosive, elements={"thing": impl(explode)})
    assert bed.spec()["nodes"]["spec-x"]["roles"] == {}
    assert bed.call(native("spec-x"), "get-roles") == {}
